"""The data connection of an upload over FTP: what counts as complete, and what that is answered."""

import sys
from typing import Any

from pyftpdlib.handlers import DTPHandler, TLS_DTPHandler

from csms.files.ftp_place import Delivery

STALLED_SECONDS = 60


class _Kept:
    """Stands before pyftpdlib's class."""

    timeout = STALLED_SECONDS
    file_obj: Any
    receive: bool
    transfer_finished: bool
    _closed: bool
    _resp: tuple[Any, ...]

    def handle_close(self) -> None:
        """The client has closed: that ends a file (RFC 959 3.4.1). A reset does not."""
        if self.receive and isinstance(sys.exc_info()[1], OSError) and not self._closed:
            self._resp = ("426 Connection reset; transfer aborted.", _silent)
            self.close()
            return
        super().handle_close()  # type: ignore[misc]

    def close(self) -> None:
        """Keep what is complete before it is answered that it is."""
        delivery = self.file_obj
        if not self._closed and self.transfer_finished and isinstance(delivery, Delivery):
            problem = delivery.finish()
            if problem:
                self.transfer_finished = False
                self._resp = (f"550 {problem}", _silent)
        super().close()  # type: ignore[misc]


def _silent(text: str) -> None:
    """Nothing is logged: the services did."""


class Dtp(_Kept, DTPHandler):
    """Of FTP."""


class TlsDtp(_Kept, TLS_DTPHandler):
    """Of FTPS, where the data connection may be encrypted."""
