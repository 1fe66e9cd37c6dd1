"""`manage.py charge_point add|list|set-password|new-key|accept|reject`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from csms.conf import settings
from csms.models import ChargePoint
from csms.models.charge_points import (
    Registration,
    SecurityProfile,
    SoapProof,
    Strictness,
    Transport,
)
from csms.services.charge_points import (
    ChargePointInvalid,
    ChargePointTaken,
    charge_point_add,
    key_generated,
    password_set,
    registration_set,
)


class Command(BaseCommand):
    help = "Charge points: add, list, set-password, new-key, accept, reject."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        add = actions.add_parser("add", help="make a charge point")
        add.add_argument("identity")
        add.add_argument("--transport", choices=Transport.values, required=True)
        add.add_argument(
            "--profile",
            type=int,
            choices=SecurityProfile.values,
            default=SecurityProfile.BASIC,
            help="security profile: " + "; ".join(SecurityProfile.labels),
        )
        add.add_argument(
            "--password",
            default="",
            help="for profiles 1 and 2; without, a key is made and printed",
        )
        add.add_argument("--certificate-name", default="", help="profile 3: its common name (CN)")
        add.add_argument(
            "--soap-proof",
            choices=SoapProof.values,
            default=SoapProof.BASIC,
            help="SOAP: whether the password comes with HTTP Basic or ends the URL's path",
        )
        add.add_argument("--name", default="")
        add.add_argument("--site", default="")
        add.add_argument("--time-zone", default="UTC", help="such as Europe/Vienna")
        add.add_argument("--strict", action="store_true", help="refuse deviations")
        add.add_argument("--callback-url", default="", help="SOAP: where to call it, pinned")
        actions.add_parser("list", help="all charge points, one a line")
        password = actions.add_parser("set-password", help="change or, with '', remove it")
        password.add_argument("identity")
        password.add_argument("password")
        key = actions.add_parser(
            "new-key", help="make a key in place of the password; printed once"
        )
        key.add_argument("identity")
        for name in ("accept", "reject"):
            actions.add_parser(name, help=f"{name} a charge point").add_argument("identity")

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        if what == "add":
            self._add(options)
        elif what == "list":
            self._list()
        elif what == "set-password":
            password_set(charge_point=find(options["identity"]), password=options["password"])
            self.stdout.write(f"The password of {options['identity']} is set.")
        elif what == "new-key":
            charge_point, key = find(options["identity"]), key_generated(SecurityProfile.BASIC)
            password_set(charge_point=charge_point, password=key)
            self._tell(key)
        else:
            registration = Registration.ACCEPTED if what == "accept" else Registration.REJECTED
            registration_set(charge_point=find(options["identity"]), registration=registration)
            self.stdout.write(f"{options['identity']} is {registration.label}.")

    def _add(self, options: dict[str, Any]) -> None:
        key = "" if options["password"] else key_generated(options["profile"])
        try:
            charge_point = charge_point_add(
                identity=options["identity"],
                transport=options["transport"],
                password=options["password"] or key,
                security_profile=options["profile"],
                certificate_name=options["certificate_name"],
                soap_proof=options["soap_proof"],
                name=options["name"],
                site=options["site"],
                time_zone=options["time_zone"],
                strictness=Strictness.STRICT if options["strict"] else Strictness.TOLERANT,
                callback_url=options["callback_url"],
            )
        except (ChargePointTaken, ChargePointInvalid) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Charge point {charge_point} added ({charge_point.transport}).")
        if key:
            self._tell(key)

    def _tell(self, key: str) -> None:
        self.stdout.write(f"Its key, to be entered in it; only this time it is shown: {key}")

    def _list(self) -> None:
        now, interval = timezone.now(), settings().heartbeat_interval
        for row in ChargePoint.objects.iterator(chunk_size=500):
            online = row.is_online(now=now, heartbeat_interval=interval)
            seen = f"{row.last_seen:%Y-%m-%d %H:%M:%SZ}" if row.last_seen else "never"
            self.stdout.write(
                f"{row.identity}\t{row.transport}\t{row.registration}\t"
                f"{'online' if online else 'offline'}\tlast seen {seen}\t{row.vendor} {row.model}"
            )


def find(identity: str) -> ChargePoint:
    """The charge point of an identity, or one clear line."""
    charge_point = ChargePoint.objects.filter(identity=identity).first()
    if charge_point is None:
        raise CommandError(f"There is no charge point {identity}.")
    return charge_point
