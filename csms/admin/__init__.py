"""The operators' pages, one file for each subject; they ask the services and decide nothing."""

from csms.admin import (
    audit,
    authorization,
    batches,
    certificates,
    charge_points,
    charging_profiles,
    commands,
    connectors,
    failed_logins,
    firmware,
    messages,
    tokens,
    transactions,
    unknown,
    users,
)

__all__ = [
    "audit",
    "authorization",
    "batches",
    "certificates",
    "charge_points",
    "charging_profiles",
    "commands",
    "connectors",
    "failed_logins",
    "firmware",
    "messages",
    "tokens",
    "transactions",
    "unknown",
    "users",
]
