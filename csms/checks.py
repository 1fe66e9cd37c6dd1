"""What Django's system check looks at in our own settings (`manage.py check`)."""

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register

from csms.conf import settings


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
