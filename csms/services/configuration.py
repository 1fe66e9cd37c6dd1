"""Configuration keys as charge points tell them (§5.8) and accept them (§5.3): stored, read anew.

A secret's value is never stored: what is kept of it is that the key exists.
"""

import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from msgspec import UNSET

from csms.models import ChargePoint, Command, CommandBatch, ConfigurationKey, ConfigurationState
from csms.models.commands import CommandState
from csms.ocpp.base import Profile
from csms.ocpp.configuration_keys import STANDARD, Access, comparable
from csms.ocpp.core import GetConfiguration
from csms.services.commands import EXPIRES_IN, CommandRefused, batch_send, command_send
from csms.services.configuration_rules import MAX_KEYS, number_of, values_known
from csms.services.secrets import is_secret

UNTOLD_MAX_KEYS = 10
"""Keys of one question to a charge point that does not have GetConfigurationMaxKeys."""

PROFILES = {profile.value.casefold(): profile.value for profile in Profile}
"""Names of SupportedFeatureProfiles, case-folded → as OCPP 1.6 writes them."""


def configuration_answered(command: Command, *, now: datetime) -> None:
    """Keep what an ended command tells of the configuration. The caller saves the command."""
    accepted = command.state == CommandState.ACCEPTED
    if command.action == "GetConfiguration" and accepted:
        _keys_told(command, now)
        _profiles_learn(command)
        _reading_continue(command, now)
    elif command.action == "ChangeConfiguration" and command.answer:
        _key_changed(command, now)


# ------------------------------------------------------------------------- what is stored


def _keys_told(command: Command, now: datetime) -> None:
    """Keep each key of an answer; one that was asked for and not told is not known to it."""
    answer = command.answer or {}
    asked = command.payload.get("key") or ()
    told = [_row(command, key, now, known=False) for key in asked]
    told += [_row(command, key, now, known=False) for key in answer.get("unknownKey") or ()]
    told += [
        _row(
            command,
            item["key"],
            now,
            value="" if is_secret(item["key"]) else str(item.get("value", "")),
            readonly=item.get("readonly"),
        )
        for item in answer.get("configurationKey") or ()
    ]
    rows = {row.folded: row for row in told}  # the last word counts
    ConfigurationKey.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["charge_point", "folded"],
        update_fields=["key", "value", "compared", "readonly", "known", "read_at"],
    )
    own = ConfigurationKey.objects.filter(charge_point=command.charge_point_id)
    if not asked and not _is_cut(command):
        # 5.8: "all configuration settings"; what it no longer tells is gone
        own.exclude(folded__in=rows).delete()
        _read(command, now)
    _pending_settle(command, own)


def _is_cut(command: Command) -> bool:
    """Whether an answer has just as many keys as the charge point tells at once: some keep to
    GetConfigurationMaxKeys also when they are asked for all, and leave out the rest (N36)."""
    limits = values_known([command.charge_point_id], [MAX_KEYS])
    told = limits.get(command.charge_point_id, {}).get(MAX_KEYS.casefold())
    return number_of(told) == len((command.answer or {}).get("configurationKey") or ())


def _row(
    command: Command,
    key: str,
    now: datetime,
    *,
    value: str = "",
    readonly: bool | None = None,
    known: bool = True,
) -> ConfigurationKey:
    return ConfigurationKey(
        charge_point_id=command.charge_point_id,
        key=key[:255],
        folded=key.casefold()[:255],
        value=value,
        compared=comparable(key, value),
        readonly=readonly,
        known=known,
        read_at=now,
    )


def _pending_settle(command: Command, own: Any) -> None:
    """Forget the values that wait for a reboot, once they were told or the boot came."""
    booted_at = command.charge_point.booted_at
    for row in own.filter(pending_at__isnull=False):
        rebooted = booted_at is not None and booted_at > row.pending_at
        if rebooted or row.compared == comparable(row.key, row.pending):
            row.pending, row.pending_at = "", None
            row.save(update_fields=["pending", "pending_at"])


def _read(command: Command, now: datetime) -> None:
    ConfigurationState.objects.update_or_create(
        charge_point=command.charge_point, defaults={"read_at": now}
    )


def _profiles_learn(command: Command) -> None:
    """SupportedFeatureProfiles, where it is a list; some charge points answer "true"."""
    for item in (command.answer or {}).get("configurationKey") or ():
        if item["key"].casefold() == "supportedfeatureprofiles":
            told = [name.strip() for name in str(item.get("value", "")).split(",")]
            names = [PROFILES.get(name.casefold(), name) for name in told]  # N31: of any case
            if Profile.CORE.value in names:
                command.charge_point.feature_profiles = ",".join(names)[:255]
                command.charge_point.save(update_fields=["feature_profiles"])


def _key_changed(command: Command, now: datetime) -> None:
    """§5.3: Accepted, RebootRequired: it has the value then; NotSupported: it has no such key."""
    key, status = command.payload["key"], (command.answer or {}).get("status")
    value = "" if is_secret(key) else command.payload["value"]
    columns: dict[str, Any]
    match status:
        case "Accepted":
            columns = {"value": value, "compared": comparable(key, value), "known": True}
            columns |= {"pending": "", "pending_at": None}
        case "RebootRequired":
            columns = {"pending": value, "pending_at": now, "known": True}
        case "NotSupported":
            columns = {"known": False, "value": "", "compared": ""}
        case _:
            return
    ConfigurationKey.objects.update_or_create(
        charge_point=command.charge_point,
        folded=key.casefold(),
        defaults=columns,
        create_defaults=columns | {"key": key},
    )


# -------------------------------------------------------------------------------- reading


def configuration_read(
    *, charge_points: Iterable[ChargePoint], by: str = "", expires_in: int = EXPIRES_IN
) -> list[CommandBatch]:
    """Ask charge points for their configuration: all at once, or key by key where it must be, as
    many at a time as GetConfigurationMaxKeys says (N36). What follows is asked when the answer
    came. One batch for each different question."""
    rows = list(charge_points)
    names = _names([row for row in rows if row.configuration_by_name])
    limits = values_known(rows, [MAX_KEYS])
    questions: dict[tuple[str, ...], list[ChargePoint]] = {}
    rest: dict[int, list[str]] = {}
    for row in rows:
        most = _most_keys(limits, row.pk)
        asked, rest[row.pk] = _chunk(names.get(row.pk, []), most)
        questions.setdefault(tuple(asked), []).append(row)
    batches = []
    with transaction.atomic():
        for question, some in questions.items():
            batch = batch_send(
                charge_points=some,
                request=GetConfiguration(key=question or UNSET),
                by=by,
                expires_in=expires_in,
            )
            sent = batch.commands.values_list("charge_point_id", "pk")
            ConfigurationState.objects.bulk_create(
                [
                    ConfigurationState(charge_point_id=pk, command_id=command, reading=rest[pk])
                    for pk, command in sent
                ],
                update_conflicts=True,
                unique_fields=["charge_point"],
                update_fields=["command", "reading"],
            )
            batches.append(batch)
    return batches


def _names(charge_points: list[ChargePoint]) -> dict[int, list[str]]:
    """The keys to ask for by name: GetConfigurationMaxKeys, the standard ones that can be read, and
    those of which the charge point has told."""
    standard = [key.name for key in STANDARD.values() if key.access is not Access.WRITE]
    standard.sort(key=lambda name: name != MAX_KEYS)
    found = {row.pk: dict.fromkeys(standard) for row in charge_points}
    own = ConfigurationKey.objects.filter(charge_point__in=charge_points, known=True)
    for pk, key in own.order_by("folded").values_list("charge_point_id", "key"):
        if key.casefold() not in STANDARD and len(key) <= 50 and not is_secret(key):
            found[pk][key] = None
    return {pk: list(names) for pk, names in found.items()}


def _most_keys(limits: dict[int, dict[str, str]], charge_point: int) -> int | None:
    """How many keys a charge point tells at once; None: it is not known."""
    told = limits.get(charge_point, {}).get(MAX_KEYS.casefold())
    return None if told is None else number_of(told) or UNTOLD_MAX_KEYS


def _chunk(names: list[str], most: int | None) -> tuple[list[str], list[str]]:
    """What to ask now, and what later. While the limit is not known, it is asked for alone."""
    return names[: most or 1], names[most or 1 :]


def _reading_continue(command: Command, now: datetime) -> None:
    """Ask for the next keys of a reading, or note that it is complete."""
    state = ConfigurationState.objects.filter(command=command).first()
    if state is None:
        return
    if not command.payload.get("key"):
        if not _is_cut(command):
            return
        state.reading = _untold(command)
    if not state.reading:
        _read(command, now)
        return
    limits = values_known([command.charge_point_id], [MAX_KEYS])
    asked, rest = _chunk(state.reading, _most_keys(limits, command.charge_point_id))
    with contextlib.suppress(CommandRefused):
        state.command = command_send(
            charge_point=command.charge_point,
            request=GetConfiguration(key=tuple(asked)),
            by=command.requested_by,
        )
        state.reading = rest
        state.save(update_fields=["command", "reading"])


def _untold(command: Command) -> list[str]:
    """The keys that an answer to a question for all has left out, as far as they have names."""
    answered = (command.answer or {}).get("configurationKey") or ()
    told = {item["key"].casefold() for item in answered}
    names = _names([command.charge_point])[command.charge_point_id]
    return [name for name in names if name.casefold() not in told]


def reading_problem(state: ConfigurationState | None) -> str:
    """Why the latest reading of a configuration has ended early; empty when it has not."""
    command = state.command if state else None
    if command is None or command.state in ("queued", "sent", "accepted"):
        return ""
    return f"GetConfiguration: {command.state}. {command.error}".strip()


def pending_now(row: ConfigurationKey, booted_at: datetime | None) -> bool:
    """Whether a key has a value that waits for a reboot."""
    return row.pending_at is not None and (booted_at is None or booted_at <= row.pending_at)


def configuration_of(charge_point: ChargePoint) -> list[ConfigurationKey]:
    """What a charge point is known to have, by name; secrets without their values."""
    return list(ConfigurationKey.objects.filter(charge_point=charge_point).order_by("folded"))
