"""The lock file: every library of an installation, with its exact version and the hashes of its files.

``python -m tools.lock --uv UV`` (or ``make lock``) has uv resolve what ``pyproject.toml`` asks for, for
every Python and system that spxarb runs on. ``python -m tools.lock --check`` says, without a network, whether
the file still belongs to ``pyproject.toml`` and is as it was written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

PROJECT, LOCK = Path("pyproject.toml"), Path("requirements.lock")
LOWEST_PYTHON, HIGHEST_PYTHON = "3.11", "3.14"
_HEAD = """\
# What a server installs: `pip install --require-hashes -r requirements.lock` (README.md, "systemd").
# Python 3.11 to 3.14, Linux and macOS; with what builds the package: nothing is fetched without a hash.
# Made from pyproject.toml by `make lock`; never edited by hand. `make lint` fails when it is stale.
# input sha256: {asked}
# lines sha256: {lines}
"""
_DIGEST = re.compile(r"^# (input|lines) sha256: ([0-9a-f]{64})$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """One line of the lock: a library's exact version, where it applies, and how many files are known."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        """The exact version, empty where the line names a range."""
        (found,) = [*self.requirement.specifier] or [None]
        return found.version if found is not None and found.operator == "==" else ""


def asked_for(project: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``pyproject.toml`` decides what is in the lock."""
    return {
        "python": project["project"]["requires-python"],
        "libraries": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
        "systems": project["tool"]["uv"]["environments"],
    }


def digest_of(asked: Mapping[str, Any]) -> str:
    """The digest by which a lock knows what it was made from."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def pins(text: str) -> Iterator[Pin]:
    """Every line of a lock file. Raises ValueError for one that is no requirement."""
    whole = re.sub(r"\\\n\s*", "", text)
    for line in whole.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = _HASH.sub("", line.partition(" #")[0]).strip()
            yield Pin(Requirement(requirement), len(_HASH.findall(line)))


def problems(project: Mapping[str, Any], text: str) -> list[str]:
    """Why a lock file does not belong to a project; empty where it does."""
    asked = asked_for(project)
    digests = dict(_DIGEST.findall(text))
    found = []
    if digests.get("input") != digest_of(asked):
        found.append("pyproject.toml asks for something else than when it was made")
    if digests.get("lines") != _digest_of_lines(text):
        found.append("it was changed by hand")
    locked = [*pins(text)]
    found += [f"{pin.requirement.name} has no exact version" for pin in locked if not pin.version]
    found += [f"{pin.requirement.name} has no hash" for pin in locked if not pin.hashes]
    for wanted in map(Requirement, (*asked["libraries"], *asked["build"])):
        found += _unmet(wanted, locked, SpecifierSet(asked["python"]))
    return found


def _unmet(wanted: Requirement, locked: list[Pin], python: SpecifierSet) -> Iterator[str]:
    """What is wrong with one requirement, on each system and Python that the project runs on."""
    mine = [
        pin for pin in locked if canonicalize_name(pin.requirement.name) == canonicalize_name(wanted.name)
    ]
    outside = [pin for pin in mine if pin.version and not wanted.specifier.contains(pin.version)]
    yield from (f"{wanted.name} {pin.version} is outside of {wanted.specifier}" for pin in outside)
    for where in _machines(python):
        if wanted.marker is not None and not wanted.marker.evaluate(where):
            continue
        here = [p for p in mine if p.requirement.marker is None or p.requirement.marker.evaluate(where)]
        if len(here) != 1:
            count = "is missing" if not here else "is there more than once"
            yield f"{wanted.name} {count} on {where['sys_platform']}, Python {where['python_version']}"


def _machines(python: SpecifierSet) -> Iterator[dict[str, str]]:
    """The environment markers of each Python and system."""
    usual = {name: str(value) for name, value in default_environment().items()}
    first, last = (int(version.partition(".")[2]) for version in (LOWEST_PYTHON, HIGHEST_PYTHON))
    for minor in range(first, last + 1):
        version = f"3.{minor}"
        if python.contains(f"{version}.0"):
            for system, name in (("linux", "Linux"), ("darwin", "Darwin")):
                here = {"python_version": version, "python_full_version": f"{version}.0"}
                yield usual | here | {"sys_platform": system, "platform_system": name, "os_name": "posix"}


def _digest_of_lines(text: str) -> str:
    body = _DIGEST.sub("", text)
    return hashlib.sha256("\n".join(line for line in body.splitlines() if line.strip()).encode()).hexdigest()


def compiled(uv: str, asked: Mapping[str, Any]) -> str:
    """The lines of a lock, as uv resolves them today. Raises CalledProcessError where it cannot."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    command += ["--python-version", LOWEST_PYTHON, "--no-emit-index-url", "--no-emit-find-links"]
    command += ["--upgrade", str(PROJECT), "-"]
    build = "\n".join(asked["build"])
    return subprocess.run(command, input=build, capture_output=True, text=True, check=True).stdout  # noqa: S603


def written(project: Mapping[str, Any], lines: str) -> str:
    """The lock file of a project, with the digests by which `problems` judges it."""
    asked, empty = asked_for(project), "0" * 64
    text = _HEAD.format(asked=digest_of(asked), lines=empty) + lines
    return text.replace(empty, _digest_of_lines(text), 1)


def main() -> int:
    """0: the lock belongs to the project; 1: it does not, or uv failed, and stderr says why."""
    arguments = argparse.ArgumentParser(prog="python -m tools.lock", description=__doc__)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="only look; needs no network")
    what.add_argument("--uv", help="the uv that resolves")
    given = arguments.parse_args()
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    if given.uv:
        try:
            LOCK.write_text(written(project, compiled(given.uv, asked_for(project))), encoding="utf-8")
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{error.stderr}\n{LOCK} is as it was.\n")
            return 1
    try:
        found = problems(project, LOCK.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = [str(error)]
    if found:
        sys.stderr.write(f"{LOCK} is stale: {'; '.join(found)}. Run: make lock\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
