"""Settings of the process: where it keeps things, where it listens, who gets into the admin."""

from dataclasses import dataclass
from pathlib import Path

from csms.conf.texts import (
    flag,
    items,
    number,
    pairs,
    perhaps,
    plain,
    port,
    positive,
    setting,
    two_factor,
)


@dataclass(frozen=True, slots=True)
class Serving:
    """Database, ports, TLS, sign-in."""

    data_dir: str = setting(
        "CSMS_DATA_DIR",
        "data",
        plain,
        "Folder of the SQLite database and the secret key, made when missing.",
    )
    database_url: str = setting(
        "DATABASE_URL",
        "",
        plain,
        "`postgresql://user:password@host:5432/name` for PostgreSQL; empty: SQLite, in "
        "CSMS_DATA_DIR.",
    )
    redis_url: str = setting(
        "REDIS_URL",
        "",
        plain,
        "`redis://host:6379/0`, where several processes share one database: they wake each other. "
        "Empty, or Redis away: the same happens, up to a second or five later.",
    )
    secret_key: str = setting(
        "CSMS_SECRET_KEY",
        "",
        plain,
        "Signs sessions and password-reset links; empty: made once and kept in CSMS_DATA_DIR.",
    )
    debug: bool = setting(
        "CSMS_DEBUG", "0", flag, "Django's debug pages; never on a machine others can reach."
    )
    allowed_hosts: tuple[str, ...] = setting(
        "CSMS_ALLOWED_HOSTS",
        "*",
        items,
        "Host names under which the admin answers, by comma; name them once the admin is public.",
    )
    trusted_origins: tuple[str, ...] = setting(
        "CSMS_TRUSTED_ORIGINS",
        "",
        items,
        "Origins (`https://csms.example.com`) from which forms are taken behind a TLS proxy.",
    )
    https_only: bool | None = setting(
        "CSMS_HTTPS_ONLY",
        "auto",
        perhaps,
        "1: browsers send the admin's cookies over HTTPS only, and plain HTTP leads to HTTPS; 0: "
        "neither; auto: the former, with CSMS_TLS_CERTIFICATES or when all of CSMS_TRUSTED_ORIGINS "
        "are https.",
    )
    hsts_seconds: int = setting(
        "CSMS_HSTS_SECONDS",
        "0",
        number,
        "With CSMS_HTTPS_ONLY=1: seconds for which browsers refuse plain HTTP to this host (HSTS); "
        "31536000 is a year. It cannot be taken back before.",
    )
    two_factor: str = setting(
        "CSMS_TWO_FACTOR",
        "optional",
        two_factor,
        "A second factor at the admin's login, from an authenticator app. optional: for who sets "
        "it up; required: who has none sets it up at the first login.",
    )
    login_failures: int = setting(
        "CSMS_LOGIN_FAILURES",
        "5",
        positive,
        "Wrong passwords for one user from one address, after which that pair must wait.",
    )
    login_wait_minutes: int = setting(
        "CSMS_LOGIN_WAIT_MINUTES",
        "15",
        positive,
        "How long it must wait; the user can still log in from other addresses.",
    )
    session_idle_minutes: int = setting(
        "CSMS_SESSION_IDLE_MINUTES",
        "60",
        positive,
        "Minutes without opening a page after which somebody is signed out of the admin.",
    )
    session_hours: int = setting(
        "CSMS_SESSION_HOURS",
        "12",
        positive,
        "Hours after which somebody is signed out of the admin in any case.",
    )
    host: str = setting(
        "CSMS_HOST",
        "0.0.0.0",  # noqa: S104  charge points come from other machines
        plain,
        "Address on which both ports listen; 127.0.0.1 keeps others out.",
    )
    http_port: int = setting(
        "CSMS_HTTP_PORT", "8000", port, "Admin and OCPP-S (SOAP); 0 takes a free port."
    )
    json_port: int = setting(
        "CSMS_JSON_PORT", "9000", port, "OCPP-J (WebSocket); 0 takes a free port."
    )
    watch_port: int = setting(
        "CSMS_WATCH_PORT",
        "0",
        port,
        "Plain HTTP with /metrics and /health alone, of every role; worker n of several takes the "
        "port n - 1 above. 0: none (the HTTP port has them too).",
    )
    tls_certificates: tuple[tuple[str, str], ...] = setting(
        "CSMS_TLS_CERTIFICATES",
        "",
        pairs,
        "Server certificates, by comma: `chain.pem:key.pem` (or one file that holds both). With "
        "any, the two TLS ports listen beside the plain ones. Two are meant, one ECDSA and one "
        "RSA (OCPP 1.6 security whitepaper, A00.FR.421); changed files are taken up by themselves.",
    )
    https_port: int = setting(
        "CSMS_HTTPS_PORT", "8443", port, "Admin and OCPP-S over TLS; 0 takes a free port."
    )
    json_tls_port: int = setting(
        "CSMS_JSON_TLS_PORT", "9443", port, "OCPP-J over TLS (wss); 0 takes a free port."
    )
    tls_client_ca: str = setting(
        "CSMS_TLS_CLIENT_CA",
        "",
        plain,
        "PEM file of the authorities that sign charge points' certificates (security profile 3); "
        "empty: none is asked for.",
    )
    tls_client_crl: str = setting(
        "CSMS_TLS_CLIENT_CRL",
        "",
        plain,
        "PEM file of these authorities' revocation lists: one of each, none overdue, or nobody "
        "gets in with a certificate.",
    )
    operator_name: str = setting(
        "CSMS_OPERATOR_NAME",
        "",
        plain,
        "Organisation (O) that a charge point's certificate must name (A00.FR.403); empty: any.",
    )
    public_host: str = setting(
        "CSMS_PUBLIC_HOST",
        "",
        plain,
        "Host name that chargers and people use for us, printed in URLs and WSDLs; empty: the "
        "request's.",
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
