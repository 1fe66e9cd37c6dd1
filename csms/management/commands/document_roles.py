"""Writes the table of roles and permissions in docs/access.md from csms/services/roles.py."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand

from csms.models.commands import permission_of
from csms.services.roles import (
    ADMIN,
    COMMANDS,
    DAILY,
    HELD_BACK,
    MANAGED,
    ROLES,
    SHOWN,
    role_of_command,
    role_of_model,
)

BEGIN = "<!-- made by manage.py document_roles -->\n"
END = "<!-- end -->\n"


def roles_table() -> str:
    """Who may what, as Markdown: a row for what is done to each kind of record, and for each
    operation; the permission's name beside it."""
    lines = [
        f"| May | Permission | {' | '.join(ROLES)} |\n",
        f"|---|---|{'---|' * len(ROLES)}\n",
    ]
    for model in (*SHOWN, *HELD_BACK):
        least = role_of_model(model, "view")
        lines.append(_row(f"see {_plural(model)}", (f"view_{model}",), least))
    for model in MANAGED:
        names = tuple(f"{verb}_{model}" for verb in ("add", "change", "delete"))
        least = role_of_model(model, "add")
        lines.append(_row(f"add, change, delete {_plural(model)}", names, least))
    for name in sorted(COMMANDS, key=lambda name: (name not in DAILY, name)):
        lines.append(_row(f"send {name}", (permission_of(name),), role_of_command(name)))
    lines.append(_row("everything else: users, groups, API tokens", (), ADMIN))
    return "".join(lines)


def _plural(model: str) -> str:
    return str(apps.get_model("csms", model)._meta.verbose_name_plural)


def _row(what: str, names: tuple[str, ...], least: str) -> str:
    rank = ROLES.index(least)
    marks = " | ".join("yes" if number >= rank else "" for number in range(len(ROLES)))
    quoted = ", ".join(f"`{name}`" for name in names)
    return f"| {what} | {quoted} | {marks} |\n"


def page_with_table(page: str) -> str:
    """The page with the table as the code has it."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return head + begin + roles_table() + end + tail


class Command(BaseCommand):
    help = "Write the table of roles and permissions in docs/access.md."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "access.md"
        path.write_text(page_with_table(path.read_text("utf-8")), encoding="utf-8")
        self.stdout.write(f"{path.relative_to(settings.BASE_DIR)} is up to date.")
