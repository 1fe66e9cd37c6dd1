"""A process with an inbox, for tests of a database that goes and comes back.

`python -m tests.services.outage` with DATABASE_URL set: makes the tables, then for each line that
it reads it decides one StartTransaction and prints what became of it.
"""

import os
import sys

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "csms.settings"
    django.setup()
    from django.core.management import call_command

    from csms.services import inbox_worker
    from tests.services.harness import House

    call_command("migrate", verbosity=0)
    inbox_worker.PATIENCE = float(os.environ["OUTAGE_PATIENCE"])
    house = House()
    cp = house.charger()
    message = cp.message(cp.start())
    for line in sys.stdin:
        message.request = cp.start(meter_start=int(line))
        message.message_id = message.raw = line.strip()
        outcome = house.batch(message)[0]
        print(type(outcome).__name__, getattr(outcome, "text", ""), flush=True)


if __name__ == "__main__":
    main()
