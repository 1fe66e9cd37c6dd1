"""`manage.py simulate`: simulated charge points for a demonstration, bounded in time."""

import asyncio
import contextlib
import signal
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from csms.simulator import fleet
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.journal import Journal
from csms.simulator.json import JsonTransport
from csms.simulator.plan import Plan
from csms.simulator.soap import SoapTransport
from csms.simulator.transfer import is_loopback
from csms.simulator.transport import Transport


class Command(BaseCommand):
    help = "Run simulated charge points (DEMO-JSON-1 …, DEMO-SOAP-1 …) against a central system."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--json", type=int, default=2, help="charge points over JSON (2)")
        add("--soap", type=int, default=2, help="charge points over SOAP (2)")
        add(
            "--ws", default="ws://127.0.0.1:9000", help="where OCPP-J listens; the identity follows"
        )
        add("--soap-url", default="http://127.0.0.1:8000/ocpp/soap", help="where OCPP-S listens")
        add("--prefix", default="DEMO", help="first part of the identities (DEMO)")
        add("--password", default="", help="password of Basic authentication, as text")
        add(
            "--attached",
            action="store_true",
            help="read the password from the first line of standard input, and end with it",
        )
        add("--id-tag", action="append", help="idTag that charges; may be repeated (DEMO-TAG)")
        add("--connectors", type=int, default=2, help="connectors of each charge point (2)")
        add("--sessions", type=int, default=0, help="sessions on each connector (0: no end)")
        add("--duration", type=float, default=0, help="seconds until the end (0: until stopped)")
        add("--charge", type=float, default=60, help="seconds that a session charges (60)")
        add("--idle", type=float, default=10, help="seconds between sessions (10)")
        add("--interval", type=int, default=10, help="seconds between meter readings (10)")
        add("--power", type=float, default=11_000, help="W that a car draws (11000)")
        add("--transaction-data", action="store_true", help="send transactionData at the end")
        add("--speed", type=float, default=1, help="divides all waits: 60 makes minutes seconds")
        add("--seed", type=int, default=None, help="makes the random parts repeatable")
        add("--journal", default="", help="file for what was sent and acknowledged, JSON lines")
        add("--allow-remote", action="store_true", help="talk to other machines than this one")
        add("--quiet", action="store_true", help="only the summary")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["connectors"] < 1 or options["speed"] <= 0:
            raise CommandError("--connectors must be at least 1 and --speed above 0.")
        for url in (options["ws"], options["soap_url"]):
            if not (options["allow_remote"] or is_loopback(url)):
                raise CommandError(
                    f"{url} is not on this machine: add --allow-remote if you mean it."
                )
        reports = asyncio.run(self._run(options))
        failed = [report for report in reports if report.failed]
        for report in reports:
            self.stdout.write(str(report))
            for failure in report.failures:
                self.stdout.write(f"    {failure}")
        sessions = sum(report.sessions for report in reports)
        energy = sum(report.energy for report in reports)
        self.stdout.write(f"{len(reports)} charge points, {sessions} sessions, {energy} Wh.")
        if failed:
            raise CommandError(f"{len(failed)} of {len(reports)} charge points failed.")

    async def _run(self, options: dict[str, Any]) -> list[fleet.Report]:
        journal = Journal(options["journal"] or None)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        if options["attached"]:
            options["password"] = (await asyncio.to_thread(sys.stdin.readline)).strip()
            threading.Thread(
                target=self._until_input_ends, args=(loop, stopping), daemon=True
            ).start()
        try:
            return await fleet.run(
                self._charge_points(options, journal),
                duration=options["duration"],
                stopping=stopping,
            )
        finally:
            journal.close()

    @staticmethod
    def _until_input_ends(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
        """Who started us is gone, even by SIGKILL, when our input ends."""
        while sys.stdin.read(1):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stopping.set)

    def _charge_points(
        self, options: dict[str, Any], journal: Journal
    ) -> list[SimulatedChargePoint]:
        password = options["password"].encode() or None
        plan = Plan(
            id_tags=tuple(options["id_tag"] or ("DEMO-TAG",)),
            sessions=options["sessions"],
            charge=options["charge"],
            idle=options["idle"],
            interval=options["interval"],
            watts=options["power"],
            transaction_data=options["transaction_data"],
        )
        transports: dict[str, Transport] = {}
        for number in range(1, options["json"] + 1):
            identity = f"{options['prefix']}-JSON-{number}"
            transports[identity] = JsonTransport(options["ws"], password=password)
        for number in range(1, options["soap"] + 1):
            identity = f"{options['prefix']}-SOAP-{number}"
            transports[identity] = SoapTransport(options["soap_url"], password=password)
        return [
            SimulatedChargePoint(
                identity,
                transport=transport,
                connectors=options["connectors"],
                plan=plan,
                clock=Clock(speed=options["speed"]),
                journal=journal,
                seed=options["seed"],
                allow_remote=options["allow_remote"],
                on_event=None if options["quiet"] else self.stdout.write,
            )
            for identity, transport in transports.items()
        ]
