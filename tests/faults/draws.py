"""What charge points may say in any order: the values that hypothesis draws for `orders.py`, and
how a message is noted there."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

TAGS = ("TAG", "tag", "CHILD", "BLOCKED", "NOBODY", "")
CHARGERS = st.integers(0, 1)
CONNECTORS = st.sampled_from([1] * 8 + [2] * 3 + [0, -1, 10**6])
METERS = st.sampled_from([1000] * 3 + [5000] * 3 + [0, 6000, -1, 10**9])
TOGETHER = st.sampled_from([False, False, True])
"""Whether the next message comes in the same batch."""
WHICH = st.sampled_from([0] * 8 + [1, 1, 2, 3, 5, -1, -2, -3, -4])
"""Which of its transactions a charge point means: the newest, those before it; -1, 0, one that
nobody has, the newest of the other charge point."""
OFFSETS = st.sampled_from([0, 0, 0, -60, -3600, -90 * 86400, 240])
CLOCKS = st.sampled_from(["device", "device", "device", "1970", "2099", "none", "impossible"])
UNBELIEVED = {
    "1970": "1970-01-01T00:00:05Z",
    "2099": "2099-01-01T00:00:00Z",
    "impossible": "2026-02-30T25:00:00Z",
}
"""What clocks say that cannot be right."""
BACK = st.sampled_from([0, 0, 0, 1, 2, 4])
"""How many messages ago."""
READINGS = st.lists(st.sampled_from(["1000", "2000.5", "-1", "x", ""]), min_size=0, max_size=3)
BROKEN = st.sampled_from(
    [
        ("StartTransaction", {"connectorId": True, "idTag": ["x"]}),
        ("StartTransaction", {}),
        ("StopTransaction", {"transactionId": 5, "meterStop": True}),
        ("StopTransaction", []),
        ("MeterValues", {"connectorId": {}, "meterValue": []}),
        ("Authorize", {"idTag": None}),
        ("StatusNotification", {"connectorId": 1}),
        ("Nonsense", {}),
        ("Reset", {"type": "Hard"}),
    ]
)
ORDINARY = st.sampled_from(
    [
        ("Heartbeat", {}),
        ("Authorize", {"idTag": "TAG"}),
        ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}),
        ("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Faulted"}),
        ("DataTransfer", {"vendorId": "V", "data": "x"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
    ]
)


class Sent(NamedTuple):
    """A message that was answered."""

    charger: int
    action: str
    payload: Any
    message_id: str
    reply: Any


class Waiting(NamedTuple):
    """A message that is not sent yet."""

    charger: int
    action: str
    payload: Any
    message_id: str
