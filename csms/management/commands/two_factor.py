"""`manage.py two_factor list|reset`."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from csms.services.two_factor import backup_codes_left, is_enrolled, two_factor_reset


class Command(BaseCommand):
    help = "Second factors of the admin's users: list, reset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        actions.add_parser("list", help="who may log in to the admin, and who has a second factor")
        reset = actions.add_parser(
            "reset", help="for who has lost app and backup codes; signs the user out everywhere"
        )
        reset.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "list":
            for user in User.objects.filter(is_staff=True).order_by("username"):
                state = "none"
                if is_enrolled(user):
                    state = f"set up\tbackup codes left {backup_codes_left(user)}"
                self.stdout.write(f"{user}\t{state}")
            return
        try:
            user = User.objects.get(username=options["username"])
        except User.DoesNotExist:
            raise CommandError(f"There is no user {options['username']}.") from None
        if not is_enrolled(user):
            raise CommandError(f"{user} has no second factor: nothing was reset.")
        two_factor_reset(user=user)
        self.stdout.write(f"The second factor of {user} is reset.")
