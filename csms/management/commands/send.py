"""`manage.py send CP1 Reset '{"type":"Soft"}'`: send a command and wait for its outcome."""

import getpass
import json
import os
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone

from csms.conf import settings
from csms.management.commands.charge_point import find
from csms.models import ChargePoint
from csms.models import Command as Row
from csms.models.commands import FINAL_STATES, CommandState, Effect
from csms.ocpp.base import Request
from csms.services.commands import (
    EXPIRES_IN,
    CommandRefused,
    PayloadRefused,
    batch_send,
    command_send,
    request_of,
)

REFUSED = 1
"""Exit status: not sent, because the charge point cannot take it, or there is none."""
USAGE = 2
"""Exit status: the words or the options are wrong, as argparse says it too."""
FAILED = 3
"""Exit status: error, time-out, expired, cancelled, or the effect was missing."""
WAITING = 4
"""Exit status: it still waits for a charge point."""
REJECTED = 5
"""Exit status: a charge point said no."""

LONGEST = 30 * 24 * 3600
"""Seconds that a command may wait."""

FILTERS = {
    "site": "site",
    "vendor": "vendor",
    "model": "model",
    "firmware": "firmware_version",
    "transport": "transport",
}


def is_online(charge_point: ChargePoint) -> bool:
    interval = settings().heartbeat_interval
    return charge_point.is_online(now=timezone.now(), heartbeat_interval=interval)


def who() -> str:
    """Who sends, for the records: in a container the account may have no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user {os.getuid()}"
    return f"shell: {name}"[:150]


class Command(BaseCommand):
    help = (
        'Send a command and wait for its outcome: send CP1 Reset \'{"type":"Soft"}\'. With --all '
        "or --filter the identity is left out. Exit status: 0 accepted; 1 not sent: it is refused "
        "for this charge point, or there is none; 2 wrong words or options; 3 failed: error, no "
        "answer, expired, cancelled, or no effect; 4 still waiting; 5 rejected. Of several charge "
        "points it is the highest."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "words",
            nargs="+",
            metavar="IDENTITY ACTION PAYLOAD",
            help="charge point, operation such as Reset, and the request as JSON (default {})",
        )
        parser.add_argument("--all", action="store_true", help="to all charge points")
        parser.add_argument(
            "--filter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"to those with this {', '.join(FILTERS)}; may be repeated",
        )
        parser.add_argument("--no-wait", action="store_true", help="only queue it")
        parser.add_argument("--wait", type=float, default=60, help="seconds to wait (60)")
        parser.add_argument("--effect", action="store_true", help="wait for the effect as well")
        parser.add_argument(
            "--expires-in", type=int, default=EXPIRES_IN, help="seconds until it is given up"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["expires_in"] <= LONGEST:
            text = f"--expires-in lies between 1 and {LONGEST} (30 days)."
            raise CommandError(text, returncode=USAGE)
        many = bool(options["all"] or options["filter"])
        identity, request = self._asked(options["words"], many=many)
        to = self._chosen(options["filter"]) if many else find(identity)
        try:
            commands, refused = self._sent(to, request, options["expires_in"])
        except PayloadRefused as error:
            raise CommandError(str(error), returncode=USAGE) from None
        except CommandRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        if options["no_wait"]:
            self.stdout.write(f"{len(commands)} queued.")
            if refused:
                raise SystemExit(REFUSED)
            return
        away = [c for c in commands if not is_online(c.charge_point)]
        if away:
            self.stdout.write(
                f"{away[0].charge_point}{f' and {len(away) - 1} others' if len(away) > 1 else ''}: "
                f"offline; waiting up to {options['wait']:g} s (Ctrl-C leaves it queued)."
            )
            self.stdout.flush()
        try:
            status = self._followed(commands, options["wait"], effect=options["effect"])
        except KeyboardInterrupt:
            self.stdout.write("What was not sent yet stays queued.")
            status = WAITING
        if refused:
            status = max(status, REFUSED)
        if status:
            raise SystemExit(status)

    def _sent(
        self, to: ChargePoint | QuerySet[ChargePoint], request: Request[Any], expires_in: int
    ) -> tuple[list[Row], bool]:
        """The commands, and whether a charge point of several could take none."""
        if isinstance(to, ChargePoint):
            return [
                command_send(charge_point=to, request=request, by=who(), expires_in=expires_in)
            ], False
        batch = batch_send(charge_points=to, request=request, by=who(), expires_in=expires_in)
        for identity, reason in batch.refused:
            self.stdout.write(f"{identity}: not sent: {reason}")
        return list(batch.commands.select_related("charge_point")), bool(batch.refused)

    def _followed(self, commands: list[Row], seconds: float, *, effect: bool) -> int:
        """Wait for all of them, print what became of each; the highest exit status."""
        deadline = time.monotonic() + seconds
        outcomes = (self._outcome(command, deadline, effect) for command in commands)
        return max(outcomes, default=0)

    def _asked(self, words: list[str], *, many: bool) -> tuple[str, Request[Any]]:
        """The identity (empty for many) and the request that the words say."""
        identity = "" if many else words.pop(0)
        if not 1 <= len(words) <= 2:
            text = "Say an identity (but not with --all), an action and a payload."
            raise CommandError(text, returncode=USAGE)
        try:
            payload = json.loads(words[1]) if len(words) == 2 else {}
        except ValueError as error:
            raise CommandError(f"The payload is no JSON: {error}.", returncode=USAGE) from None
        try:
            return identity, request_of(words[0], payload)
        except CommandRefused as error:
            raise CommandError(str(error), returncode=USAGE) from None

    def _chosen(self, filters: list[str]) -> QuerySet[ChargePoint]:
        chosen = ChargePoint.objects.all()
        for item in filters:
            name, given, value = item.partition("=")
            if name not in FILTERS or not given:
                text = f"--filter takes {', '.join(FILTERS)}, as in site=Graz."
                raise CommandError(text, returncode=USAGE)
            chosen = chosen.filter(**{FILTERS[name]: value})
        if not chosen.exists():
            raise CommandError("There is no such charge point.")
        return chosen

    def _outcome(self, command: Row, deadline: float, effect: bool) -> int:
        """Wait for one command, print what became of it, and return the exit status."""

        def open_still() -> bool:
            return command.state not in FINAL_STATES or (
                effect and command.effect == Effect.WAITING
            )

        command.refresh_from_db()
        while open_still() and time.monotonic() < deadline:
            time.sleep(0.1)
            command.refresh_from_db()
        status = (command.answer or {}).get("status", "")
        line = f"{command.charge_point} {command.action}: {command.get_state_display()}"
        if status and status.lower() != command.state:
            line += f" ({status})"
        if command.error:
            line += f": {command.error}"
        if command.effect and effect:
            line += f". {command.get_effect_display()}: {command.effect_text}"
        self.stdout.write(line)
        if command.answer and set(command.answer) - {"status"}:
            self.stdout.write(json.dumps(command.answer, indent=2))
        if command.state == CommandState.ACCEPTED:
            return FAILED if effect and command.effect == Effect.MISSING else 0
        if command.state == CommandState.REJECTED:
            return REJECTED
        if command.state in FINAL_STATES:
            return FAILED
        why = command.charge_point.callback_error
        self.stdout.write(f"It waits for the charge point. {why}".strip())
        return WAITING
