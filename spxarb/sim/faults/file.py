"""Scripts of faults from files. The only module here that knows YAML; it is loaded when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.faults.script import ScriptError, read_script

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.sim.faults.script import Script


def read_file(path: Path, seed: int = 0) -> Script:
    """The script in a YAML (or JSON) file. Raises ScriptError, which names the file, and OSError."""
    import yaml  # noqa: PLC0415  a gateway without faults does without it

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise ScriptError([f"{path}: not YAML: {' '.join(str(problem).split())}"]) from None
    try:
        return read_script(plain, seed)
    except ScriptError as problem:
        raise ScriptError([f"{path}: {text}" for text in problem.problems]) from None
