"""`manage.py api_token add|list|revoke`."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from csms.management.commands.id_tag import moment
from csms.models import ApiToken
from csms.services.roles import ROLES
from csms.services.tokens import TokenInvalid, token_add, token_revoke


class Command(BaseCommand):
    help = "Tokens of the REST API: add, list, revoke."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        add = actions.add_parser("add", help="make a token and print it, this once")
        add.add_argument("name", help="what will use it")
        whose = add.add_mutually_exclusive_group()
        whose.add_argument("--user", default="", help="act as this user, with its permissions")
        whose.add_argument(
            "--role", choices=ROLES, default="", help="a user of its own with this role"
        )
        whose.add_argument(
            "--can",
            default="read",
            metavar="WHAT",
            help="a user of its own with these permissions. read; operate: read and send commands; "
            "all: also make and change charge points and idTags; or names of permissions by comma, "
            "such as view_chargepoint,send_reset (read)",
        )
        add.add_argument("--expires", default=None, help="a date or time, such as 2027-12-31")
        actions.add_parser("list", help="all tokens, one a line")
        actions.add_parser("revoke", help="let nobody in with it any more").add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "add":
            self._add(options)
        elif options["what"] == "list":
            self._list()
        else:
            token = ApiToken.objects.filter(name=options["name"]).first()
            if token is None:
                raise CommandError(f"There is no token {options['name']}.")
            token_revoke(token=token)
            self.stdout.write(f"Token {token} is revoked.")

    def _add(self, options: dict[str, Any]) -> None:
        user = None
        if options["user"]:
            user = User.objects.filter(username=options["user"]).first()
            if user is None:
                raise CommandError(f"There is no user {options['user']}.")
        try:
            _, text = token_add(
                name=options["name"],
                user=user,
                can=options["can"],
                role=options["role"],
                expires_at=moment(options["expires"]),
            )
        except TokenInvalid as error:
            raise CommandError(str(error)) from None
        self.stderr.write("Keep it well: it is shown only now.")
        self.stdout.write(text)

    def _list(self) -> None:
        now = timezone.now()
        for token in ApiToken.objects.select_related("user"):
            expired = token.expires_at is not None and token.expires_at <= now
            state = "revoked" if token.revoked else "expired" if expired else "valid"
            used = f"{token.last_used_at:%Y-%m-%d %H:%M:%SZ}" if token.last_used_at else "never"
            self.stdout.write(f"{token}\t{state}\tuser {token.user}\tlast used {used}")
