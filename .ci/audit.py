"""Looks up what is installed among the known vulnerabilities (pip-audit).

    .venv/bin/python .ci/audit.py

Exit code 1 when one is found. When the service cannot be reached, or does not know what is asked
for, it says so and ends with 0: a machine without a network can be built on.
"""

import json
import re
import subprocess
import sys
from typing import Any

COMMAND = ("pip_audit", "--local", "--format", "json", "--progress-spinner", "off")
SECONDS = 240
"""For all of it; pip-audit asks for one package after another."""

UNREACHABLE = re.compile(r"ConnectionError|Connection(Reset|Refused)|ProxyError|Timeout|HTTPError")


def asked() -> dict[str, Any] | None:
    """pip-audit's answer; None when there is none, which was said."""
    command = [sys.executable, "-m", *COMMAND, "--timeout", "10"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        answer: dict[str, Any] = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        print(f"DEPENDENCIES NOT AUDITED: no answer of the service within {SECONDS} s.")
        return None
    except ValueError:
        last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
        if not UNREACHABLE.search(ended.stderr):
            sys.exit(f"pip-audit failed: {last}")
        print(f"DEPENDENCIES NOT AUDITED: the service cannot be reached ({last}).")
        return None
    return answer


def judged(answer: dict[str, Any]) -> int:
    """Says what was found; the exit code."""
    packages = answer["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    found = [package for package in packages if package.get("vulns")]
    known = len(packages) - len(skipped)
    for package in found:
        for weakness in package["vulns"]:
            mended = ", ".join(weakness.get("fix_versions", ())) or "no version"
            print(f"{package['name']} {package['version']}: {weakness['id']}, mended in {mended}")
    if not known:
        print(f"DEPENDENCIES NOT AUDITED: the service knows none of {len(packages)} packages here.")
    else:
        unknown = ", ".join(package["name"] for package in skipped)
        remark = f"; not known there: {unknown}" if skipped else ""
        print(f"{known} packages audited, {len(found)} with known vulnerabilities{remark}")
    return 1 if found else 0


if __name__ == "__main__":
    reply = asked()
    sys.exit(judged(reply) if reply is not None else 0)
