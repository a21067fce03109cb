"""``python -m tools.audit PIP_AUDIT``: known vulnerabilities of what ``requirements.lock`` names.

pip-audit ends with 0 also where its database knew none of the libraries, as behind a mirror without
advisories. This says so. Exit 0: every library was looked up, and nothing is known; 1: something is known;
4: no database could be reached, or it knew none or only a part of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tools.lock import LOCK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOTHING_KNOWN, VULNERABLE, NOT_AUDITED = 0, 1, 4
DATABASES = ("pypi", "osv")
"""Asked one after the other until one knows every library."""
MOST_SECONDS = 300.0


def verdict(answer: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Exit code, and what to tell, of one answer of pip-audit in its JSON form."""
    libraries = answer["dependencies"]
    unknown = [str(library["name"]) for library in libraries if "skip_reason" in library]
    told = [
        f"{library['name']} {library['version']}: {trouble['id']}, mended in "
        f"{', '.join(trouble.get('fix_versions') or []) or 'no release'}"
        for library in libraries
        for trouble in library.get("vulns", [])
    ]
    known = len(libraries) - len(unknown)
    if told:
        return VULNERABLE, told
    if not known:
        return NOT_AUDITED, ["the database that was reached knows none of the libraries: nothing was audited"]
    if unknown:
        missing = ", ".join(unknown)
        return NOT_AUDITED, [f"nothing is known of {known} libraries; not audited: {missing}"]
    return NOTHING_KNOWN, [f"{known} libraries, no known vulnerabilities"]


def ask(program: str, database: str) -> tuple[int, list[str]]:
    """One database's word on the lock file."""
    command = [program, "--disable-pip", "--require-hashes", "-r", str(LOCK), "-f", "json"]
    command += ["-s", database, "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MOST_SECONDS)  # noqa: S603
        return verdict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return NOT_AUDITED, [f"it did not answer in {MOST_SECONDS:g} s: nothing was audited"]
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["no answer"]
        return NOT_AUDITED, [f"it cannot be reached, nothing was audited: {lines[-1][:200]}"]


def main(program: str) -> int:
    """The first database that answers for every library decides; else the last."""
    for database in DATABASES:
        code, told = ask(program, database)
        for line in told:
            sys.stderr.write(f"audit ({database}): {line}\n")
        if code != NOT_AUDITED:
            return code
    sys.stderr.write("audit: the lock file was not audited. Run it where a database can be reached.\n")
    return NOT_AUDITED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
