#!/usr/bin/env python
"""Django's command line for this project."""

import contextlib
import getpass
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")
    from django.core.management import execute_from_command_line
    from django.db.utils import Error

    try:
        with _acting():
            execute_from_command_line(sys.argv)
    except Error as error:  # what a person can mend is said in one line; CSMS_DEBUG=1 shows all
        if os.environ.get("CSMS_DEBUG") == "1":
            raise
        from csms.management.starting import cause

        sys.exit(_plainly(cause(error)))


def _acting() -> contextlib.AbstractContextManager[None]:
    """Changes made from the shell are by who uses it; those of the server have other authors."""
    if "serve" in sys.argv[1:2]:
        return contextlib.nullcontext()
    from csms.services.actors import Actor, acting

    return acting(lambda: Actor(f"shell: {_account()}"))


def _account() -> str:
    """Who types; in a container the account may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _plainly(reason: str) -> str:
    first = reason.splitlines()[0] if reason else "no reason given"
    missing = "no such table" in reason or "no such column" in reason
    if missing or ("does not exist" in reason and "FATAL" not in reason):
        return f"The database is not up to date ({first}): run `manage.py migrate` first."
    return (
        f"The database cannot be used ({first}): "
        "check DATABASE_URL, or CSMS_DATA_DIR for SQLite, and that it can be reached and written."
    )


if __name__ == "__main__":
    main()
