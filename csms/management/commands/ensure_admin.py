"""`manage.py ensure_admin`: the first administrator, its password printed once."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Create an administrator unless there is one; its password is printed this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", default="admin")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser(options["username"], password=password)
        self.stdout.write(
            f"Admin user {options['username']!r}, password {password!r} "
            "(shown only now; change it in the admin)"
        )
