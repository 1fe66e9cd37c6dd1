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

__all__ = [
    "authorization",
    "certificates",
    "charge_points",
    "data_transfer",
    "firmware",
    "meter_values",
    "transactions",
]
