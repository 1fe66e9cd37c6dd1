"""Writes docs/settings.md from csms/conf/, so that each setting is described in one place."""

from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from csms.conf import Settings

_HEAD = """\
# Settings

Every setting comes from the environment. This page is made from `csms/conf/` by
`manage.py document_settings`; a text that cannot be used stops the start and is named.

| Setting | Default | What it does |
|---|---|---|
"""


def settings_page() -> str:
    """docs/settings.md as Markdown: a row for each setting, in the order of the declaration."""
    rows = []
    for setting in fields(Settings):
        name, default = setting.metadata["name"], setting.metadata["default"]
        reason = setting.metadata["reason"].replace("|", "\\|")
        rows.append(f"| `{name}` | {f'`{default}`' if default else 'empty'} | {reason} |\n")
    return _HEAD + "".join(rows)


class Command(BaseCommand):
    help = "Write docs/settings.md from csms/conf/."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "settings.md"
        path.write_text(settings_page(), encoding="utf-8")
        self.stdout.write(f"{path.relative_to(settings.BASE_DIR)} is up to date.")
