"""Databases that can be ended, stopped, filled and made read-only under a running server."""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests import servers

BALLAST_STEP = 64 * 1024


class Postgres:
    """A PostgreSQL server of its own whose commits are on the disk."""

    def __init__(self) -> None:
        self.server = servers.start_postgresql(durable=True)
        self._starts = 1

    def url(self, database: str) -> str:
        return self.server.url.removesuffix("/postgres") + f"/{database}"

    @contextlib.contextmanager
    def connected(
        self, database: str = "postgres"
    ) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    def make(
        self, database: str, template: str = "template1", *, folder: Path | None = None
    ) -> None:
        """Make a database as a copy of another one; with its files in a folder, if one is named."""
        where = ""
        with self.connected() as connection:
            if folder is not None:
                place = folder / "tablespace"
                place.mkdir()
                folder.chmod(0o755)
                owner = self.server.folder.stat()
                os.chown(place, owner.st_uid, owner.st_gid)
                connection.execute(f"CREATE TABLESPACE \"{database}\" LOCATION '{place}'")
                where = f'TABLESPACE "{database}"'
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" {where}')

    def drop(self, database: str) -> None:
        """With its tablespace, if it has one."""
        with self.connected() as connection:
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
            connection.execute(f'DROP TABLESPACE IF EXISTS "{database}"')

    def processes(self) -> list[int]:
        """The server's process and its children."""
        return [self.server.process.pid, *_children(self.server.process.pid)]

    def halt(self) -> None:
        """An orderly end that does not wait for clients."""
        self.server.process.send_signal(signal.SIGINT)
        self.server.process.wait(30)

    def kill(self) -> None:
        """kill -9 of all its processes."""
        for pid in self.processes():
            _signal(pid, signal.SIGKILL)
        self.server.process.wait(10)
        while _children(self.server.process.pid):
            time.sleep(0.02)

    def pause(self) -> None:
        """It answers nothing any more, and closes nothing."""
        for pid in self.processes():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.processes():
            _signal(pid, signal.SIGCONT)

    def restart(self) -> None:
        """Start again what has ended, on its data and port."""
        self._starts += 1
        log = self.server.folder / f"log {self._starts}"
        with log.open("wb") as output:
            self.server.process = subprocess.Popen(
                self.server.process.args,
                cwd=self.server.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **servers._owner(self.server.folder),
            )
        servers._wait_until(
            self.server,
            log,
            lambda: "ready to accept connections" in log.read_text(errors="replace"),
        )

    def read_only(self, yes: bool) -> None:
        """New transactions may write, or may not: as after a failover, say."""
        with self.connected() as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {yes}")
            connection.execute("SELECT pg_reload_conf()")
        self._told(yes)

    def _told(self, read_only: bool) -> None:
        """Wait until those who are connected know it too: they learn it by a signal."""
        for _ in range(100):
            with self.connected() as connection:
                row = connection.execute("SHOW default_transaction_read_only").fetchone()
            if row == ("on" if read_only else "off",):
                break
            time.sleep(0.05)
        time.sleep(0.3)

    def mend(self) -> None:
        """Whatever was done to it: it runs and takes writes."""
        self.resume()
        if self.server.process.poll() is not None:
            self.restart()
        self.read_only(False)

    def stop(self) -> None:
        self.resume()
        self.server.stop()


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, of = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # ended meanwhile
            continue
        if int(of) == parent and state != "Z":
            found.append(int(stat.parent.name))
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes to a SQLite database and does not come to an end."""
    connection = sqlite3.connect(path, timeout=20, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextlib.contextmanager
def files_limited(pid: int) -> Iterator[None]:
    """No file of a process can be written beyond its first page: works without root."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class SmallDisk:
    """A file system of few megabytes in memory, which only root can mount."""

    def __init__(self, megabytes: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="csms-disk-", dir="/tmp"))
        self._ballast = self.folder / "ballast"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.folder.rmdir()
            raise servers.Missing(f"A small disk cannot be mounted here: {done.stderr.strip()}")

    def fill(self) -> None:
        """Until not one more block can be written."""
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(BALLAST_STEP))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
