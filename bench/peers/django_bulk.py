"""The floor: the same rows by Django's bulk_create, without protocol, validation and answer.

    python -m bench.peers.django_bulk --warm-up S --seconds S

One transaction for each fifty messages, each of which leaves a meter value, a row of the message
log and the new register of its transaction. Says the messages a second. Needs a prepared database.
"""

import argparse
import os
import time
from datetime import UTC, datetime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

import django

django.setup()

from django.db import transaction  # noqa: E402  after setup

from bench import messages  # noqa: E402
from bench.load.tally import say  # noqa: E402
from csms.models import ChargePoint, Message, MeterValue, Transaction  # noqa: E402

AT_ONCE = 50


def started() -> list[Transaction]:
    """A running transaction of each of the first charge points."""
    now = datetime.now(UTC)
    return Transaction.objects.bulk_create(
        Transaction(
            transaction_id=number,
            charge_point=charge_point,
            connector_id=1,
            start_timestamp=now.isoformat(),
            started_at=now,
            start_received_at=now,
            meter_start=1000,
        )
        for number, charge_point in enumerate(ChargePoint.objects.all()[:AT_ONCE], 1)
    )


def batch(rows: list[Transaction], number: int) -> None:
    """What AT_ONCE messages leave."""
    now = datetime.now(UTC)
    for row in rows:
        row.last_meter, row.last_meter_at = float(number), now
    with transaction.atomic():
        Transaction.objects.bulk_update(rows, ["last_meter", "last_meter_at"])
        MeterValue.objects.bulk_create(
            MeterValue(
                bucket_at=now,
                charge_point_id=row.charge_point_id,
                connector_id=1,
                transaction=row,
                timestamp=now.isoformat(),
                received_at=now,
                digest=number,
                samples=messages.SAMPLES,
                energy=1.0,
                power=7360.5,
                soc=64.0,
            )
            for row in rows
        )
        Message.objects.bulk_create(
            Message(
                bucket_at=now,
                charge_point_id=row.charge_point_id,
                identity=messages.IDENTITY % row.pk,
                transport="json",
                direction="in",
                action="MeterValues",
                message_id=messages.message_id(number),
                request=messages.meter_values_json(number, transaction=row.pk, register=number),
                answer="[3,1,{}]",
                duration=1.0,
            )
            for row in rows
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    rows, number, count = started(), 0, 0
    begun = time.perf_counter() + options.warm_up
    while (now := time.perf_counter()) < begun + options.seconds:
        number += 1
        batch(rows, number)
        if now >= begun:
            count += len(rows)
    say(rate=count / (time.perf_counter() - begun))


if __name__ == "__main__":
    main()
