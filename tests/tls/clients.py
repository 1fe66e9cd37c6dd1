"""TLS clients: of one version, with one suite, with or without a certificate."""

import socket
import ssl
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tls.certificates import Issued

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def set_versions(context: ssl.SSLContext, low: str, high: str) -> None:
    """Python warns of the old ones, which are meant here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = VERSIONS[low], VERSIONS[high]


def client_context(
    server_ca: str,
    *,
    version: str = "",
    suite: str = "",
    certificate: Issued | None = None,
) -> ssl.SSLContext:
    """A context that trusts `server_ca`, of that version and that suite of TLS 1.2 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server_ca)
    if version:
        set_versions(context, version, version)
        if version < "1.2":
            context.set_ciphers("ALL:@SECLEVEL=0")
    if suite:
        context.set_ciphers(suite)
    if certificate is not None:
        with TemporaryDirectory() as folder:
            context.load_cert_chain(*certificate.write(Path(folder), "client").split(":"))
    return context


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection over TLS. Raises ssl.SSLError."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def get(connection: ssl.SSLSocket) -> bytes:
    """The body that a GET is answered with. Raises OSError when there is none."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    received = b""
    while True:
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError("It was closed.")
        received += part
        head, found, body = received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if found and len(body) >= int(length):
            return body


def hello(port: int) -> bytes:
    """The first record of the server for a ClientHello of TLS 1.2 that offers compression."""
    suites = b"\xc0\x2b\xc0\x2f\x00\x9c"
    groups = b"\x00\x0a\x00\x04\x00\x02\x00\x17"  # P-256
    formats = b"\x00\x0b\x00\x02\x01\x00"
    signatures = b"\x00\x0d\x00\x06\x00\x04\x04\x03\x08\x04"
    extensions = groups + formats + signatures
    body = b"\x03\x03" + bytes(32) + b"\x00"
    body += len(suites).to_bytes(2, "big") + suites
    body += b"\x02\x01\x00"  # two methods of compression: DEFLATE, then none
    body += len(extensions).to_bytes(2, "big") + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
        return client.recv(65536)
