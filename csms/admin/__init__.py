"""The operators' pages, one file for each subject; they ask the services and decide nothing."""

from csms.admin import (
    authorization,
    batches,
    certificates,
    charge_points,
    commands,
    connectors,
    firmware,
    messages,
    tokens,
    transactions,
    unknown,
    users,
)

__all__ = [
    "authorization",
    "batches",
    "certificates",
    "charge_points",
    "commands",
    "connectors",
    "firmware",
    "messages",
    "tokens",
    "transactions",
    "unknown",
    "users",
]
