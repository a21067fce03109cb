"""All faults, in groups and by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.faults import (
    closes,
    connections,
    contracts,
    fills,
    foreign,
    margin,
    messages,
    orders,
    positions,
    quotes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.sim.faults.kinds import FaultKind

GROUPS: Mapping[str, tuple[FaultKind, ...]] = {
    "Connections": connections.KINDS,
    "Messages": messages.KINDS,
    "Margin": margin.KINDS,
    "Contracts": contracts.KINDS,
    "Orders": orders.KINDS,
    "Fills": fills.KINDS,
    "Positions": positions.KINDS,
    "Others": foreign.KINDS,
    "Quotes": quotes.KINDS,
    "Closing prices": closes.KINDS,
}
FAULTS: Mapping[str, FaultKind] = {kind.name: kind for kinds in GROUPS.values() for kind in kinds}
