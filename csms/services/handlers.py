"""All handlers, imported so that they are registered: one line for each subject."""

from csms.services import (
    authorization,
    certificates,
    charge_points,
    data_transfer,
    firmware,
    meter_values,
    transactions,
)

REPLAYED = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "DataTransfer"})
"""A repetition of these, by id and text, gets the stored answer; all others run afresh (N17)."""

__all__ = [
    "REPLAYED",
    "authorization",
    "certificates",
    "charge_points",
    "data_transfer",
    "firmware",
    "meter_values",
    "transactions",
]
