"""Where webhooks may lead: the rules of SOAP charge points' callback addresses (callbacks.py), by
settings of their own, and what a URL that a person has written must look like besides."""

from urllib.parse import urlsplit

from csms.conf import Settings, settings
from csms.services import callbacks
from csms.services.callbacks import CallbackRefused


def target_check(url: str, config: Settings | None = None) -> None:
    """Raise CallbackRefused unless events may be sent to a URL. Nothing is resolved."""
    config = config or settings()
    if not config.webhook_http and url.strip().lower().startswith("http://"):
        raise CallbackRefused(
            "Write an https:// URL: http:// is allowed only with the setting CSMS_WEBHOOK_HTTP=1."
        )
    host, _ = callbacks.parse(url, rules=callbacks.webhook_rules(config))
    if "@" in urlsplit(url).netloc:
        raise CallbackRefused("The URL must not hold a user name.")
    try:
        host.encode("ascii").decode().encode("idna")
    except UnicodeError:
        raise CallbackRefused(
            f"The URL's host {host} is no host name: write others than ASCII names as xn--…"
        ) from None


def target_resolve(url: str, config: Settings | None = None) -> callbacks.Target:
    """Resolve a URL once and check where it leads. Blocks. Raises CallbackRefused."""
    config = config or settings()
    target_check(url, config)
    return callbacks.check(url, rules=callbacks.webhook_rules(config))
