"""`manage.py backup FILE`: a copy of the SQLite database, while the server runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from csms.services.backup import BackupRefused, database_backup


class Command(BaseCommand):
    help = "Copy the SQLite database into a file while the server runs; the copy is checked."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--force", action="store_true", help="overwrite the file")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["file"]
        try:
            backup = database_backup(target=target, overwrite=options["force"])
        except BackupRefused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(
            f"{target}: {backup.size / 1e6:.1f} MB, {backup.transactions:,} transactions; "
            "the copy was checked."
        )
        key = Path(settings.DATA_DIR) / "secret_key"
        if key.exists():
            self.stdout.write(f"Not in it: {key}. Keep a copy of that as well, apart from this.")
