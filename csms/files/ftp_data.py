"""The data connection of an upload over FTP: what counts as complete, and what that is answered."""

import sys
from typing import Any

from OpenSSL import SSL
from pyftpdlib.handlers import DTPHandler, TLS_DTPHandler
from pyftpdlib.handlers.ftp.dispatchers import PassiveDTP

from csms.files.ftp_place import Delivery
from csms.files.ftp_tls import was_farewell

STALLED_SECONDS = 60
PACE_BYTES = 64 * 1024
"""Bytes of an upload that come in each such span at least, as over HTTP."""
RESET = "426 Connection reset; transfer aborted."


class Passive(PassiveDTP):
    """Waits for the data connection of a client. What waits for one that never comes is over."""

    def handle_timeout(self) -> None:
        super().handle_timeout()
        self._give_up()

    def handle_accepted(self, sock: Any, addr: Any) -> None:
        super().handle_accepted(sock, addr)
        channel = self.cmd_channel
        gone = self._closed and channel.connected and channel.data_channel is None
        if gone and self._give_up():
            channel.respond(RESET)

    def _give_up(self) -> bool:
        """Whether something had waited."""
        channel = self.cmd_channel
        if not channel.connected:
            return False
        channel._dtp_acceptor = None
        return bool(channel.drop_waiting())


class _Kept:
    """Stands before pyftpdlib's class."""

    timeout = STALLED_SECONDS
    file_obj: Any
    receive: bool
    transfer_finished: bool
    get_transmitted_bytes: Any
    socket: Any
    _closed: bool
    _lastdata: int
    _resp: tuple[Any, ...]

    def close(self) -> None:
        """Keep what is complete before it is answered that it is."""
        delivery = self.file_obj
        if not self._closed and isinstance(delivery, Delivery):
            if self.transfer_finished and not delivery.finished and _was_reset(self.socket):
                self._refuse(RESET)
            elif problem := delivery.finish() if self.transfer_finished else delivery.problem:
                self._refuse(problem)
        super().close()  # type: ignore[misc]

    def _refuse(self, answer: str) -> None:
        self.transfer_finished = False
        self._resp = (answer, _silent)

    def handle_timeout(self) -> None:
        come: int = self.get_transmitted_bytes()
        if self.receive and come < self._lastdata + PACE_BYTES:
            self._lastdata = come  # to pyftpdlib: nothing came
        super().handle_timeout()  # type: ignore[misc]


def _was_reset(connection: Any) -> bool:
    """Whether a connection broke off, to be asked while pyftpdlib closes it.

    That the client has closed ends a file (RFC 959 3.4.1), also without TLS's close_notify, which
    many clients leave out. A reset ends none; pyftpdlib takes both for the same, and so does TLS:
    then the socket knows, which has no peer any more.
    """
    error = sys.exc_info()[1]
    if isinstance(error, SSL.ZeroReturnError) and not was_farewell(connection):
        try:
            connection.getpeername()
        except OSError:
            return True
    return isinstance(error, (OSError, SSL.SysCallError))


def _silent(text: str) -> None:
    """Nothing is logged: the services did."""


class Dtp(_Kept, DTPHandler):
    """Of FTP."""


class TlsDtp(_Kept, TLS_DTPHandler):
    """Of FTPS, where the data connection may be encrypted."""

    def handle_error(self) -> None:
        """Answered as over FTP; pyftpdlib only closes here, and its client would wait."""
        self._error = True  # TLS is in no state to be shut down
        DTPHandler.handle_error(self)
