"""Who acts: said once at each door (a page, a token, the shell), asked for by the audit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Actor(NamedTuple):
    """Who acts."""

    by: str
    """`admin: ann`, `API: billing`, `shell: root`; empty: the central system itself."""
    remote_address: str = ""


_acting: ContextVar[Callable[[], Actor] | None] = ContextVar("acting", default=None)


@contextmanager
def acting(who: Callable[[], Actor]) -> Iterator[None]:
    """Changes made in this block are by `who()`, which is asked only when there is one."""
    before = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(before)


def actor() -> Actor:
    """Who acts now."""
    who = _acting.get()
    return who() if who is not None else Actor("")
