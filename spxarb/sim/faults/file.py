"""Scripts of faults from files. The only module here that knows YAML; it is loaded when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.faults.script import ScriptError, read_script

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.sim.faults.script import Script


MAX_BYTES = 1 << 20
"""Of a file; a script of a hundred faults has some 10,000."""


def read_file(path: Path, seed: int = 0) -> Script:
    """The script in a YAML (or JSON) file. Raises ScriptError, which names the file, and OSError."""
    try:
        return read_script(plain_file(path), seed)
    except ScriptError as problem:
        raise ScriptError([f"{path}: {text}" for text in problem.problems]) from None


def plain_file(path: Path) -> object:
    """What is in the file, as lists and maps. Raises ScriptError, which names the file, and OSError."""
    import yaml  # noqa: PLC0415  a gateway without faults does without it

    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ScriptError([f"{path}: longer than {MAX_BYTES:,} bytes"])
    try:
        return yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise ScriptError([f"{path}: not YAML: {' '.join(str(problem).split())}"]) from None
