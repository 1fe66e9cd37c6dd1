"""A running central system that serves files over HTTP and FTP, for the tests of this folder."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, light_hashes, reader
from tests.browser.conftest import browser, pytest_configure, visitor
from tests.fixtures import lasting_system, system
from tests.operations.conftest import commanded, watching
from tests.tls.conftest import Pki, pki

if TYPE_CHECKING:
    from tests.files.site import Site
    from tests.running import System

__all__ = [
    "api",
    "browser",
    "commanded",
    "lasting_system",
    "light_hashes",
    "pki",
    "pytest_configure",
    "reader",
    "system",
    "visitor",
    "watching",
]


@pytest.fixture
def site(system: "System", pki: Pki, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Site]":
    """The system with an FTP server beside it, and locations that lead to both."""
    from csms import conf
    from csms.files.ftp import FtpServer
    from csms.files.ftp_tls import Contexts
    from csms.tls import context_of
    from tests.files.site import Site

    config = conf.read({"CSMS_TLS_CERTIFICATES": pki.pairs, "CSMS_FTP_PASSIVE_PORTS": ""})
    context = context_of(config)
    ftp = FtpServer(
        socket.create_server(("127.0.0.1", 0)),
        contexts=Contexts(lambda: context, config),
        config=config,
    )
    ftp.start()
    urls = (
        f"ftps://localhost:{ftp.port}",
        system.http_url,
        f"ftp://127.0.0.1:{ftp.port}",
    )
    monkeypatch.setattr(conf, "_changed", {"file_urls": urls, "ftp": True})
    conf.settings.cache_clear()
    yield Site(system, ftp.port, pki)
    ftp.stop()
    monkeypatch.undo()
    conf.settings.cache_clear()
