"""Settings of files: firmware that charge points fetch, diagnostics that they deliver."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from csms.conf.charging import Charging
from csms.conf.texts import flag, items, number, plain, port, ports, positive, setting

SCHEMES = ("https", "ftps", "http", "ftp")
"""Those of files, the best first."""


def file_urls(text: str) -> tuple[str, ...]:
    """Base URLs, one a scheme at most."""
    urls = tuple(item.rstrip("/") for item in items(text))
    schemes = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname or parts.path or parts.username:
            raise ValueError("say https://host or http://host:port, ftps://host:port, ftp://…")
        schemes.append(parts.scheme)
    if len(set(schemes)) < len(schemes):
        raise ValueError("say one of each scheme at most")
    return urls


def storage(text: str) -> str:
    if text and (urlsplit(text).scheme != "s3" or not urlsplit(text).netloc):
        raise ValueError("say s3://bucket or s3://bucket/folder, or nothing")
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class Files(Charging):
    """Where files are kept, how charge points reach them, how large they may be."""

    file_urls: tuple[str, ...] = setting(
        "CSMS_FILE_URLS",
        "",
        file_urls,
        "Base URLs under which charge points reach our files, by comma, one of each scheme: "
        "`https://csms.example.com,ftp://csms.example.com:2121`. Empty: made of CSMS_PUBLIC_HOST "
        "and the ports that are served.",
    )
    file_storage: str = setting(
        "CSMS_FILE_STORAGE",
        "",
        storage,
        "Where firmware and diagnostics are kept: empty: the folder `files` in CSMS_DATA_DIR; "
        "`s3://bucket/folder`: S3 or what speaks its protocol, with django-storages and boto3 "
        "installed, which read AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL.",
    )
    firmware_max_mb: int = setting(
        "CSMS_FIRMWARE_MAX_MB", "512", positive, "Largest firmware image, in MiB."
    )
    firmware_url_hours: int = setting(
        "CSMS_FIRMWARE_URL_HOURS",
        "24",
        positive,
        "Hours for which a location of firmware works after the charge point may begin to fetch "
        "it, its retries left aside.",
    )
    upload_max_mb: int = setting(
        "CSMS_UPLOAD_MAX_MB",
        "256",
        positive,
        "Largest file of diagnostics or logs that a charge point may deliver, in MiB.",
    )
    upload_retention_days: int = setting(
        "CSMS_UPLOAD_RETENTION_DAYS",
        "90",
        number,
        "Days for which diagnostics and logs are kept; 0 keeps them for ever.",
    )
    ftp: bool = setting(
        "CSMS_FTP",
        "0",
        flag,
        "Serves files over FTP too, and FTPS (explicit) with CSMS_TLS_CERTIFICATES, for charge "
        "points that know nothing else; `manage.py serve --ftp` is the same for one process. FTP "
        "encrypts nothing.",
    )
    ftp_port: int = setting("CSMS_FTP_PORT", "2121", port, "FTP and FTPS; 0 takes a free port.")
    ftp_passive_ports: tuple[range, ...] = setting(
        "CSMS_FTP_PASSIVE_PORTS",
        "30000-30099",
        ports,
        "Ports for FTP's data connections, which a firewall must let through.",
    )
    ftp_address: str = setting(
        "CSMS_FTP_ADDRESS",
        "",
        plain,
        "IPv4 address that is told to charge points for data connections, behind NAT; empty: the "
        "one they connected to.",
    )
