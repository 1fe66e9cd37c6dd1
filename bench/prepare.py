"""Makes the tables, charge points and idTags of a run: `python -m bench.prepare JSON SOAP [KEYS]`.

Chargers 0 … JSON-1 speak OCPP-J, the SOAP ones after them OCPP-S; each has an idTag of its own. The
first KEYS have security profile 1 and a key, the others need none.
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
from csms.services.passwords import key_encoded  # noqa: E402


def main(json: int, soap: int, keys: int = 0) -> None:
    call_command("migrate", verbosity=0)
    ChargePoint.objects.bulk_create(
        ChargePoint(
            identity=messages.IDENTITY % number,
            transport="json" if number < json else "soap",
            security_profile=1 if number < keys else 0,
            password=key_encoded(bytes.fromhex(messages.key(number))) if number < keys else "",
        )
        for number in range(json + soap)
    )
    tags = [messages.TAG % number for number in range(json)]
    IdTag.objects.bulk_create(IdTag(id_tag=tag, key=fold(tag)) for tag in tags)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
