"""The clock of server processes, turned by libfaketime."""

from pathlib import Path

from tests import servers

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MISSING = "libfaketime is not installed (Debian: apt install libfaketime)."
LOOKS_EVERY = 1
"""Seconds after which a process looks at the clock again: a jump has happened by then."""


class TurnedClock:
    """What time it is for all processes with this environment; their monotonic clocks go on."""

    def __init__(self, folder: Path) -> None:
        """Raises Missing. The folder holds a file while the clock is used."""
        if not LIBRARIES:
            raise servers.Missing(MISSING)
        self._file = folder / "clock"
        self.turn("+0")
        self.environment = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(LOOKS_EVERY),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def turn(self, offset: str) -> None:
        """Be so far from the true time: `+400d`, `-2h`, `+0`."""
        new = self._file.with_suffix(".new")
        new.write_text(offset)
        new.replace(self._file)  # nobody reads half of it


def swept(pid: int) -> None:
    """Remove what libfaketime leaves of a process that was killed: the next one of its number
    would not start."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        Path("/dev/shm", name).unlink(missing_ok=True)
