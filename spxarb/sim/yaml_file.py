"""A YAML (or JSON) file as lists and maps. The only module here that knows YAML; loaded when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Of a file; a script of a hundred faults has some 10,000."""


def plain_file(path: Path) -> object:
    """What is in the file. Raises ValueError, which names the file, and OSError."""
    import yaml  # noqa: PLC0415  a gateway without faults does without it

    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path}: longer than {MAX_BYTES:,} bytes")
    try:
        return yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise ValueError(f"{path}: not YAML: {' '.join(str(problem).split())}") from None
