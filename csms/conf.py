"""Every setting of ours: typed, from the environment, with its default and its reason.

`settings()` reads the environment once. docs/settings.md is generated from this file
(`manage.py document_settings`), so that each setting is described in one place.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingError(ValueError):
    """A setting's text cannot be used; the message says which and what it should look like."""


def _text(text: str) -> str:
    return text


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("it is 0 or more")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("it is 1 or more")
    return number


def _ports(text: str) -> tuple[range, ...]:
    ports = []
    for item in _items(text):
        low, _, high = item.partition("-")
        ports.append(range(_port(low), _port(high or low) + 1))
    return tuple(ports)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("a port lies between 0 and 65535")
    return port


def _flag(text: str) -> bool:
    folded = text.strip().lower()
    if folded not in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
        raise ValueError("say 1 or 0")
    return folded in ("1", "true", "yes", "on")


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(item, strict=False) for item in _items(text))


def _unknown(text: str) -> str:
    if text not in ("reject", "pending", "accept"):
        raise ValueError("say reject, pending or accept")
    return text


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


def _deadlines(text: str) -> Mapping[str, int]:
    chosen = dict(DEADLINES)
    for item in _items(text):
        name, _, seconds = item.partition("=")
        if name not in DEADLINES:
            raise ValueError(f"{name} is none of {', '.join(DEADLINES)}")
        chosen[name] = int(seconds)
    return chosen


def _setting(name: str, default: str, read: Any, reason: str) -> Any:
    return field(metadata={"name": name, "default": default, "read": read, "reason": reason})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, read from the environment."""

    data_dir: str = _setting(
        "CSMS_DATA_DIR",
        "data",
        _text,
        "Folder of the SQLite database and the secret key, made when missing.",
    )
    database_url: str = _setting(
        "DATABASE_URL",
        "",
        _text,
        "`postgresql://user:password@host:5432/name` for PostgreSQL; empty: SQLite, in "
        "CSMS_DATA_DIR.",
    )
    secret_key: str = _setting(
        "CSMS_SECRET_KEY",
        "",
        _text,
        "Signs sessions and password-reset links; empty: made once and kept in CSMS_DATA_DIR.",
    )
    debug: bool = _setting(
        "CSMS_DEBUG", "0", _flag, "Django's debug pages; never on a machine others can reach."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "CSMS_ALLOWED_HOSTS",
        "*",
        _items,
        "Host names under which the admin answers, by comma; name them once the admin is public.",
    )
    trusted_origins: tuple[str, ...] = _setting(
        "CSMS_TRUSTED_ORIGINS",
        "",
        _items,
        "Origins (`https://csms.example.com`) from which forms are taken behind a TLS proxy.",
    )
    host: str = _setting(
        "CSMS_HOST",
        "0.0.0.0",  # noqa: S104  charge points come from other machines
        _text,
        "Address on which both ports listen; 127.0.0.1 keeps others out.",
    )
    http_port: int = _setting(
        "CSMS_HTTP_PORT", "8000", _port, "Admin and OCPP-S (SOAP); 0 takes a free port."
    )
    json_port: int = _setting(
        "CSMS_JSON_PORT", "9000", _port, "OCPP-J (WebSocket); 0 takes a free port."
    )
    public_host: str = _setting(
        "CSMS_PUBLIC_HOST",
        "",
        _text,
        "Host name that chargers and people use for us, printed in URLs and WSDLs; empty: the "
        "request's.",
    )
    heartbeat_interval: int = _setting(
        "CSMS_HEARTBEAT_INTERVAL",
        "300",
        _positive,
        "Seconds between heartbeats, told to accepted charge points (OCPP 1.6 §4.2).",
    )
    boot_retry_interval: int = _setting(
        "CSMS_BOOT_RETRY_INTERVAL",
        "60",
        _positive,
        "Seconds until a Pending or Rejected charge point should send BootNotification again.",
    )
    unknown_chargers: str = _setting(
        "CSMS_UNKNOWN_CHARGERS",
        "reject",
        _unknown,
        "reject: turned away and listed; pending: wait for approval in the admin; accept: taken at "
        "once. The latter two only from CSMS_TRUSTED_NETWORKS.",
    )
    trusted_networks: tuple[Network, ...] = _setting(
        "CSMS_TRUSTED_NETWORKS",
        "127.0.0.0/8,::1/128",
        _networks,
        "Networks whose unknown charge points may become pending or accepted.",
    )
    soap_callback_networks: tuple[Network, ...] = _setting(
        "CSMS_SOAP_CALLBACK_NETWORKS",
        "",
        _networks,
        "Where SOAP charge points may be called back. Empty: anywhere but loopback, link-local, "
        "multicast and reserved addresses; networks named here are the only ones allowed.",
    )
    soap_callback_ports: tuple[range, ...] = _setting(
        "CSMS_SOAP_CALLBACK_PORTS",
        "80,443,1024-65535",
        _ports,
        "Ports at which SOAP charge points may be called back.",
    )
    call_timeout: int = _setting(
        "CSMS_CALL_TIMEOUT",
        "30",
        _positive,
        "Seconds a charge point has to answer a call; afterwards its outcome is unknown.",
    )
    effect_deadlines: Mapping[str, int] = _setting(
        "CSMS_EFFECT_DEADLINES",
        "",
        _deadlines,
        "Seconds after an accepted command by which its effect must have been seen, for each "
        "action that differs from the default: `Reset=900,UpdateFirmware=172800`. `Scheduled` is "
        "for ChangeAvailability while charging. Defaults: "
        + ", ".join(f"{name}={seconds}" for name, seconds in DEADLINES.items())
        + ".",
    )
    ping_interval: int = _setting(
        "CSMS_PING_INTERVAL",
        "30",
        _positive,
        "Seconds between WebSocket pings; a silent peer is gone within twice this time (F12).",
    )
    max_message_bytes: int = _setting(
        "CSMS_MAX_MESSAGE_BYTES",
        "1048576",
        _positive,
        "Largest frame or SOAP envelope; a StopTransaction of eight hours has about 400 KB.",
    )
    max_connections: int = _setting(
        "CSMS_MAX_CONNECTIONS",
        "20000",
        _positive,
        "WebSocket connections of one process; further handshakes are answered 503 (F20).",
    )
    max_connections_per_address: int = _setting(
        "CSMS_MAX_CONNECTIONS_PER_ADDRESS",
        "10000",
        _positive,
        "Connections of one address; many chargers may share one behind NAT.",
    )
    inbox_size: int = _setting(
        "CSMS_INBOX_SIZE",
        "4096",
        _positive,
        "Messages that may wait for their commit before senders are slowed down (F4).",
    )
    inbox_batch: int = _setting(
        "CSMS_INBOX_BATCH", "256", _positive, "Messages committed together at most."
    )
    log_retention_days: int = _setting(
        "CSMS_LOG_RETENTION_DAYS",
        "14",
        _number,
        "Days the message log is kept; 0 keeps it for ever.",
    )
    log_max_mb: int = _setting(
        "CSMS_LOG_MAX_MB",
        "2048",
        _number,
        "On SQLite the message log is trimmed beyond this many megabytes of messages; 0: no cap.",
    )
    max_connectors: int = _setting(
        "CSMS_MAX_CONNECTORS",
        "64",
        _number,
        "Highest connectorId that creates a connector: broken firmware reports 1850027108 of them.",
    )

    demo: bool = _setting(
        "CSMS_DEMO",
        "0",
        _flag,
        "Runs simulated charge points beside the server (`make run` sets it); for their sake SOAP "
        "callbacks to loopback addresses are allowed. Not for a system with real charge points.",
    )

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser()


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment; SettingError names the setting whose text is wrong."""
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        meta = setting.metadata
        text = environment.get(meta["name"], meta["default"])
        try:
            values[setting.name] = meta["read"](text)
        except ValueError as error:
            raise SettingError(f"{meta['name']}={text!r} cannot be used: {error}.") from error
    return Settings(**values)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read(os.environ)


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Names in the environment that look like settings of ours and are none: misspelt, perhaps."""
    known = {setting.metadata["name"] for setting in fields(Settings)}
    named = os.environ if environment is None else environment
    return sorted(
        name
        for name in named
        if name.startswith("CSMS_")
        and name not in known
        and not name.startswith(("CSMS_TEST_", "CSMS_NO_SKIP", "CSMS_CONTRACTS"))
    )
