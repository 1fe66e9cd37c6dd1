"""Reservations at the door of the services: made, answered, used, cancelled, run out."""

from datetime import timedelta
from typing import Any

from csms.models import Command, Reservation, Transaction
from csms.ocpp.core import StartTransaction
from csms.services.effects import effects_check
from csms.services.outbox import NoAnswer
from csms.services.reservations import (
    reservation_cancel,
    reservation_create,
    reservations_expire,
)
from tests import factories
from tests.operations.commanded import Commanded


class Desk(Commanded):
    """A charge point whose two connectors are Available; TAG, MATE (of one parent) and OTHER."""

    def __init__(self) -> None:
        super().__init__()
        for tag, parent in (("TAG", "GROUP"), ("MATE", "GROUP"), ("OTHER", "")):
            factories.id_tag(tag, parent_id_tag=parent, max_transactions=0)
        for number in (1, 2):
            self.status(number, "Available")

    def asked(self, connector_id: int = 1, minutes: float = 30, **more: Any) -> Reservation:
        """A reservation for TAG whose command waits."""
        return reservation_create(
            charge_point=self.cp.row,
            connector_id=connector_id,
            id_tag=more.pop("id_tag", "TAG"),
            expiry_date=self.house.now + timedelta(minutes=minutes),
            now=self.house.now,
            by="admin: ann",
            **more,
        )

    def on_its_way(self, row: Reservation) -> Command:
        """Its command, which was sent."""
        command = self.claimed()
        assert command == row.command
        self.later(seconds=1)
        return command

    def unanswered(self, row: Reservation) -> Command:
        """Its command, which was sent and never answered."""
        command = self.complete(self.on_its_way(row), NoAnswer("No answer within 30 s."))
        Command.objects.filter(follows=command).delete()  # the question how the connector is
        return command

    def made(self, connector_id: int = 1, minutes: float = 30, **more: Any) -> Reservation:
        """One that was accepted; its connector shows it."""
        row = self.asked(connector_id, minutes, **more)
        self.answer(self.on_its_way(row), status="Accepted")
        if connector_id:
            self.status(connector_id, "Reserved")
        return self.look(row)

    def cancel(self, row: Reservation, status: str) -> Reservation:
        """Cancel it; the charge point answers so."""
        reservation_cancel(reservation=row, by="admin: bob", now=self.house.now)
        command = self.claimed()
        assert command.payload == {"reservationId": row.reservation_id}
        self.later(seconds=1)
        self.answer(command, status=status)
        return self.look(row)

    def look(self, row: Reservation) -> Reservation:
        """The reservation after everything that came was looked at."""
        effects_check(now=self.house.now)
        reservations_expire(now=self.house.now)
        return Reservation.objects.get(pk=row.pk)

    def start(self, tag: str = "TAG", connector_id: int = 1, **fields: Any) -> Transaction:
        """A transaction that began now, or at `started`."""
        at = fields.pop("started", self.house.now)
        request = StartTransaction(
            connector_id=connector_id, id_tag=tag, timestamp=at, meter_start=0, **fields
        )
        reply = self.say(request)
        return Transaction.objects.get(transaction_id=reply.transaction_id)
