"""Builds the environments of the clients other than ib_insync, beside the project's own; `make clients`.

Each has its own: ib_insync and ib_async install the same package and break each other. What is there already
stays; all of it together may take LIMIT seconds. Exits with 1 when one is missing at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIMIT = 120.0
ENVIRONMENTS = {
    ".venv-ib_async": "ib_async>=2.1,<2.2",
    ".venv-ibapi": "ibapi-latest>=10.50,<11",
    ".venv-ibapi-2020": "ibapi==9.81.1.post1",
}


def build(home: Path, requirement: str, deadline: float) -> str:
    """Build one environment. Returns why that failed, '' when it is there."""
    ready = home / "ready"
    if ready.exists() and ready.read_text() == requirement:
        return ""
    shutil.rmtree(home, ignore_errors=True)
    # With our pip: one of its own takes longest.
    ours = [sys.executable, "-m", "pip", "--python", home / "bin" / "python"]
    pip = [*ours, "install", "-q", "--disable-pip-version-check", "--no-compile", requirement]
    for command in ([sys.executable, "-m", "venv", "--without-pip", home], pip):
        try:
            left = max(1.0, deadline - time.monotonic())
            done = subprocess.run(command, timeout=left, capture_output=True, text=True, check=False)
        except subprocess.TimeoutExpired:
            return "no time left"
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    ready.write_text(requirement)
    return ""


def main() -> int:
    deadline, missing = time.monotonic() + LIMIT, 0
    for name, requirement in ENVIRONMENTS.items():
        problem = build(ROOT / name, requirement, deadline)
        if problem:
            shutil.rmtree(ROOT / name, ignore_errors=True)
            sys.stderr.write(f"NOT BUILT: {name} ({requirement}): {problem}\n")
            missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
