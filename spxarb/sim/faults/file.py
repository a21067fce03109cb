"""Scripts of faults from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.faults.script import ScriptError, read_script
from spxarb.sim.yaml_file import plain_file

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.sim.faults.script import Script


def read_file(path: Path, seed: int = 0) -> Script:
    """The script in a YAML (or JSON) file. Raises ScriptError, which names the file, and OSError."""
    try:
        plain = plain_file(path)
    except ValueError as problem:
        raise ScriptError([str(problem)]) from None
    try:
        return read_script(plain, seed)
    except ScriptError as problem:
        raise ScriptError([f"{path}: {text}" for text in problem.problems]) from None
