"""Coverage-guided fuzzing of what the edges read: `make fuzz MINUTES=5 ARGS='json request'`.

    python -m tests.fuzz [--minutes 5] [target …]     all targets, the time divided among them
    python -m tests.fuzz --keep FOLDER …              what is found goes there, not to .venv/fuzz
    python -m tests.fuzz --one target -- …            one of them, with libFuzzer's own arguments

Each target (tests/fuzz/targets.py) is a process of its own that starts from the corpus and goes
on where the last run ended (.venv/fuzz). The first input that breaks a property ends it; the file
is kept there, and belongs into tests/fuzz/corpus once what it found is mended.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".venv" / "fuzz"
NAMES = ("json", "reply", "body", "envelope", "request")
SLACK = 6.0
"""How much slower instrumented code may be."""
MISSING = (
    "atheris is not installed: it is there for Linux on x86-64 (CPython 3.11 to 3.13).\n"
    "The corpus is replayed without it: .venv/bin/python -m pytest tests/fuzz"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together")
    parser.add_argument("--keep", type=Path, default=KEPT, help="folder of what is found")
    parser.add_argument("--one", choices=NAMES)
    parser.add_argument("rest", nargs="*")
    asked = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 2
    if asked.one:
        return fuzz(atheris, asked.one, asked.rest)
    if unknown := set(asked.rest) - set(NAMES):
        parser.error(f"There is no target {', '.join(sorted(unknown))}: {', '.join(NAMES)}.")
    names = [name for name in NAMES if not asked.rest or name in asked.rest]
    keep, seconds = asked.keep.resolve(), 60 * asked.minutes / len(names)
    broken = [name for name in names if not _run(name, seconds, keep)]
    print(f"Broken: {', '.join(broken)}; see {keep}." if broken else "Nothing was found.")
    return 1 if broken else 0


def _run(name: str, seconds: float, keep: Path) -> bool:
    """Fuzz a target in a process of its own; whether nothing was found."""
    print(f"== {name}: {seconds:.0f} s", flush=True)
    found = keep / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="csms-fuzz-") as scratch:
        words = _prepare(name, Path(scratch))
        command = [
            sys.executable, "-m", "tests.fuzz", "--one", name, "--",
            f"-max_total_time={seconds:.0f}", "-max_len=65536", "-timeout=10",
            "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0", f"-dict={words}",
            f"-artifact_prefix={keep}/{name}-", str(found), f"{scratch}/seeds",
        ]  # fmt: skip
        environment = os.environ | {
            "CSMS_DATA_DIR": scratch,
            "CSMS_SECRET_KEY": "only for tests",
            "DJANGO_SETTINGS_MODULE": "csms.settings",
        }
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def _prepare(name: str, scratch: Path) -> Path:
    """Write seeds and dictionary; the path of the dictionary."""
    setup(scratch)
    from tests.fuzz import corpus

    seeds = scratch / "seeds"
    seeds.mkdir()
    for number, data in enumerate(corpus.seeds(name)):
        (seeds / str(number)).write_bytes(data)
    words = scratch / "words"
    lines = (
        '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"'
        for token in corpus.tokens(name)
        if 0 < len(token) <= 64
    )
    words.write_text("\n".join(lines))
    return words


def setup(data_dir: Path) -> None:
    """Django's models can be imported; no database is touched."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")
    os.environ.setdefault("CSMS_SECRET_KEY", "only for tests")
    os.environ.setdefault("CSMS_DATA_DIR", str(data_dir))
    import django

    django.setup()


def fuzz(atheris: Any, name: str, arguments: list[str]) -> int:
    """Fuzz in this process until libFuzzer ends it."""
    with atheris.instrument_imports(include=["ocpp_json", "ocpp_soap", "csms.ocpp"]):
        setup(KEPT)
        from tests.fuzz import properties
        from tests.fuzz.targets import TARGETS
    properties.install_alarm()
    run = TARGETS[name]
    run(b"")  # what is made at the first use costs no message anything

    def one(data: bytes) -> None:
        properties.check_cost(lambda: run(data), slack=SLACK)

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
