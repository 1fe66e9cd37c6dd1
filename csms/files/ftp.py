"""Files over FTP and FTPS (explicit), for charge points that know nothing else.

pyftpdlib speaks the protocol; here is who may do what. A login is one location
(csms/services/locations.py): it may fetch its one image, or write its one upload. There are no
folders, nothing is listed, changed, continued or replaced. Each connection has a thread.
"""

import logging
import socket
import threading
from typing import Any

from django.db import Error
from pyftpdlib.authorizers import AuthenticationFailed
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import ThreadedFTPServer

from csms.conf import Settings, settings
from csms.files.ftp_data import Dtp, Passive, TlsDtp
from csms.files.ftp_place import Place, Visit, connected, visit_of
from csms.files.ftp_tls import Contexts

logger = logging.getLogger("csms.files")

MOST_CONNECTIONS = 200
MOST_OF_AN_ADDRESS = 50
IDLE_SECONDS = 60
MOST_LOGINS = 3
ALLOWED = frozenset(
    {
        *("USER", "PASS", "ACCT", "QUIT", "REIN", "NOOP", "HELP", "SYST", "FEAT", "OPTS"),
        *("AUTH", "PBSZ", "PROT", "TYPE", "MODE", "STRU", "ALLO", "REST", "ABOR"),
        *("PORT", "EPRT", "PASV", "EPSV", "PWD", "XPWD", "CWD", "XCWD", "CDUP", "XCUP"),
        *("RETR", "SIZE", "MDTM", "STOR", "LIST", "NLST", "MLSD", "STAT"),
    }
)
"""Commands that are understood; lists are refused, with an answer that clients expect."""


def _commands(known: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: dict(facts) for name, facts in known.items() if name in ALLOWED}
    chosen["SIZE"]["perm"] = chosen["MDTM"]["perm"] = "r"
    return chosen


class _Authorizer:
    """Who may log in, and what a login may do; pyftpdlib asks."""

    def validate_authentication(self, username: str, password: str, handler: Any) -> None:
        try:
            visit = connected(visit_of, username=username, password=password)
        except (Error, OSError) as error:
            logger.error("FTP logins wait: %s", error)
            raise AuthenticationFailed("Try again later.") from None
        if visit is None:
            raise AuthenticationFailed("This login is wrong, or it has expired.")
        if visit.scheme == "ftps":
            if not getattr(handler, "_ssl_established", False):
                raise AuthenticationFailed("This login is for FTPS: encrypt first (AUTH TLS).")
            handler.tls_data_required = True
        handler.visit = visit

    def get_home_dir(self, username: str) -> str:
        return "/"

    def get_msg_login(self, username: str) -> str:
        return "Welcome."

    def get_msg_quit(self, username: str) -> str:
        return "Goodbye."

    def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
        return perm in "erw"  # csms/files/ftp_place.py says which of them

    def get_perms(self, username: str) -> str:
        return "erw"

    def impersonate_user(self, username: str, password: str) -> None:
        """All run as we do."""

    def terminate_impersonation(self, username: str) -> None:
        """There is nothing to end."""


class _Common:
    """What both kinds of connections share; stands before pyftpdlib's class."""

    authorizer = _Authorizer()
    abstracted_fs = Place
    passive_dtp = Passive
    timeout = IDLE_SECONDS
    max_login_attempts = MOST_LOGINS
    auth_failed_timeout = 1
    banner = "Ready."
    use_sendfile = False
    visit: Visit | None = None
    _dtp_acceptor: Any
    _dtp_connector: Any
    _in_dtp_queue: tuple[Any, ...] | None
    _out_dtp_queue: tuple[Any, ...] | None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._current_type = "i"  # firmware is no text, whatever a charge point thinks

    def flush_account(self) -> None:
        super().flush_account()  # type: ignore[misc]
        self._current_type = "i"
        self.visit = None

    def _shutdown_connecting_dtp(self) -> None:
        """ABOR, another PASV or PORT, another login: no data connection comes for what waits."""
        super()._shutdown_connecting_dtp()  # type: ignore[misc]
        self.drop_waiting()

    def drop_waiting(self) -> bool:
        """Give up the transfer that waits for its data connection; whether there was one."""
        waiting = []
        if self._in_dtp_queue is not None:
            waiting.append(self._in_dtp_queue[0])
        if self._out_dtp_queue is not None:
            waiting.append(self._out_dtp_queue[2])
        self._in_dtp_queue = self._out_dtp_queue = None
        for file in filter(None, waiting):
            file.close()
        return bool(waiting)

    def ftp_STOR(self, file: str, mode: str = "w") -> str | None:
        """Nothing waits for a data connection that nobody has announced (RFC 959 5.4: 425)."""
        path: str | None = super().ftp_STOR(file, mode)  # type: ignore[misc]
        self._check_announced()
        return path

    def ftp_RETR(self, file: str) -> str | None:
        """The same."""
        path: str | None = super().ftp_RETR(file)  # type: ignore[misc]
        self._check_announced()
        return path

    def _check_announced(self) -> None:
        announced = self._dtp_acceptor is not None or self._dtp_connector is not None
        if not announced and self.drop_waiting():
            self.respond("425 Send PASV or PORT before.")  # type: ignore[attr-defined]

    def ftp_TYPE(self, line: str) -> None:
        """RFC 959: A, I, L 8. The bytes stay as they are in each of them."""
        if line.upper().replace(" ", "") in ("A", "AN", "I", "L8", "L7"):
            self.respond("200 Type set.")  # type: ignore[attr-defined]
        else:
            self.respond("504 Unsupported type.")  # type: ignore[attr-defined]


class _Plain(_Common, FTPHandler):
    dtp_handler = Dtp
    proto_cmds = _commands(FTPHandler.proto_cmds)


class _Tls(_Common, TLS_FTPHandler):
    dtp_handler = TlsDtp
    proto_cmds = _commands(TLS_FTPHandler.proto_cmds)
    contexts: Contexts

    @classmethod
    def get_ssl_context(cls) -> Any:
        return cls.contexts.current()


def _handler(config: Settings, contexts: Contexts | None) -> type[Any]:
    """The class of connections with these settings."""
    shared = {
        "passive_ports": [port for run in config.ftp_passive_ports for port in run] or None,
        "masquerade_address": config.ftp_address or None,
    }
    if contexts is None:
        return type("Connection", (_Plain,), shared)
    return type("TlsConnection", (_Tls,), {**shared, "contexts": contexts})


class _Server(ThreadedFTPServer):
    max_cons = MOST_CONNECTIONS
    max_cons_per_ip = MOST_OF_AN_ADDRESS

    def __init__(self, listening: socket.socket, handler: type[Any]) -> None:
        super().__init__(listening, handler, ioloop=IOLoop())
        self._exit, self._lock = threading.Event(), threading.Lock()  # not those of the class


class FtpServer:
    """A running FTP server, in a thread of its own."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        contexts: Contexts | None = None,
        config: Settings | None = None,
    ) -> None:
        logging.getLogger("pyftpdlib").setLevel(logging.WARNING)
        self._server = _Server(listening, _handler(config or settings(), contexts))
        self.port: int = self._server.address[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ftp", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close all connections; what is on its way breaks off."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._server.ioloop.loop(0.25, blocking=False)
        self._server.close_all()
