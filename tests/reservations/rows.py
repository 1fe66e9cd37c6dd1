"""Reservations as rows, with the command that asked for them."""

import itertools
from datetime import timedelta
from typing import Any

from csms.models import ChargePoint, Reservation
from csms.models.authorization import fold
from tests import factories

_numbers = itertools.count(1)


def reservation(charger: ChargePoint, **columns: Any) -> Reservation:
    """An active one of connector 1 for TAG, for an hour from now."""
    now = factories.now()
    values: dict[str, Any] = {
        "connector_id": 1,
        "id_tag": "TAG",
        "expiry_date": now + timedelta(hours=1),
        "reservation_id": next(_numbers),
        "state": "active",
        "held_from": now,
    } | columns
    command = factories.command(
        charger,
        action="ReserveNow",
        state="queued" if values["state"] == "requested" else "accepted",
        requested_by="ann",
        payload={
            "connectorId": values["connector_id"],
            "idTag": values["id_tag"],
            "expiryDate": f"{values['expiry_date']:%Y-%m-%dT%H:%M:%SZ}",
            "reservationId": values["reservation_id"],
        },
    )
    return Reservation.objects.create(
        charge_point=charger, command=command, id_tag_key=fold(values["id_tag"]), **values
    )
