"""The messages that are sent: frames and envelopes as bytes, patched and never built.

One MeterValues holds one meter value of six samples, as a charger with a cable of its own sends
during charging. SOAP and JSON carry the same values.
"""

import base64
import hashlib
import json
import time
from datetime import UTC, datetime

IDENTITY = "BENCH-%04d"
TAG = "TAG%04d"
ID_LENGTH = 36
"""Characters of a message id: as long as a GUID, as most chargers send."""

_PERIODIC = {"context": "Sample.Periodic"}
SAMPLES: tuple[dict[str, str], ...] = (
    {
        "value": "%(register)d",
        **_PERIODIC,
        "measurand": "Energy.Active.Import.Register",
        "unit": "Wh",
    },
    {"value": "7360.5", **_PERIODIC, "measurand": "Power.Active.Import", "unit": "W"},
    {"value": "31.9", **_PERIODIC, "measurand": "Current.Import", "phase": "L1", "unit": "A"},
    {"value": "230.7", **_PERIODIC, "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
    {"value": "64", **_PERIODIC, "measurand": "SoC", "location": "EV", "unit": "Percent"},
    {"value": "38.2", **_PERIODIC, "measurand": "Temperature", "unit": "Celsius"},
)


def key(number: int) -> str:
    """The AuthorizationKey of a charger: 20 bytes as 40 hexadecimal digits."""
    return hashlib.sha1(IDENTITY.encode() % number).hexdigest()


def basic(number: int, password: str = "") -> str:
    """The value of the Authorization header of a charger."""
    plain = f"{IDENTITY % number}:{password or key(number)}"
    return "Basic " + base64.b64encode(plain.encode()).decode()


def now_text() -> str:
    """A charger's clock."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


_RUN = time.time_ns() // 1_000_000


def message_id(number: int) -> str:
    """An id that no other run of a load generator has given."""
    return f"{_RUN}-{number:0{ID_LENGTH - 1 - len(str(_RUN))}d}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# --- OCPP-J ---------------------------------------------------------------------------------------

BOOT = '[2,"%s","BootNotification",' + (
    _compact(
        {
            "chargePointVendor": "Bench",
            "chargePointModel": "Wallbox 11",
            "chargePointSerialNumber": "0123456789",
            "firmwareVersion": "1.2.3",
        }
    )
    + "]"
)
HEARTBEAT = '[2,"%s","Heartbeat",{}]'
START = (
    '[2,"%s","StartTransaction",{"connectorId":1,"idTag":"%s","meterStart":%d,"timestamp":"%s"}]'
)
STOP = (
    '[2,"%s","StopTransaction",{"transactionId":%d,"idTag":"%s","meterStop":%d,'
    '"timestamp":"%s","reason":"Local"}]'
)
_METER_VALUES = (
    '[2,"%(id)s","MeterValues",{"connectorId":1,"transactionId":%(transaction)d,"meterValue":'
    '[{"timestamp":"%(timestamp)s","sampledValue":' + _compact(SAMPLES) + "}]}]"
)


def meter_values_json(number: int, *, transaction: int, register: int) -> str:
    """The frame of a MeterValues; energy in Wh."""
    return _METER_VALUES % {
        "id": message_id(number),
        "transaction": transaction,
        "timestamp": now_text(),
        "register": register,
    }


# --- OCPP-S ---------------------------------------------------------------------------------------

SERVICE = "urn://Ocpp/Cs/2015/10/"


def _elements(sample: dict[str, str]) -> str:
    """In the order of the WSDL."""
    names = ("value", "context", "format", "measurand", "phase", "location", "unit")
    inner = "".join(f"<{name}>{sample[name]}</{name}>" for name in names if name in sample)
    return f"<sampledValue>{inner}</sampledValue>"


_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:wsa="http://www.w3.org/2005/08/addressing" '
    f'xmlns:cs="{SERVICE}"><soap:Header>'
    '<cs:chargeBoxIdentity soap:mustUnderstand="true">%(identity)s</cs:chargeBoxIdentity>'
    '<wsa:Action soap:mustUnderstand="true">/MeterValues</wsa:Action>'
    "<wsa:MessageID>urn:uuid:%(id)s</wsa:MessageID>"
    "<wsa:From><wsa:Address>http://10.1.2.3:8080/</wsa:Address></wsa:From>"
    "<wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address>"
    "</wsa:ReplyTo>"
    '<wsa:To soap:mustUnderstand="true">http://127.0.0.1/ocpp/soap</wsa:To>'
    "</soap:Header><soap:Body>"
    f'<meterValuesRequest xmlns="{SERVICE}">'
    "<connectorId>1</connectorId>"
    "<meterValue><timestamp>%(timestamp)s</timestamp>"
    + "".join(_elements(sample) for sample in SAMPLES)
    + "</meterValue></meterValuesRequest></soap:Body></soap:Envelope>"
)


def meter_values_soap(number: int, *, identity: str, register: int) -> bytes:
    """The envelope of a MeterValues; energy in Wh."""
    text = _ENVELOPE % {
        "identity": identity,
        "id": message_id(number),
        "timestamp": now_text(),
        "register": register,
    }
    return text.encode()


def post(body: bytes, *, keep_alive: bool) -> bytes:
    """The HTTP request around an envelope."""
    connection = "keep-alive" if keep_alive else "close"
    head = (
        "POST /ocpp/soap HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        'Content-Type: application/soap+xml; charset=utf-8; action="/MeterValues"\r\n'
        f"Connection: {connection}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
