"""TLS of FTPS: the same certificates and suites as elsewhere, for pyftpdlib's pyOpenSSL."""

import ssl
from collections.abc import Callable

from OpenSSL import SSL

from csms.conf import Settings, settings
from csms.tls import SECURITY_LEVEL, SUITES


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
        context.set_cipher_list(":".join((f"@SECLEVEL={SECURITY_LEVEL}", *SUITES)).encode())
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        for certificate, key in self._config.tls_certificates:
            context.use_certificate_chain_file(certificate)
            context.use_privatekey_file(key)
            context.check_privatekey()
        return context
