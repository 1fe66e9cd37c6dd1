"""A small fleet to test with: one function for each kind of row, sensible without arguments."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from csms.models import (
    CertificateSigningRequest,
    ChargePoint,
    Command,
    CommandEvent,
    Connector,
    Deviation,
    IdTag,
    Message,
    MeterValue,
    QuarantinedMessage,
    SecurityEvent,
    Transaction,
    TransferStatus,
    UnknownChargePoint,
    UnknownTransfer,
    WebhookEvent,
    WebhookSubscription,
)
from csms.models.authorization import fold

_numbers = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def operator(name: str = "operator") -> User:
    """Somebody who may do everything in the admin; the password is the name."""
    return User.objects.create_superuser(name, f"{name}@example.com", name)


def charge_point(**columns: Any) -> ChargePoint:
    """One that needs no proof: tests connect from this machine, which is a trusted network."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "identity": f"CP-{number:05}",
        "vendor": "Example",
        "model": "Wallbox 22",
        "firmware_version": "1.4.2",
        "last_seen": now(),
        "security_profile": 0,
    }
    return ChargePoint.objects.create(**values | columns)


def connector(charger: ChargePoint, connector_id: int = 1, **columns: Any) -> Connector:
    values: dict[str, Any] = {
        "status": "Available",
        "error_code": "NoError",
        "received_at": now(),
        "reported_at": now(),
    }
    return Connector.objects.create(
        charge_point=charger, connector_id=connector_id, **values | columns
    )


def id_tag(text: str = "", **columns: Any) -> IdTag:
    text = text or f"TAG{next(_numbers):05}"
    return IdTag.objects.create(id_tag=text, key=fold(text), **columns)


def transaction(charger: ChargePoint, **columns: Any) -> Transaction:
    """A stopped transaction of 12.5 kWh and one hour; pass state="open" for a running one."""
    number = next(_numbers)
    started = columns.pop("started_at", now() - timedelta(hours=2))
    tag = columns.pop("id_tag", "TAG1")
    values: dict[str, Any] = {
        "transaction_id": number,
        "connector_id": 1,
        "state": "stopped",
        "id_tag": tag,
        "id_tag_key": fold(tag),
        "authorization": "Accepted",
        "start_timestamp": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "occurrence": number,
        "started_at": started,
        "start_received_at": started,
        "meter_start": 1_000,
    }
    if columns.get("state", "stopped") != "open":
        stopped = started + timedelta(hours=1)
        values |= {
            "stopped_at": stopped,
            "stop_received_at": stopped,
            "meter_stop": 13_500,
            "energy": 12_500,
            "stop_reason": "Local",
        }
    return Transaction.objects.create(charge_point=charger, **values | columns)


def meter_value(charger: ChargePoint, **columns: Any) -> MeterValue:
    at = columns.pop("bucket_at", now())
    energy, power = columns.pop("energy", 5_000.0), columns.pop("power", 11_000.0)
    values: dict[str, Any] = {
        "bucket_at": at,
        "connector_id": 1,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "received_at": at,
        "digest": next(_numbers),
        "energy": energy,
        "power": power,
        "samples": [
            {"value": str(energy), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(power), "measurand": "Power.Active.Import", "unit": "W"},
        ],
    }
    return MeterValue.objects.create(charge_point=charger, **values | columns)


def message(charger: ChargePoint | None = None, **columns: Any) -> Message:
    number = next(_numbers)
    values: dict[str, Any] = {
        "bucket_at": now(),
        "charge_point": charger,
        "identity": charger.identity if charger else f"stranger-{number}",
        "transport": charger.transport if charger else "json",
        "direction": "in",
        "action": "Heartbeat",
        "message_id": f"m-{number}",
        "request": json.dumps([2, f"m-{number}", "Heartbeat", {}], separators=(",", ":")),
        "answer": f'[3,"m-{number}",{{"currentTime":"2026-01-02T03:04:05Z"}}]',
        "duration": 4.2,
    }
    return Message.objects.create(**values | columns)


def quarantined(charger: ChargePoint | None = None, **columns: Any) -> QuarantinedMessage:
    number = next(_numbers)
    values: dict[str, Any] = {
        "charge_point": charger,
        "identity": charger.identity if charger else f"stranger-{number}",
        "transport": "json",
        "action": "StopTransaction",
        "message_id": f"q-{number}",
        "raw": f'[2,"q-{number}","StopTransaction",{{"transactionId":-1,"meterStop":17}}]',
        "reason": "No transaction fits.",
        "received_at": now(),
        "digest": number,
    }
    return QuarantinedMessage.objects.create(**values | columns)


def unknown(identity: str = "", **columns: Any) -> UnknownChargePoint:
    values: dict[str, Any] = {
        "transport": "json",
        "remote_address": "192.0.2.7",
        "last_at": now(),
        "first_at": now() - timedelta(days=1),
    }
    return UnknownChargePoint.objects.create(
        identity=identity or f"stranger-{next(_numbers)}", **values | columns
    )


def security_event(charger: ChargePoint, **columns: Any) -> SecurityEvent:
    values: dict[str, Any] = {
        "kind": "FirmwareUpdated",
        "tech_info": "1.4.1 to 1.4.2",
        "happened_at": now(),
        "received_at": now(),
    }
    return SecurityEvent.objects.create(
        charge_point=charger, identity=charger.identity, **values | columns
    )


def signing_request(charger: ChargePoint, **columns: Any) -> CertificateSigningRequest:
    pem = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
    return CertificateSigningRequest.objects.create(
        charge_point=charger, **{"csr": pem, "received_at": now()} | columns
    )


def transfer(charger: ChargePoint, **columns: Any) -> TransferStatus:
    values: dict[str, Any] = {"kind": "firmware", "status": "Installed", "received_at": now()}
    return TransferStatus.objects.create(charge_point=charger, **values | columns)


def deviation(charger: ChargePoint, **columns: Any) -> Deviation:
    values: dict[str, Any] = {
        "name": f"over-long text {next(_numbers)}",
        "count": 3,
        "example": "chargePointVendor",
    }
    return Deviation.objects.create(charge_point=charger, **values | columns)


def command(charger: ChargePoint, **columns: Any) -> Command:
    """A queued Reset, with the event of its creation."""
    values: dict[str, Any] = {
        "action": "Reset",
        "payload": {"type": "Soft"},
        "requested_by": "operator",
        "expires_at": now() + timedelta(hours=1),
    }
    row = Command.objects.create(charge_point=charger, **values | columns)
    CommandEvent.objects.create(command=row, state=row.state, by="operator", reason="asked for")
    return row


def webhook(**columns: Any) -> WebhookSubscription:
    """Of all statuses; its secret cannot be read."""
    values: dict[str, Any] = {
        "name": f"webhook-{next(_numbers)}",
        "url": "https://billing.example.com/events",
        "secret": "sealed",
        "kinds": ["status.changed"],
    }
    return WebhookSubscription.objects.create(**values | columns)


def webhook_event(subscription: WebhookSubscription, **columns: Any) -> WebhookEvent:
    """One that was delivered; pass state="waiting" or "dead"."""
    values: dict[str, Any] = {
        "kind": "status.changed",
        "identity": "CP-1",
        "body": json.dumps({"kind": "status.changed", "data": {"status": "Charging"}}),
        "created_at": now(),
        "expires_at": now() + timedelta(days=3),
        "state": "delivered",
        "attempts": 1,
    }
    if columns.get("state") != "waiting":
        values["ended_at"] = now()
    return WebhookEvent.objects.create(subscription=subscription, **values | columns)


def unknown_transfer(**columns: Any) -> UnknownTransfer:
    values: dict[str, Any] = {
        "vendor_id": f"org.example.{next(_numbers)}",
        "message_id": "Telemetry",
        "identity": "CP-1",
        "example": '{"temperature": 21}',
        "first_at": now() - timedelta(days=1),
        "last_at": now(),
    }
    return UnknownTransfer.objects.create(**values | columns)
