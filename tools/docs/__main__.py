"""``python -m tools.docs`` writes every generated document anew."""

from __future__ import annotations

from pathlib import Path

from tools.docs import commands, configuration, faults, house, order_life, schemas

for writer in (commands, configuration, faults, house, order_life, schemas):
    writer.write(Path.cwd())
