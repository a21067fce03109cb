"""All faults by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.faults import connections, fills, messages, orders, quotes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.sim.faults.kinds import Kind

GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "Connections": connections.KINDS,
    "Messages": messages.KINDS,
    "Orders": orders.KINDS,
    "Fills": fills.KINDS,
    "Quotes": quotes.KINDS,
}
FAULTS: Mapping[str, Kind] = {kind.name: kind for kinds in GROUPS.values() for kind in kinds}
