"""What must hold before the server starts, each with one clear line when it does not."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from csms.conf import settings
from csms.tls import Certificates, TlsProblem

BACKLOG = 1024
"""Connections that may wait to be accepted."""


def _connect_once() -> None:
    """Connect to PostgreSQL without the pool, which would wait and not say what it waits for."""
    if connection.vendor == "postgresql":
        import psycopg

        with connection.wrap_database_errors:
            psycopg.connect(**connection.get_connection_params()).close()


def cause(error: Error) -> str:
    """What a database error means; of the pool's time-outs, why there is no connection."""
    if "couldn't get a connection" in str(error):
        try:
            _connect_once()
        except Error as direct:
            return str(direct).strip()
    return str(error).strip()


def check_database() -> None:
    """One clear line when the database is not there or not migrated."""
    try:
        _connect_once()
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CommandError(f"The database cannot be reached: {reason}") from None
    finally:
        connection.close()
    if pending:
        raise CommandError("The database is not up to date: run `manage.py migrate` first.")


def bind(host: str, port: int, what: str, name: str, *, shared: bool = False) -> socket.socket:
    """A listening socket, or one clear line.

    A port that is shared with other processes is only bound: who listens is sent connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sends at once what is written (no delay).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        if not shared:
            listener.listen(BACKLOG)
    except socket.gaierror as error:
        listener.close()
        raise CommandError(f"CSMS_HOST={host} is no address: {error.strerror}.") from None
    except OSError as error:
        listener.close()
        raise CommandError(
            f"{what} cannot listen on {host}:{port} ({error.strerror}): "
            f"end what uses the port, or set {name} to another."
        ) from None
    listener.setblocking(False)
    return listener


def load_certificates() -> Certificates | None:
    """What TLS is served with, None when nothing is; one clear line when it cannot be."""
    config = settings()
    if not config.tls_certificates:
        if config.tls_client_ca or config.tls_client_crl:
            raise CommandError(
                "CSMS_TLS_CLIENT_CA and CSMS_TLS_CLIENT_CRL need CSMS_TLS_CERTIFICATES."
            )
        return None
    try:
        return Certificates(config)
    except TlsProblem as problem:
        raise CommandError(str(problem)) from None


@contextlib.contextmanager
def only_server() -> Iterator[None]:
    """One server a SQLite database: two would each think that no charge point is connected."""
    if connection.vendor != "sqlite":
        yield
        return
    path = Path(django_settings.DATA_DIR) / "server.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise CommandError(
                f"The data folder {django_settings.DATA_DIR} is already in use by process "
                f"{lock.read().strip()}: end that one, or set CSMS_DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
