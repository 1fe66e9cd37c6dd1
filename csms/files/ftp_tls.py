"""TLS of FTPS: the same certificates and suites as elsewhere, for pyftpdlib's pyOpenSSL."""

import ssl
from collections.abc import Callable

from OpenSSL import SSL

from csms.conf import Settings, settings
from csms.tls import SECURITY_LEVEL, SUITES

CLOSE_NOTIFY = 0
"""RFC 8446 6.1"""


def _noted(connection: SSL.Connection, where: int, value: int) -> None:
    if where == SSL.SSL_CB_READ_ALERT and value & 0xFF == CLOSE_NOTIFY:
        connection.set_app_data(CLOSE_NOTIFY)


def was_farewell(connection: SSL.Connection) -> bool:
    """Whether the peer has said that nothing more comes, which nobody else can say."""
    return bool(connection.get_app_data() == CLOSE_NOTIFY)


class Contexts:
    """The context of each moment: made anew when `current` (csms.tls.Certificates) has another."""

    def __init__(
        self, current: Callable[[], ssl.SSLContext], config: Settings | None = None
    ) -> None:
        self._current = current
        self._config = config or settings()
        self._of = current()
        self._context = self._made()

    def current(self) -> SSL.Context:
        newest = self._current()
        if newest is not self._of:
            self._context, self._of = self._made(), newest
        return self._context

    def _made(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        # Many clients close without TLS's close_notify. Else OpenSSL would send an alert, and what
        # the socket knows of its end would be lost (was_farewell, ftp_data.py).
        context.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)  # type: ignore[attr-defined]
        context.set_info_callback(_noted)
        context.set_cipher_list(":".join((f"@SECLEVEL={SECURITY_LEVEL}", *SUITES)).encode())
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        for certificate, key in self._config.tls_certificates:
            context.use_certificate_chain_file(certificate)
            context.use_privatekey_file(key)
            context.check_privatekey()
        return context
