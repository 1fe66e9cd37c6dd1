"""Copies of the SQLite database while it is in use.

PostgreSQL has its own tools for that: `pg_dump`, `pg_restore` (docs/backup.md).
"""

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from django.db import connection


class BackupRefused(Exception):
    """There is no backup; the message says why, and what to do."""


class Backup(NamedTuple):
    """What was copied: the file's size in bytes, and how many transactions are in it."""

    size: int
    transactions: int


def database_backup(*, target: Path, overwrite: bool = False) -> Backup:
    """Copy the SQLite database into a file, as it is at one moment; nobody waits for it.

    The copy is checked before it gets its name, and the name is given at once: a file that is
    there is whole. Raises BackupRefused.
    """
    if connection.vendor != "sqlite":
        raise BackupRefused(
            "This copies SQLite databases. On PostgreSQL: "
            'pg_dump --format=custom --file=FILE "$DATABASE_URL"'
        )
    source = Path(connection.settings_dict["NAME"])
    if not source.is_file():
        raise BackupRefused(f"There is no database {source}.")
    if not target.parent.is_dir():
        raise BackupRefused(f"There is no folder {target.parent}: make it first.")
    if target.is_dir():
        raise BackupRefused(f"{target} is a folder: name a file.")
    if target.exists() and (target.samefile(source) or not overwrite):
        raise BackupRefused(f"{target} exists already: name another file, or say --force.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds secrets
        transactions = _copy(source, part)
        size = part.stat().st_size
        _name(part, target, overwrite=overwrite)
    except FileExistsError:
        raise BackupRefused(f"{target} exists already: name another file.") from None
    except (OSError, sqlite3.Error) as error:
        raise BackupRefused(f"{target} was not written: {error}.") from None
    finally:
        for rest in (part, part.with_name(f"{part.name}-journal")):
            with contextlib.suppress(OSError):
                rest.unlink(missing_ok=True)
    return Backup(size, transactions)


def _copy(source: Path, part: Path) -> int:
    """Copy and check; the number of transactions in the copy. Raises BackupRefused."""
    with (
        closing(sqlite3.connect(source, timeout=20)) as live,
        closing(sqlite3.connect(part)) as copy,
    ):
        # All pages in one step, which is one read transaction: in WAL mode it sees one moment,
        # and writers do not wait. In several steps each commit would begin the copy anew.
        live.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        found = copy.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise BackupRefused(f"The copy is damaged, and so perhaps is {source}: {found[0][0]}")
        (transactions,) = copy.execute("SELECT count(*) FROM csms_transaction").fetchone()
        return int(transactions)


def _name(part: Path, target: Path, *, overwrite: bool) -> None:
    """Give the copy its name at once, and make sure that it is on the disk under it."""
    _sync(part)
    if overwrite:
        part.replace(target)
    else:
        os.link(part, target)  # fails when somebody has made the file meanwhile
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
