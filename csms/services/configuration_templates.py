"""Templates of configuration values: which hold for a charge point, where it drifts from them, and
how that is repaired."""

import enum
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from csms.models import (
    ChargePoint,
    Command,
    CommandBatch,
    ConfigurationKey,
    ConfigurationState,
    ConfigurationTemplate,
)
from csms.models.commands import CommandState
from csms.ocpp.base import validated
from csms.ocpp.configuration_keys import comparable, value_problem
from csms.ocpp.core import ChangeConfiguration
from csms.ocpp.errors import ProtocolError
from csms.services.commands import EXPIRES_IN, batch_send
from csms.services.secrets import holds_mask, is_secret, masked

MOST_VALUES = 200
CONDITIONS = ("site", "model", "vendor")
"""Of a template; one with the first of them goes before those without it, and so on."""

Values = list[list[str]]
"""[[key, value], …]"""


class TemplateInvalid(ValueError):
    """The template cannot be kept; the message says why, `field` and `place` say where."""

    def __init__(self, text: str, *, field: str = "values", place: int | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.place = place


# --------------------------------------------------------------------------- keeping them


def values_checked(values: Iterable[Sequence[str]]) -> Values:
    """Keys and values as a template keeps them. Raises TemplateInvalid."""
    kept: Values = []
    seen: set[str] = set()
    for place, (name, text) in enumerate(values):
        key, value = name.strip(), text.strip()
        problem = _problem(key, value)
        if not problem and key.casefold() in seen:
            problem = f"{key} is there more than once."
        if problem:
            raise TemplateInvalid(problem, place=place)
        seen.add(key.casefold())
        kept.append([key, value])
    if not kept:
        raise TemplateInvalid("A template has at least one key.")
    if len(kept) > MOST_VALUES:
        raise TemplateInvalid(f"A template has at most {MOST_VALUES} keys.")
    return kept


def _problem(key: str, value: str) -> str:
    if not key:
        return "A configuration key has a name."
    # WP A01.FR.09: a secret is neither kept nor shown.
    if is_secret(key):
        return f"{key} looks like a secret, which no template keeps."
    if masked(value) != value or holds_mask(value):
        return f"{key} holds a password, which no template keeps."
    try:
        validated(ChangeConfiguration(key=key, value=value))
    except ProtocolError as error:
        return f"{key[:50]}: {error.description}"
    return value_problem(key, value)


def template_add(*, name: str, values: Iterable[Sequence[str]], **conditions: str) -> Any:
    """Keep a template; `conditions` are vendor, model, site. Raises TemplateInvalid."""
    return template_change(template=ConfigurationTemplate(), name=name, values=values, **conditions)


def template_change(
    *,
    template: ConfigurationTemplate,
    values: Iterable[Sequence[str]] | None = None,
    **columns: str,
) -> ConfigurationTemplate:
    """Change a template; what is not given stays. Raises TemplateInvalid."""
    for column, text in columns.items():
        setattr(template, column, text.strip())
    template.values = values_checked(template.values if values is None else values)
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise TemplateInvalid("There is a template of this name.", field="name") from None
    return template


# -------------------------------------------------------------------- what a template means


class Wish(NamedTuple):
    """A value that a key should have."""

    key: str
    value: str
    template: str
    order: tuple[int, int]
    """Of the template among the others, and of the key in it: wishes are sent in this order."""


class Templates:
    """All templates, the least specific first: of two that say something of a key, the later
    counts."""

    def __init__(self) -> None:
        rows = list(ConfigurationTemplate.objects.all())
        self.rows = sorted(rows, key=lambda row: (*_specific(row), row.pk))
        self.keys = {key.casefold() for row in self.rows for key, _ in row.values}

    def wishes(self, charge_point: ChargePoint) -> dict[str, Wish]:
        """Case-folded key → what it should be, in the order in which they are sent."""
        found: dict[str, Wish] = {}
        for rank, row in enumerate(self.rows):
            if all(getattr(row, c) in ("", getattr(charge_point, c)) for c in CONDITIONS):
                for place, (key, value) in enumerate(row.values):
                    found[key.casefold()] = Wish(key, value, row.name, (rank, place))
        return dict(sorted(found.items(), key=lambda pair: pair[1].order))

    def drifting(self) -> Q:
        """The charge points of which a key is known to be other than it should be."""
        condition = Q(pk__in=[])
        for rank, row in enumerate(self.rows):
            for key, value in row.values:
                folded = key.casefold()
                others = [
                    _meets(later)
                    for later in self.rows[rank + 1 :]
                    if folded in {name.casefold() for name, _ in later.values}
                ]
                other = ConfigurationKey.objects.filter(
                    charge_point=OuterRef("pk"), folded=folded
                ).exclude(known=True, compared=comparable(key, value))
                met = _meets(row) & Q(Exists(other))
                for condition_of_later in others:
                    met &= ~condition_of_later
                condition |= met
        return condition


def _specific(row: ConfigurationTemplate) -> tuple[bool, ...]:
    return tuple(bool(getattr(row, condition)) for condition in CONDITIONS)


def _meets(row: ConfigurationTemplate) -> Q:
    """The charge points for which a template holds."""
    given = {name: getattr(row, name) for name in CONDITIONS if getattr(row, name)}
    return Q(**given) if given else Q(pk__gt=0)


# ----------------------------------------------------------------------------------- drift


class Why(enum.StrEnum):
    """Why a key is not as it should be."""

    DIFFERS = "differs"
    READ_ONLY = "read-only"
    UNKNOWN = "no such key"
    REBOOT = "reboot required"
    UNREAD = "not read"

    @property
    def words(self) -> str:
        """One sentence."""
        return _WORDS[self]


_WORDS = {
    Why.DIFFERS: "It has another value.",
    Why.READ_ONLY: "It has another value and can only be read: this cannot be repaired.",
    Why.UNKNOWN: "The charge point has no such key: this cannot be repaired.",
    Why.REBOOT: "It was set, and holds after a reboot.",
    Why.UNREAD: "It is not known what it has: read its configuration.",
}


class Drift(NamedTuple):
    """A key of a charge point that is not as it should be, as far as is known."""

    wish: Wish
    actual: str | None
    """None: not known."""
    why: Why

    @property
    def repairable(self) -> bool:
        return self.why is Why.DIFFERS


def drifts_of(
    charge_points: Iterable[ChargePoint], templates: Templates | None = None
) -> dict[int, list[Drift]]:
    """Where charge points drift (primary key), each in the order of its wishes. Three queries."""
    rows, known = list(charge_points), Templates() if templates is None else templates
    keys: dict[tuple[int, str], ConfigurationKey] = {
        (key.charge_point_id, key.folded): key
        for key in ConfigurationKey.objects.filter(
            charge_point__in=rows, folded__in=known.keys
        ).order_by()
    }
    states = ConfigurationState.objects.filter(charge_point__in=rows)
    read = dict(states.values_list("charge_point_id", "read_at"))
    found: dict[int, list[Drift]] = {}
    for row in rows:
        found[row.pk] = [
            drift
            for folded, wish in known.wishes(row).items()
            if (drift := _drift(row, wish, keys.get((row.pk, folded)), read.get(row.pk)))
        ]
    return found


def _drift(
    charge_point: ChargePoint, wish: Wish, key: ConfigurationKey | None, read_at: datetime | None
) -> Drift | None:
    wanted = comparable(wish.key, wish.value)
    if key is None:
        return Drift(wish, None, Why.UNREAD if read_at is None else Why.UNKNOWN)
    if not key.known:
        return Drift(wish, None, Why.UNKNOWN)
    if key.pending_at is not None and comparable(wish.key, key.pending) == wanted:
        booted_at = charge_point.booted_at
        waits = booted_at is None or booted_at <= key.pending_at
        return Drift(wish, key.value, Why.REBOOT if waits else Why.UNREAD)
    if key.compared == wanted:
        return None
    return Drift(wish, key.value, Why.READ_ONLY if key.readonly else Why.DIFFERS)


# ---------------------------------------------------------------------------------- repair


class Repair(NamedTuple):
    """What was sent to repair drift, and what cannot be."""

    batches: list[CommandBatch]
    """One for each key and value, in the order in which they are sent."""
    left: list[tuple[str, str]]
    """Identity, and one sentence about a key."""


def drift_repair(
    *, charge_points: Iterable[ChargePoint], by: str = "", expires_in: int = EXPIRES_IN
) -> Repair:
    """Send ChangeConfiguration for each key that drifts, in the order of the templates."""
    rows = {row.pk: row for row in charge_points}
    under_way = _under_way(rows)
    wanted: dict[tuple[tuple[int, int], str, str], list[ChargePoint]] = {}
    left: list[tuple[str, str]] = []
    for pk, drifts in drifts_of(rows.values()).items():
        for drift in drifts:
            wish, row = drift.wish, rows[pk]
            if not drift.repairable:
                left.append((row.identity, f"{wish.key}: {drift.why.words}"))
            elif (pk, wish.key.casefold(), wish.value) in under_way:
                left.append((row.identity, f"{wish.key}: It is being set already."))
            else:
                wanted.setdefault((wish.order, wish.key, wish.value), []).append(row)
    batches = []
    for (_, key, value), some in sorted(wanted.items(), key=lambda pair: pair[0]):
        request = ChangeConfiguration(key=key, value=value)
        # A transaction each: others may write in between, and what was begun is not sent again.
        batch = batch_send(charge_points=some, request=request, by=by, expires_in=expires_in)
        left += [(identity, f"{key}: {reason}") for identity, reason in batch.refused]
        batches.append(batch)
    return Repair(batches, left)


def _under_way(charge_points: Iterable[int]) -> set[tuple[int, str, str]]:
    """Charge point, case-folded key and value of the changes that have yet to be answered."""
    rows = Command.objects.filter(
        charge_point__in=charge_points,
        action="ChangeConfiguration",
        state__in=[CommandState.QUEUED, CommandState.SENT],
    )
    return {
        (pk, str(payload["key"]).casefold(), str(payload["value"]))
        for pk, payload in rows.values_list("charge_point_id", "payload")
    }
