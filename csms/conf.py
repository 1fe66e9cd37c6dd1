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


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in _items(text):
        certificate, _, key = item.partition(":")
        if not certificate:
            raise ValueError("say certificate.pem:key.pem")
        pairs.append((certificate, key or certificate))
    return tuple(pairs)


def _unknown(text: str) -> str:
    if text not in ("reject", "pending", "accept"):
        raise ValueError("say reject, pending or accept")
    return text


def _two_factor(text: str) -> str:
    if text not in ("optional", "required"):
        raise ValueError("say optional or required")
    return text


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError("say text or json")
    return text


def _log_level(text: str) -> str:
    level = text.strip().upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("say DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level


def _perhaps(text: str) -> bool | None:
    return None if text.strip().lower() == "auto" else _flag(text)


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
    redis_url: str = _setting(
        "REDIS_URL",
        "",
        _text,
        "`redis://host:6379/0`, where several processes share one database: they wake each other. "
        "Empty, or Redis away: the same happens, up to a second or five later.",
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
    https_only: bool | None = _setting(
        "CSMS_HTTPS_ONLY",
        "auto",
        _perhaps,
        "1: browsers send the admin's cookies over HTTPS only, and plain HTTP leads to HTTPS; 0: "
        "neither; auto: the former, with CSMS_TLS_CERTIFICATES or when all of CSMS_TRUSTED_ORIGINS "
        "are https.",
    )
    hsts_seconds: int = _setting(
        "CSMS_HSTS_SECONDS",
        "0",
        _number,
        "With CSMS_HTTPS_ONLY=1: seconds for which browsers refuse plain HTTP to this host (HSTS); "
        "31536000 is a year. It cannot be taken back before.",
    )
    two_factor: str = _setting(
        "CSMS_TWO_FACTOR",
        "optional",
        _two_factor,
        "A second factor at the admin's login, from an authenticator app. optional: for who sets "
        "it up; required: who has none sets it up at the first login.",
    )
    login_failures: int = _setting(
        "CSMS_LOGIN_FAILURES",
        "5",
        _positive,
        "Wrong passwords for one user from one address, after which that pair must wait.",
    )
    login_wait_minutes: int = _setting(
        "CSMS_LOGIN_WAIT_MINUTES",
        "15",
        _positive,
        "How long it must wait; the user can still log in from other addresses.",
    )
    session_idle_minutes: int = _setting(
        "CSMS_SESSION_IDLE_MINUTES",
        "60",
        _positive,
        "Minutes without opening a page after which somebody is signed out of the admin.",
    )
    session_hours: int = _setting(
        "CSMS_SESSION_HOURS",
        "12",
        _positive,
        "Hours after which somebody is signed out of the admin in any case.",
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
    tls_certificates: tuple[tuple[str, str], ...] = _setting(
        "CSMS_TLS_CERTIFICATES",
        "",
        _pairs,
        "Server certificates, by comma: `chain.pem:key.pem` (or one file that holds both). With "
        "any, the two TLS ports listen beside the plain ones. Two are meant, one ECDSA and one "
        "RSA (OCPP 1.6 security whitepaper, A00.FR.421); changed files are taken up by themselves.",
    )
    https_port: int = _setting(
        "CSMS_HTTPS_PORT", "8443", _port, "Admin and OCPP-S over TLS; 0 takes a free port."
    )
    json_tls_port: int = _setting(
        "CSMS_JSON_TLS_PORT", "9443", _port, "OCPP-J over TLS (wss); 0 takes a free port."
    )
    tls_client_ca: str = _setting(
        "CSMS_TLS_CLIENT_CA",
        "",
        _text,
        "PEM file of the authorities that sign charge points' certificates (security profile 3); "
        "empty: none is asked for.",
    )
    tls_client_crl: str = _setting(
        "CSMS_TLS_CLIENT_CRL",
        "",
        _text,
        "PEM file of these authorities' revocation lists: one of each, none overdue, or nobody "
        "gets in with a certificate.",
    )
    operator_name: str = _setting(
        "CSMS_OPERATOR_NAME",
        "",
        _text,
        "Organisation (O) that a charge point's certificate must name (A00.FR.403); empty: any.",
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
        "Networks from which charge points of security profile 0 may come, which prove nothing, and "
        "whose unknown charge points may become pending or accepted. Behind a proxy that is not in "
        "CSMS_TRUSTED_PROXIES nobody is trusted.",
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
        "Connections to the OCPP-J ports, and as many to the HTTP ports, of one process; further "
        "ones are answered 503 (F20).",
    )
    max_connections_per_address: int = _setting(
        "CSMS_MAX_CONNECTIONS_PER_ADDRESS",
        "10000",
        _positive,
        "Of these, connections of one address; many chargers may share one behind NAT. Listed "
        "proxies are not concerned.",
    )
    accept_rate: int = _setting(
        "CSMS_ACCEPT_RATE",
        "500",
        _positive,
        "WebSocket and TLS handshakes a second; in a reconnect storm further ones wait, and after "
        "five seconds are answered 503. 5,000 chargers are back within ten seconds (F11).",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        "CSMS_TRUSTED_PROXIES",
        "",
        _networks,
        "Networks of reverse proxies whose X-Forwarded-For, X-Forwarded-Proto, X-SSL-Client-Verify "
        "and X-SSL-Client-Cert are believed; they must not let these through from their clients.",
    )
    firmware_ca: str = _setting(
        "CSMS_FIRMWARE_CA",
        "",
        _text,
        "PEM file of the authorities (manufacturers) whose certificates may sign firmware; empty: "
        "any certificate that is valid.",
    )
    alert_emails: tuple[str, ...] = _setting(
        "CSMS_ALERT_EMAILS",
        "",
        _items,
        "Who is told of security events by e-mail, by comma; at most one mail in 15 minutes.",
    )
    email_url: str = _setting(
        "CSMS_EMAIL_URL",
        "smtp://localhost:25",
        _text,
        "The mail server: `smtps://user:password@host` for TLS from the start, `smtp://…:587` for "
        "STARTTLS, `smtp://` with another port for neither.",
    )
    email_from: str = _setting(
        "CSMS_EMAIL_FROM", "csms@localhost", _text, "The sender of our e-mails."
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
    log_format: str = _setting(
        "CSMS_LOG_FORMAT",
        "text",
        _log_format,
        "Lines of the program's own log, on stderr: text, for people; json, one object a line, for "
        "programs that collect logs.",
    )
    log_level: str = _setting(
        "CSMS_LOG_LEVEL",
        "INFO",
        _log_level,
        "The least that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    metrics_networks: tuple[Network, ...] = _setting(
        "CSMS_METRICS_NETWORKS",
        "127.0.0.0/8,::1/128",
        _networks,
        "Networks that may read /metrics; from elsewhere an API token lets in. Behind a proxy that "
        "is not in CSMS_TRUSTED_PROXIES only a token does.",
    )
    log_retention_days: int = _setting(
        "CSMS_LOG_RETENTION_DAYS",
        "14",
        _number,
        "Days the message log is kept; 0 keeps it for ever.",
    )
    meter_retention_days: int = _setting(
        "CSMS_METER_RETENTION_DAYS",
        "0",
        _number,
        "Days after their receipt that raw meter values are kept (on PostgreSQL whole months go); "
        "0 keeps them for ever. Transactions keep their energy in any case.",
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

    nominal_voltage: int = _setting(
        "CSMS_NOMINAL_VOLTAGE",
        "230",
        _positive,
        "Volts between a phase and neutral, by which limits of charging profiles are converted "
        "between A and W (OCPP 1.6 §3.13).",
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

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers may send the admin's cookies over HTTPS only."""
        if self.https_only is not None:
            return self.https_only
        origins = self.trusted_origins
        https = bool(origins) and all(origin.startswith("https://") for origin in origins)
        return https or bool(self.tls_certificates)

    @property
    def https_host(self) -> str | None:
        """Host and port of the pages over HTTPS; None: those that the request has."""
        for origin in self.trusted_origins:
            if origin.startswith("https://"):
                return origin.removeprefix("https://")
        if self.tls_certificates and self.public_host:
            return f"{self.public_host}:{self.https_port}"
        return None


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment; SettingError names the setting whose text is wrong.

    Each setting NAME may instead be the text of a file that NAME_FILE names, so that secrets stay
    out of the environment; such a text is repeated in no error.
    """
    names = setting_names()
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name, file = setting.metadata["name"], f"{setting.metadata['name']}_FILE"
        from_file = file in environment and file not in names
        if from_file and environment.get(name):
            raise SettingError(f"{name} and {file} are both given: leave one out.")
        text = (
            _text_of(file, environment[file])
            if from_file
            else environment.get(name, setting.metadata["default"])
        )
        try:
            values[setting.name] = setting.metadata["read"](text)
        except ValueError as error:
            if from_file:
                raise SettingError(
                    f"What {file}={environment[file]} holds cannot be used."
                ) from None
            raise SettingError(f"{name}={text!r} cannot be used: {error}.") from error
    return Settings(**values)


def _text_of(file: str, path: str) -> str:
    """The text of a file, without the line's end that editors add."""
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingError(f"{file}={path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file}={path} is no text.") from None


def setting_names() -> frozenset[str]:
    """The names that settings have in the environment, without those of files."""
    return frozenset(setting.metadata["name"] for setting in fields(Settings))


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read(os.environ)


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Names in the environment that look like settings of ours and are none: misspelt, perhaps."""
    names = setting_names()
    known = names | {f"{name}_FILE" for name in names}
    named = os.environ if environment is None else environment
    return sorted(
        name
        for name in named
        if name.startswith("CSMS_")
        and name not in known
        and not name.startswith(("CSMS_TEST_", "CSMS_NO_SKIP", "CSMS_CONTRACTS"))
    )
