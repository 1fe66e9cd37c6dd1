"""`manage.py id_tag add|list|block|unblock`."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from csms.models import IdTag
from csms.services.authorization import IdTagTaken, id_tag_add, id_tag_block


class Command(BaseCommand):
    help = "idTags: add, list, block, unblock."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        add = actions.add_parser("add", help="make an idTag")
        add.add_argument("id_tag")
        add.add_argument("--parent", default="", help="parentIdTag: the group")
        add.add_argument("--name", default="")
        add.add_argument("--expires", default=None, help="a date or time, such as 2027-12-31")
        add.add_argument("--max-transactions", type=int, default=1, help="0: any number")
        actions.add_parser("list", help="all idTags, one a line")
        for name in ("block", "unblock"):
            actions.add_parser(name, help=f"{name} an idTag").add_argument("id_tag")

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        if what == "add":
            self._add(options)
        elif what == "list":
            self._list()
        else:
            try:
                row = id_tag_block(id_tag=options["id_tag"], blocked=what == "block")
            except IdTag.DoesNotExist:
                raise CommandError(f"There is no idTag {options['id_tag']}.") from None
            self.stdout.write(f"idTag {row} is {'blocked' if row.blocked else 'not blocked'}.")

    def _add(self, options: dict[str, Any]) -> None:
        if len(options["parent"]) > 20:
            raise CommandError("A parentIdTag has at most 20 characters.")
        if options["max_transactions"] < 0:
            raise CommandError("--max-transactions is 0 or more.")
        try:
            row = id_tag_add(
                id_tag=options["id_tag"],
                parent_id_tag=options["parent"],
                name=options["name"],
                expires_at=moment(options["expires"]),
                max_transactions=options["max_transactions"],
            )
        except IdTagTaken as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"idTag {row} added.")

    def _list(self) -> None:
        now = timezone.now()
        for row in IdTag.objects.iterator(chunk_size=500):
            expired = row.expires_at is not None and row.expires_at <= now
            state = "blocked" if row.blocked else "expired" if expired else "valid"
            parent = f"\tparent {row.parent_id_tag}" if row.parent_id_tag else ""
            self.stdout.write(f"{row.id_tag}\t{state}\t{row.name}{parent}")


def moment(text: str | None) -> datetime | None:
    """A date or time of the command line; without a zone it is UTC."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text} is no date; write one like 2027-12-31.") from None
    return read if read.tzinfo else timezone.make_aware(read)
