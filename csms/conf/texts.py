"""How a setting's text is read: each function raises ValueError with what it should look like."""

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain(text: str) -> str:
    return text


def number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("it is 0 or more")
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("it is 1 or more")
    return number


def ports(text: str) -> tuple[range, ...]:
    ports = []
    for item in items(text):
        low, _, high = item.partition("-")
        ports.append(range(port(low), port(high or low) + 1))
    return tuple(ports)


def port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("a port lies between 0 and 65535")
    return port


def flag(text: str) -> bool:
    folded = text.strip().lower()
    if folded not in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
        raise ValueError("say 1 or 0")
    return folded in ("1", "true", "yes", "on")


def items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(item, strict=False) for item in items(text))


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in items(text):
        certificate, _, key = item.partition(":")
        if not certificate:
            raise ValueError("say certificate.pem:key.pem")
        pairs.append((certificate, key or certificate))
    return tuple(pairs)


def unknown(text: str) -> str:
    if text not in ("reject", "pending", "accept"):
        raise ValueError("say reject, pending or accept")
    return text


def two_factor(text: str) -> str:
    if text not in ("optional", "required"):
        raise ValueError("say optional or required")
    return text


def log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError("say text or json")
    return text


def log_level(text: str) -> str:
    level = text.strip().upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("say DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level


def perhaps(text: str) -> bool | None:
    return None if text.strip().lower() == "auto" else flag(text)


DEADLINES = {
    "ChangeAvailability": 120,
    "ChangeConfiguration": 300,
    "ClearChargingProfile": 60,
    "ExtendedTriggerMessage": 120,
    "GetDiagnostics": 3600,
    "GetLog": 3600,
    "RemoteStartTransaction": 180,
    "RemoteStopTransaction": 120,
    "ReserveNow": 60,
    "Reset": 600,
    "Scheduled": 86400,
    "SendLocalList": 300,
    "SetChargingProfile": 60,
    "SignedUpdateFirmware": 86400,
    "TriggerMessage": 120,
    "UnlockConnector": 60,
    "UpdateFirmware": 86400,
}


def deadlines(text: str) -> Mapping[str, int]:
    chosen = dict(DEADLINES)
    for item in items(text):
        name, _, seconds = item.partition("=")
        if name not in DEADLINES:
            raise ValueError(f"{name} is none of {', '.join(DEADLINES)}")
        chosen[name] = int(seconds)
    return chosen


def setting(name: str, default: str, read: Any, reason: str) -> Any:
    return field(metadata={"name": name, "default": default, "read": read, "reason": reason})
