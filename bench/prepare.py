"""Makes the tables, charge points and idTags of a run: `python -m bench.prepare JSON SOAP`.

Chargers 0 … JSON-1 speak OCPP-J, the SOAP ones after them OCPP-S; each has an idTag of its own.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402  after setup

from bench import messages  # noqa: E402
from csms.models import ChargePoint, IdTag  # noqa: E402
from csms.models.authorization import fold  # noqa: E402


def main(json: int, soap: int) -> None:
    call_command("migrate", verbosity=0)
    ChargePoint.objects.bulk_create(
        ChargePoint(
            identity=messages.IDENTITY % number, transport="json" if number < json else "soap"
        )
        for number in range(json + soap)
    )
    tags = [messages.TAG % number for number in range(json)]
    IdTag.objects.bulk_create(IdTag(id_tag=tag, key=fold(tag)) for tag in tags)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
