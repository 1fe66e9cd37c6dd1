"""What Django's system check looks at in our own settings: `manage.py check`, and with `--deploy`
what a system with real charge points should not have."""

import os
import stat
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register

from csms.conf import Settings, settings

SHORTEST = {4: 8, 6: 7}
"""The shortest prefixes of networks that are one's own: 10.0.0.0/8, fc00::/7."""


@register(Tags.security)
def https_is_spoken(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """CSMS_HTTPS_ONLY needs somebody who speaks HTTPS: us, or a proxy that is believed."""
    config = settings()
    if config.https_only is not True or config.tls_certificates or config.trusted_proxies:
        return []
    return [
        Warning(
            "CSMS_HTTPS_ONLY=1 leads everybody to HTTPS, which nothing here speaks.",
            hint="Set CSMS_TLS_CERTIFICATES, or CSMS_TRUSTED_PROXIES to the proxy that ends TLS.",
            id="csms.W001",
        )
    ]


@register(Tags.security)
def nobody_is_believed_by_mistake(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Who is in these networks is believed, or let in, without any proof."""
    config = settings()
    return [
        Warning(
            f"{name} has {network}, where anybody may be.",
            hint="Name the addresses that are meant.",
            id="csms.W002",
        )
        for name, networks in (
            ("CSMS_TRUSTED_PROXIES", config.trusted_proxies),
            ("CSMS_TRUSTED_NETWORKS", config.trusted_networks),
            ("CSMS_METRICS_NETWORKS", config.metrics_networks),
        )
        for network in networks
        if network.prefixlen < SHORTEST[network.version]
    ]


@register(Tags.security)
def keys_are_private(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The keys of our certificates are for us alone."""
    return [
        Warning(
            f"CSMS_TLS_CERTIFICATES: everybody on this machine can read {path}.",
            hint="Give it to a group that the process is in, mode 640.",
            id="csms.W003",
        )
        for _certificate, path in settings().tls_certificates
        if _mode(path) & stat.S_IROTH
    ]


def _mode(path: str) -> int:
    """The permissions of a file; 0 when there is none, which the start says."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


@register(Tags.security, deploy=True)
def production_is_meant(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """What is convenient while trying things out."""
    return [
        Warning(text, hint=hint, id=f"csms.W{number}")
        for number, text, hint in _conveniences(settings())
    ]


def _conveniences(config: Settings) -> Iterator[tuple[str, str, str]]:
    """Number, text and hint of each."""
    if "*" in config.allowed_hosts:
        yield "101", "CSMS_ALLOWED_HOSTS lets the admin answer under any name.", "Name its hosts."
    if config.two_factor != "required":
        yield (
            *("102", "Who knows a password gets into the admin with nothing else."),
            "Set CSMS_TWO_FACTOR=required.",
        )
    if config.demo:
        yield "103", "CSMS_DEMO=1 runs simulated charge points.", "Leave it out."
    if config.unknown_chargers == "accept":
        yield (
            *("104", "CSMS_UNKNOWN_CHARGERS=accept takes whoever comes from a trusted network."),
            "Set it to reject, or pending.",
        )
    if config.tls_client_ca and not config.operator_name:
        yield (
            *("105", "The organisation (O) of client certificates is not looked at."),
            "Set CSMS_OPERATOR_NAME (OCPP 1.6 security whitepaper, A00.FR.405).",
        )
    if config.tls_client_ca and not config.tls_client_crl:
        yield (
            *("106", "Client certificates that were revoked are let in."),
            "Set CSMS_TLS_CLIENT_CRL (OCPP 1.6 security whitepaper, A00.FR.704).",
        )
