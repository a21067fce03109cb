"""``python -m tools.docs`` writes every generated document anew."""

from __future__ import annotations

from pathlib import Path

from tools.docs import (
    claims,
    commands,
    configuration,
    faults,
    going_live,
    house,
    manual,
    order_life,
    schemas,
    tables,
    trade_life,
    units,
)

for writer in (
    claims,
    commands,
    configuration,
    faults,
    going_live,
    house,
    manual,
    order_life,
    schemas,
    tables,
    trade_life,
    units,
):
    writer.write(Path.cwd())
