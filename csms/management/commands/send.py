"""`manage.py send CP1 Reset '{"type":"Soft"}'`: send a command and wait for its outcome."""

import getpass
import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from csms.management.commands.charge_point import find
from csms.models.commands import FINAL_STATES, CommandState
from csms.models.commands import Command as Row
from csms.services.commands import EXPIRES_IN, CommandRefused, command_send, request_of

REJECTED = 2
"""Exit status: the charge point said no."""
FAILED = 3
"""Exit status: error, time-out, expired or cancelled."""
WAITING = 4
"""Exit status: it still waits for the charge point."""


class Command(BaseCommand):
    help = "Send a command to a charge point and wait for its outcome; the exit status says it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("identity")
        parser.add_argument("action", help="such as Reset, TriggerMessage, RemoteStartTransaction")
        parser.add_argument("payload", nargs="?", default="{}", help="the request as JSON")
        parser.add_argument("--no-wait", action="store_true", help="only queue it")
        parser.add_argument("--wait", type=float, default=60, help="seconds to wait (60)")
        parser.add_argument(
            "--expires-in", type=int, default=EXPIRES_IN, help="seconds until it is given up"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            payload = json.loads(options["payload"])
        except ValueError as error:
            raise CommandError(f"The payload is no JSON: {error}.") from None
        if options["expires_in"] <= 0:
            raise CommandError("--expires-in is at least 1.")
        try:
            command = command_send(
                charge_point=find(options["identity"]),
                request=request_of(options["action"], payload),
                by=f"shell: {getpass.getuser()}",
                expires_in=options["expires_in"],
            )
        except CommandRefused as error:
            raise CommandError(str(error)) from None
        if options["no_wait"]:
            self.stdout.write(f"Command {command.pk} is queued.")
            return
        self._wait(command, options["wait"])

    def _wait(self, command: Row, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while command.state not in FINAL_STATES and time.monotonic() < deadline:
            time.sleep(0.1)
            command.refresh_from_db()
        status = (command.answer or {}).get("status", "")
        line = f"Command {command.pk} ({command.action}): {command.get_state_display()}"
        if status and status.lower() != command.state:
            line += f" ({status})"
        if command.error:
            line += f": {command.error}"
        self.stdout.write(line)
        if command.answer and set(command.answer) - {"status"}:
            self.stdout.write(json.dumps(command.answer, indent=2))
        if command.state == CommandState.ACCEPTED:
            return
        if command.state == CommandState.REJECTED:
            raise SystemExit(REJECTED)
        if command.state in FINAL_STATES:
            raise SystemExit(FAILED)
        self.stdout.write(
            "It still waits for the charge point; the admin shows what becomes of it."
        )
        raise SystemExit(WAITING)
