"""The npm package `ocpp-rpc`, where Node and npm are installed: kept beside the Python packages."""

import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "ocpp-rpc@2.2.1"
FOLDER = Path(sys.prefix) / "bench-node"


class Missing(Exception):
    """What is not there, in one sentence."""


def program() -> tuple[str, dict[str, str]]:
    """The path of Node and the environment in which it finds the package. Raises Missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing("Node and npm are not installed (Debian: apt install nodejs npm).")
    if not (FOLDER / "node_modules" / "ocpp-rpc").is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(FOLDER)]
        try:
            done = subprocess.run(
                [npm, "install", *options, PACKAGE], capture_output=True, text=True, timeout=120
            )
        except subprocess.TimeoutExpired:
            raise Missing("npm could not install ocpp-rpc within two minutes.") from None
        if done.returncode:
            raise Missing(f"npm could not install ocpp-rpc: {done.stderr.strip()[-200:]}")
    return node, {"NODE_PATH": str(FOLDER / "node_modules")}
