"""How local authorization lists stand: computed when somebody looks, from what is kept anyway."""

import enum
from collections.abc import Iterable
from typing import NamedTuple

from csms.models import ChargePoint, LocalList
from csms.models.commands import CommandState
from csms.ocpp.local_auth_list_management import SendLocalList
from csms.services.commands import operation_obstacle
from csms.services.configuration_rules import number_of, values_known
from csms.services.local_list_contents import Wanted

ENABLED = "LocalAuthListEnabled"
LIST_MAX = "LocalAuthListMaxLength"
SEND_MAX = "SendLocalListMaxLength"
LIMIT_KEYS = (ENABLED, LIST_MAX, SEND_MAX)
OPEN = (CommandState.QUEUED, CommandState.SENT)
PAGE = 1_000
"""Charge points that are looked at in one go."""


class State(enum.StrEnum):
    """What can be said of a list."""

    CURRENT = "up to date"
    STALE = "stale"
    NONE = "never sent"
    UPDATING = "updating"
    FAILED = "failed"
    OFF = "switched off"
    UNSUPPORTED = "not supported"


class ListState(NamedTuple):
    """The list of one charge point."""

    state: State
    why: str = ""
    version: int | None = None
    entries: int | None = None
    """That it has, as far as is known."""
    wanted: int = 0
    """That belong on it."""
    row: LocalList | None = None


def enabled(values: dict[str, str]) -> bool:
    """Whether a charge point uses its list, as far as its configuration is known."""
    return values.get(ENABLED.casefold(), "").strip().casefold() != "false"


def room(values: dict[str, str], size: int) -> int:
    """How many of so many entries a charge point takes."""
    most = number_of(values.get(LIST_MAX.casefold()))
    return size if most is None else min(most, size)


def under_way(row: LocalList) -> bool:
    """Whether an update of a list waits for an answer."""
    return row.target_id is not None and row.command is not None and row.command.state in OPEN


def list_states(
    charge_points: Iterable[ChargePoint], wanted: Wanted | None = None
) -> dict[int, ListState]:
    """How the lists of some charge points stand, by primary key. Four queries."""
    rows = {row.pk: row for row in charge_points}
    wanted = wanted or Wanted(rows)
    values = values_known(rows, LIMIT_KEYS)
    lists = {
        row.charge_point_id: row
        for row in LocalList.objects.filter(charge_point__in=rows)
        .select_related("command", "content", "target")
        .defer("content__entries", "target__entries", "command__payload", "command__answer")
    }
    return {pk: _state(row, lists.get(pk), values.get(pk, {}), wanted) for pk, row in rows.items()}


def _state(
    charge_point: ChargePoint, row: LocalList | None, values: dict[str, str], wanted: Wanted
) -> ListState:
    size = wanted.size(charge_point.pk)
    fits = room(values, size)
    left_out = f"Room for {fits:,} of {size:,} idTags." if fits < size else ""
    version = row.version if row else None
    entries = row.length if row and row.content_id else None

    def say(state: State, why: str = "") -> ListState:
        return ListState(state, why, version, entries, fits, row)

    obstacle = operation_obstacle(charge_point, SendLocalList)
    if obstacle:
        return say(State.UNSUPPORTED, obstacle)
    if not enabled(values):
        return say(State.OFF, f"{ENABLED} is false: the charge point does not use its list.")
    if row is None:
        return say(State.NONE, left_out)
    if under_way(row):
        assert row.command is not None
        return say(State.UPDATING, f"{row.command.action} is {row.command.state}")
    if not row.supported:
        return say(State.UNSUPPORTED, row.problem)
    if row.problem:
        return say(State.FAILED, row.problem)
    if row.target_id is not None:
        return say(State.FAILED, _ended(row))
    if row.content is None:
        if row.version in (None, 0):
            return say(State.NONE, left_out)
        return say(State.STALE, "What it has did not come from here.")
    if row.content.digest != wanted.digest(charge_point.pk) or row.length != fits:
        return say(State.STALE, left_out or "idTags have changed since.")
    return say(State.CURRENT, left_out)


def _ended(row: LocalList) -> str:
    """Why an update stands still."""
    if row.command is None:
        return "The update was given up."
    return f"{row.command.action}: {row.command.state}. {row.command.error}".strip()


def charge_points_in(states: Iterable[State]) -> list[int]:
    """The charge points whose lists are in one of these states. Reads the fleet, a thousand at a
    time: for ten thousand charge points about a second."""
    asked = frozenset(states)
    found: list[int] = []
    wanted = Wanted([])
    last = 0
    columns = ("identity", "transport", "version", "registration", "feature_profiles")
    while page := list(
        ChargePoint.objects.filter(pk__gt=last).order_by("pk").only(*columns)[:PAGE]
    ):
        found += [
            pk
            for pk, one in list_states(page, wanted.of(row.pk for row in page)).items()
            if one.state in asked
        ]
        last = page[-1].pk
    return found
