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
UV = ROOT / ".venv-uv" / "bin" / "uv"
"""Which the Makefile fetches where it can: it installs in a tenth of pip's time."""
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
    python = home / "bin" / "python"
    # With our pip: one of its own takes longest.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    pip += ["--disable-pip-version-check", "--no-compile", requirement]
    problem = _run([sys.executable, "-m", "venv", "--without-pip", home], deadline)
    if not problem and _run([UV, "pip", "install", "--python", python, requirement], deadline):
        problem = _run(pip, deadline)
    if not problem:
        ready.write_text(requirement)
    return problem


def _run(command: list[str | Path], deadline: float) -> str:
    """Why a command failed, '' when it did not."""
    try:
        left = max(1.0, deadline - time.monotonic())
        done = subprocess.run(command, timeout=left, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return "no time left"
    except OSError as error:
        return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
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
