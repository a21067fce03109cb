"""Writes systemd/: what `spxarb timers install` would write for the defaults, and the gateway's example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.gateway_unit import NAME, gateway_example
from spxarb.core.units import UnitValues, render_units

if TYPE_CHECKING:
    from pathlib import Path


def files() -> dict[str, str]:
    """Each file of systemd/ by its name."""
    return {**render_units(UnitValues()), NAME: gateway_example()}


def write(root: Path) -> None:
    """Write the files, and remove units that are rendered no more."""
    folder = root / "systemd"
    wanted = files()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
