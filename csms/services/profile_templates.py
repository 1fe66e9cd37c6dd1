"""Templates of charging profiles: checked by the declaration, kept, sent to charge points."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from django.db import IntegrityError, transaction
from msgspec import UNSET

from csms.models import (
    ChargePoint,
    ChargingProfileTemplate,
    Command,
    CommandBatch,
    InstalledProfile,
    Transaction,
)
from csms.models.transactions import TransactionState
from csms.ocpp.base import validated, value_or
from csms.ocpp.errors import ProtocolError
from csms.ocpp.explain import explain
from csms.ocpp.smart_charging import SetChargingProfile
from csms.ocpp.types import ChargingProfile, ChargingProfilePurposeType
from csms.services.commands import (
    EXPIRES_IN,
    CommandRefused,
    PayloadRefused,
    batch_send,
    command_send,
    obstacle,
)
from csms.services.profile_limits import ProfileLimits, limits_known, limits_problem
from csms.services.profile_rules import Problem, connector_problem, profile_problems
from csms.services.smart_charging import profiles_assumed

CONNECTORS = 1000
"""Ids of one template, one for each connector."""
_LARGEST = 2**31


class TemplateInvalid(ValueError):
    """The template cannot be kept; `problems` say why and where."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(problem.text for problem in problems))
        self.problems = problems


# ------------------------------------------------------------------- columns and the wire


def wire_of(template: ChargingProfileTemplate) -> dict[str, Any]:
    """A template as the wire has it, as far as it is known: without chargingProfileId where one is
    made when it is sent. Decimals and times are texts."""
    schedule = {
        "duration": template.duration,
        "startSchedule": template.start_schedule,
        "chargingRateUnit": template.charging_rate_unit,
        "chargingSchedulePeriod": template.periods,
        "minChargingRate": template.min_charging_rate,
    }
    profile = {
        "chargingProfileId": template.charging_profile_id,
        "stackLevel": template.stack_level,
        "chargingProfilePurpose": template.purpose,
        "chargingProfileKind": template.kind,
        "recurrencyKind": template.recurrency_kind or None,
        "validFrom": template.valid_from,
        "validTo": template.valid_to,
        "chargingSchedule": {n: v for n, v in schedule.items() if v is not None},
    }
    plain = {name: value for name, value in profile.items() if value is not None}
    told: dict[str, Any] = msgspec.to_builtins(plain)
    return told


def columns_of(profile: ChargingProfile) -> dict[str, Any]:
    """The columns of a template for a profile; without `charging_profile_id`."""
    schedule = profile.charging_schedule
    recurrency = value_or(profile.recurrency_kind)
    return {
        "stack_level": profile.stack_level,
        "purpose": profile.charging_profile_purpose.value,
        "kind": profile.charging_profile_kind.value,
        "recurrency_kind": recurrency.value if recurrency else "",
        "valid_from": value_or(profile.valid_from),
        "valid_to": value_or(profile.valid_to),
        "charging_rate_unit": schedule.charging_rate_unit.value,
        "start_schedule": value_or(schedule.start_schedule),
        "duration": value_or(schedule.duration),
        "min_charging_rate": value_or(schedule.min_charging_rate),
        "periods": [_period(msgspec.to_builtins(p)) for p in schedule.charging_schedule_period],
    }


def _period(period: dict[str, Any]) -> dict[str, Any]:
    """Limits are kept as texts with one decimal: JSON's numbers are read as floats."""
    return {**period, "limit": str(Decimal(period["limit"]).quantize(Decimal("0.1")))}


def profile_checked(plain: Any, *, charging_profile_id: int = 0) -> ChargingProfile:
    """The profile of plain values as on the wire; `charging_profile_id` where it has none. Raises
    TemplateInvalid."""
    try:
        whole = {"chargingProfileId": charging_profile_id, **plain}
        profile = validated(msgspec.convert(whole, ChargingProfile))
    except (msgspec.ValidationError, ProtocolError, ValueError, TypeError) as error:
        problem = explain(error)
        raise TemplateInvalid([Problem(problem.path, problem.description)]) from None
    problems = profile_problems(profile)
    if problems:
        raise TemplateInvalid(problems)
    return profile


def profile_id(template: ChargingProfileTemplate, connector_id: int) -> int:
    """The chargingProfileId with which a template is sent to a connector: always the same, so that
    sending it again replaces it."""
    if template.charging_profile_id is not None:
        return template.charging_profile_id
    number: int = template.pk * CONNECTORS + connector_id % CONNECTORS
    return number % _LARGEST


# --------------------------------------------------------------------------- keeping them


def template_check(template: ChargingProfileTemplate) -> ChargingProfile:
    """The profile of a template. Raises TemplateInvalid."""
    return profile_checked(wire_of(template))


def template_add(*, name: str, profile: Any) -> ChargingProfileTemplate:
    """Keep a profile of plain values as a template. Raises TemplateInvalid."""
    return _save(ChargingProfileTemplate(name=name), profile)


def template_change(
    *, template: ChargingProfileTemplate, name: str | None = None, profile: Any = None
) -> ChargingProfileTemplate:
    """Change a template; what is None stays. Raises TemplateInvalid."""
    if name is not None:
        template.name = name
    return _save(template, wire_of(template) if profile is None else profile)


def _save(template: ChargingProfileTemplate, plain: Any) -> ChargingProfileTemplate:
    checked = profile_checked(plain)
    if checked.transaction_id is not UNSET:
        text = "A template has no transactionId: it is that of the transaction when it is sent."
        raise TemplateInvalid([Problem("transactionId", text)])
    if checked.charging_profile_id < 0:
        raise TemplateInvalid([Problem("chargingProfileId", "It is not below 0.")])
    for column, value in columns_of(checked).items():
        setattr(template, column, value)
    template.charging_profile_id = plain.get("chargingProfileId")
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise TemplateInvalid([Problem("name", "There is a profile of this name.")]) from None
    return template


# ------------------------------------------------------------------------------- sending


class Sent(NamedTuple):
    """What became of a template that was sent."""

    batch: CommandBatch | None
    """None for a TxProfile: each transaction has its own request."""
    commands: list[Command]
    """Those of a TxProfile."""
    refused: list[tuple[str, str]]
    """Identity and reason."""


def template_request(
    template: ChargingProfileTemplate, connector_id: int, *, transaction_id: int | None = None
) -> SetChargingProfile:
    """The request that installs a template. Raises PayloadRefused."""
    plain = wire_of(template) | {"chargingProfileId": profile_id(template, connector_id)}
    if transaction_id is not None:
        plain["transactionId"] = transaction_id
    profile = profile_checked(plain)
    problem = connector_problem(profile.charging_profile_purpose, connector_id)
    if problem:
        raise PayloadRefused(problem, path="connectorId")
    return SetChargingProfile(connector_id=connector_id, cs_charging_profiles=profile)


def template_send(
    *,
    template: ChargingProfileTemplate,
    charge_points: Iterable[ChargePoint],
    connector_id: int,
    by: str = "",
    expires_in: int = EXPIRES_IN,
) -> Sent:
    """Send a template to a connector of each of many charge points. Raises CommandRefused.

    A TxProfile goes with the transactionId of the transaction that runs there (§5.16.2).
    """
    request = template_request(template, connector_id)
    takers, refused = _takers(list(charge_points), request)
    if template.purpose == ChargingProfilePurposeType.TX_PROFILE:
        return _send_to_transactions(template, takers, refused, connector_id, by, expires_in)
    batch = batch_send(charge_points=takers, request=request, by=by, expires_in=expires_in)
    batch.refused += [list(pair) for pair in refused]
    batch.save(update_fields=["refused"])
    return Sent(batch, [], [(identity, reason) for identity, reason in batch.refused])


def _takers(
    charge_points: list[ChargePoint], request: SetChargingProfile
) -> tuple[list[ChargePoint], list[tuple[str, str]]]:
    """Those whose own limits let them take the request; of the others identity and reason."""
    known = limits_known(charge_points)
    present: dict[int, list[InstalledProfile]] = {row.pk: [] for row in charge_points}
    for installed in profiles_assumed().filter(charge_point__in=list(known)):
        present[installed.charge_point_id].append(installed)
    takers, refused = [], []
    for row in charge_points:
        problem = limits_problem(
            known.get(row.pk, ProfileLimits()),
            request.cs_charging_profiles,
            connector_id=request.connector_id,
            present=present[row.pk],
        )
        if problem:
            refused.append((row.identity, problem))
        else:
            takers.append(row)
    return takers, refused


def _send_to_transactions(
    template: ChargingProfileTemplate,
    takers: list[ChargePoint],
    refused: list[tuple[str, str]],
    connector_id: int,
    by: str,
    expires_in: int,
) -> Sent:
    rows = Transaction.objects.filter(
        charge_point__in=takers, connector_id=connector_id, state=TransactionState.OPEN
    )
    running = dict(rows.values_list("charge_point_id", "transaction_id"))
    commands = []
    with transaction.atomic():
        for row in takers:
            number = running.get(row.pk)
            if number is None:
                reason = f"No transaction runs on connector {connector_id}."
                refused.append((row.identity, reason))
                continue
            request = template_request(template, connector_id, transaction_id=number)
            reason = obstacle(row, request)
            if reason:
                refused.append((row.identity, reason))
                continue
            commands.append(
                command_send(charge_point=row, request=request, by=by, expires_in=expires_in)
            )
    if not commands:
        raise CommandRefused(refused[0][1] if refused else "There is no charge point to send to.")
    return Sent(None, commands, refused)
