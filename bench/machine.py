"""What the figures were measured on."""

import os
import platform
import re
import tempfile
import time
from pathlib import Path


def describe(folder: Path) -> list[tuple[str, str]]:
    """Names and values that a reader needs to judge the figures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = _found("/proc/cpuinfo", r"model name\s*: (.*)")
    return [
        ("Processor", f"{processor}, {cores} cores"),
        ("Memory", _memory()),
        ("System", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("Disk", f"{_file_system(folder)}; a write of 4 KiB with fsync: {_fsync(folder):.2f} ms"),
        ("Load average before", " ".join(f"{load:.1f}" for load in os.getloadavg())),
    ]


def _found(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        found = None
    return found[1].strip() if found else "not known"


def _memory() -> str:
    kilobytes = _found("/proc/meminfo", r"MemTotal:\s*(\d+) kB")
    return f"{int(kilobytes) / 2**20:.0f} GiB" if kilobytes.isdecimal() else kilobytes


def _file_system(folder: Path) -> str:
    """The type of the file system; on tmpfs nothing is durable."""
    best, kind = "", "not known"
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, place, name = line.split()[:3]
        if str(folder.resolve()).startswith(place) and len(place) >= len(best):
            best, kind = place, name
    return kind


def _fsync(folder: Path, times: int = 50) -> float:
    """Median ms of a small write that is made durable."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return sorted(taken)[times // 2] * 1000
