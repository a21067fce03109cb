"""All faults by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import faults_fills, faults_link, faults_messages, faults_orders, faults_quotes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .fault_kinds import Kind

GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "Connections": faults_link.KINDS,
    "Messages": faults_messages.KINDS,
    "Orders": faults_orders.KINDS,
    "Fills": faults_fills.KINDS,
    "Quotes": faults_quotes.KINDS,
}
FAULTS: Mapping[str, Kind] = {kind.name: kind for kinds in GROUPS.values() for kind in kinds}
