"""Settings of what the process does: charge points, their messages, and what is kept of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from csms.conf.serving import Serving
from csms.conf.texts import (
    DEADLINES,
    Network,
    deadlines,
    flag,
    items,
    log_format,
    log_level,
    networks,
    number,
    plain,
    ports,
    positive,
    setting,
    unknown,
)


@dataclass(frozen=True, slots=True)
class Charging(Serving):
    """Charge points, limits, retention."""

    heartbeat_interval: int = setting(
        "CSMS_HEARTBEAT_INTERVAL",
        "300",
        positive,
        "Seconds between heartbeats, told to accepted charge points (OCPP 1.6 §4.2).",
    )
    boot_retry_interval: int = setting(
        "CSMS_BOOT_RETRY_INTERVAL",
        "60",
        positive,
        "Seconds until a Pending or Rejected charge point should send BootNotification again.",
    )
    unknown_chargers: str = setting(
        "CSMS_UNKNOWN_CHARGERS",
        "reject",
        unknown,
        "reject: turned away and listed; pending: wait for approval in the admin; accept: taken at "
        "once. The latter two only from CSMS_TRUSTED_NETWORKS.",
    )
    trusted_networks: tuple[Network, ...] = setting(
        "CSMS_TRUSTED_NETWORKS",
        "127.0.0.0/8,::1/128",
        networks,
        "Networks from which charge points of security profile 0 may come, which prove nothing, "
        "and whose unknown charge points may become pending or accepted. Behind a proxy that is "
        "not in CSMS_TRUSTED_PROXIES nobody is trusted.",
    )
    soap_callback_networks: tuple[Network, ...] = setting(
        "CSMS_SOAP_CALLBACK_NETWORKS",
        "",
        networks,
        "Where SOAP charge points may be called back. Empty: anywhere but loopback, link-local, "
        "multicast and reserved addresses; networks named here are the only ones allowed.",
    )
    soap_callback_ports: tuple[range, ...] = setting(
        "CSMS_SOAP_CALLBACK_PORTS",
        "80,443,1024-65535",
        ports,
        "Ports at which SOAP charge points may be called back.",
    )
    call_timeout: int = setting(
        "CSMS_CALL_TIMEOUT",
        "30",
        positive,
        "Seconds a charge point has to answer a call; afterwards its outcome is unknown.",
    )
    effect_deadlines: Mapping[str, int] = setting(
        "CSMS_EFFECT_DEADLINES",
        "",
        deadlines,
        "Seconds after an accepted command by which its effect must have been seen, for each "
        "action that differs from the default: `Reset=900,UpdateFirmware=172800`. `Scheduled` is "
        "for ChangeAvailability while charging. Defaults: "
        + ", ".join(f"{name}={seconds}" for name, seconds in DEADLINES.items())
        + ".",
    )
    ping_interval: int = setting(
        "CSMS_PING_INTERVAL",
        "30",
        positive,
        "Seconds between WebSocket pings; a silent peer is gone within twice this time (F12).",
    )
    max_message_bytes: int = setting(
        "CSMS_MAX_MESSAGE_BYTES",
        "524288",
        positive,
        "Longest OCPP-J message; a SOAP envelope, whose tags take more, may be twice as long. A "
        "StopTransaction of eight hours has about 400 KB. Memory and CPU time that one hostile "
        "message can cost grow with it.",
    )
    max_connections: int = setting(
        "CSMS_MAX_CONNECTIONS",
        "20000",
        positive,
        "Connections to the OCPP-J ports, and as many to the HTTP ports, of one process; further "
        "ones are answered 503 (F20).",
    )
    max_connections_per_address: int = setting(
        "CSMS_MAX_CONNECTIONS_PER_ADDRESS",
        "10000",
        positive,
        "Of these, connections of one address; many chargers may share one behind NAT. Listed "
        "proxies are not concerned.",
    )
    accept_rate: int = setting(
        "CSMS_ACCEPT_RATE",
        "500",
        positive,
        "WebSocket and TLS handshakes a second; in a reconnect storm further ones wait, and after "
        "five seconds are answered 503. 5,000 chargers are back within ten seconds (F11).",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "CSMS_TRUSTED_PROXIES",
        "",
        networks,
        "Networks of reverse proxies whose X-Forwarded-For, X-Forwarded-Proto, X-SSL-Client-Verify "
        "and X-SSL-Client-Cert are believed; they must not let these through from their clients.",
    )
    firmware_ca: str = setting(
        "CSMS_FIRMWARE_CA",
        "",
        plain,
        "PEM file of the authorities (manufacturers) whose certificates may sign firmware; empty: "
        "any certificate that is valid.",
    )
    alert_emails: tuple[str, ...] = setting(
        "CSMS_ALERT_EMAILS",
        "",
        items,
        "Who is told of security events by e-mail, by comma; at most one mail in 15 minutes.",
    )
    email_url: str = setting(
        "CSMS_EMAIL_URL",
        "smtp://localhost:25",
        plain,
        "The mail server: `smtps://user:password@host` for TLS from the start, `smtp://…:587` for "
        "STARTTLS, `smtp://` with another port for neither.",
    )
    email_from: str = setting(
        "CSMS_EMAIL_FROM", "csms@localhost", plain, "The sender of our e-mails."
    )
    inbox_size: int = setting(
        "CSMS_INBOX_SIZE",
        "4096",
        positive,
        "Messages that may wait for their commit before senders are slowed down (F4).",
    )
    inbox_batch: int = setting(
        "CSMS_INBOX_BATCH", "256", positive, "Messages committed together at most."
    )
    inbox_workers: int = setting(
        "CSMS_INBOX_WORKERS",
        "2",
        positive,
        "On PostgreSQL, threads of a process that commit messages, each with a connection of its "
        "own. SQLite has one writer.",
    )
    log_format: str = setting(
        "CSMS_LOG_FORMAT",
        "text",
        log_format,
        "Lines of the program's own log, on stderr: text, for people; json, one object a line, for "
        "programs that collect logs.",
    )
    log_level: str = setting(
        "CSMS_LOG_LEVEL",
        "INFO",
        log_level,
        "The least that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    metrics_networks: tuple[Network, ...] = setting(
        "CSMS_METRICS_NETWORKS",
        "127.0.0.0/8,::1/128",
        networks,
        "Networks that may read /metrics; from elsewhere an API token lets in. Behind a proxy that "
        "is not in CSMS_TRUSTED_PROXIES only a token does.",
    )
    log_retention_days: int = setting(
        "CSMS_LOG_RETENTION_DAYS",
        "14",
        number,
        "Days the message log is kept; 0 keeps it for ever.",
    )
    meter_retention_days: int = setting(
        "CSMS_METER_RETENTION_DAYS",
        "0",
        number,
        "Days after their receipt that raw meter values are kept (on PostgreSQL whole months go); "
        "0 keeps them for ever. Transactions keep their energy in any case.",
    )
    event_retention_days: int = setting(
        "CSMS_EVENT_RETENTION_DAYS",
        "365",
        number,
        "Days after their receipt that security events are kept; 0 keeps them for ever.",
    )
    audit_retention_days: int = setting(
        "CSMS_AUDIT_RETENTION_DAYS",
        "0",
        number,
        "Days that it is kept who changed what (Changes, and History of each object); 0 keeps it "
        "for ever.",
    )
    log_max_mb: int = setting(
        "CSMS_LOG_MAX_MB",
        "2048",
        number,
        "On SQLite the message log is trimmed beyond this many megabytes of messages; 0: no cap.",
    )
    max_connectors: int = setting(
        "CSMS_MAX_CONNECTORS",
        "64",
        number,
        "Highest connectorId that creates a connector: broken firmware reports 1850027108 of them.",
    )
    list_items: int = setting(
        "CSMS_LIST_ITEMS",
        "1",
        positive,
        "Items that may be set of a list such as MeterValuesSampledData where the charge point "
        "does not tell its …MaxLength. OCPP 1.6 §5.3 has 1 for safe; many take more.",
    )

    nominal_voltage: int = setting(
        "CSMS_NOMINAL_VOLTAGE",
        "230",
        positive,
        "Volts between a phase and neutral, by which limits of charging profiles are converted "
        "between A and W (OCPP 1.6 §3.13).",
    )

    webhook_networks: tuple[Network, ...] = setting(
        "CSMS_WEBHOOK_NETWORKS",
        "",
        networks,
        "Where webhooks may lead. Empty: anywhere but loopback, link-local, multicast and reserved "
        "addresses, and this machine; networks named here are the only ones allowed.",
    )
    webhook_ports: tuple[range, ...] = setting(
        "CSMS_WEBHOOK_PORTS", "80,443,1024-65535", ports, "Ports to which webhooks may lead."
    )
    webhook_http: bool = setting(
        "CSMS_WEBHOOK_HTTP",
        "0",
        flag,
        "Allows webhooks to http:// addresses: what they tell is then readable on the way.",
    )
    webhook_max_age_hours: int = setting(
        "CSMS_WEBHOOK_MAX_AGE_HOURS",
        "72",
        positive,
        "Hours for which an event is tried again; then it is a dead letter.",
    )
    webhook_max_waiting: int = setting(
        "CSMS_WEBHOOK_MAX_WAITING",
        "1000000",
        positive,
        "Events that may wait for one webhook (each takes about 1 KB); of more, the oldest "
        "transaction.updated are given up.",
    )
    webhook_retention_days: int = setting(
        "CSMS_WEBHOOK_RETENTION_DAYS",
        "14",
        number,
        "Days for which delivered events and dead letters are kept; 0 keeps them for ever.",
    )
    data_transfer_timeout: int = setting(
        "CSMS_DATA_TRANSFER_TIMEOUT",
        "5",
        positive,
        "Seconds an installed handler of vendors' messages may take; then Rejected is answered.",
    )

    demo: bool = setting(
        "CSMS_DEMO",
        "0",
        flag,
        "Runs simulated charge points beside the server (`make run` sets it); for their sake SOAP "
        "callbacks to loopback addresses are allowed. Not for a system with real charge points.",
    )
