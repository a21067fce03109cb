"""What the gateway lists of one option class, strike by strike; pure.

A duplicate or a row that cannot be read spoils its own strike and no other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.broker import convert
from spxarb.core.contracts import PENNY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal

    from spxarb.broker.convert import ContractDetails
    from spxarb.core.contracts import Contract, TickRule
    from spxarb.core.sessions import TradingHours
    from spxarb.errors import GatewayError

OPTION_MULTIPLIER = 100
WITHOUT_VERSION = 164
"""The server version from which contractDetails frames carry no message version."""


@dataclass(frozen=True, slots=True)
class OddDetails:
    """A contractDetails frame that cannot be read: its strike as far as that is known, and the error."""

    strike: Decimal | None
    why: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Options of one class, expiry and right, by strike; empty when none is listed.

    `doubts` say why a strike is left out though it has a row. `session` holds the liquid hours of the expiry
    day, None when the gateway did not send them.
    """

    contracts: tuple[Contract, ...]
    session: TradingHours | None
    doubts: Mapping[Decimal, str] = field(default_factory=dict)


def odd_details(fields: list[str], why: str, *, server: int) -> OddDetails:
    """What can be read of a contractDetails frame: `10|reqId|symbol|secType|lastTrade|strike|...`.

    Before server version 164 a message version stands after the 10 (IBKR's client source).
    """
    place = 5 if server >= WITHOUT_VERSION else 6
    strike = convert.number(fields[place]) if place < len(fields) else None
    return OddDetails(strike or None, why)


def wanted(
    found: Iterable[ContractDetails | OddDetails], trading_class: str, expiry: date, right: str
) -> list[ContractDetails]:
    """The rows of that class, expiry and right; the others were not asked for."""
    rows = (row for row in found if not isinstance(row, OddDetails))
    return [row for row in rows if convert.series(row) == (trading_class, expiry, right)]


def by_strike(
    rows: Iterable[ContractDetails],
    odd: Iterable[OddDetails],
    rules: Mapping[int, TickRule],
    failed: Mapping[int, GatewayError],
) -> tuple[tuple[Contract, ...], dict[Decimal, str]]:
    """The contracts by strike, with their ticks, and why a strike is left out.

    `rules` are the market rules known, `failed` why others are not.
    """
    doubts = {row.strike: f"its row cannot be read ({row.why})" for row in odd if row.strike is not None}
    at: dict[Decimal, dict[int, Contract]] = defaultdict(dict)
    for row in rows:
        rule = convert.market_rule(row)
        contract = convert.contract(row, PENNY if rule is None or rule in failed else rules[rule])
        if contract.strike is None:
            continue
        if contract.multiplier != OPTION_MULTIPLIER:
            doubts[contract.strike] = f"its multiplier is {contract.multiplier}, not {OPTION_MULTIPLIER}"
        elif rule is None:
            doubts[contract.strike] = "the gateway sent no market rule (tick sizes) for it"
        elif rule in failed:
            doubts[contract.strike] = f"its market rule (tick sizes) is not known ({failed[rule]})"
        else:
            at[contract.strike][contract.con_id] = contract
    doubts |= {
        strike: f"{len(found)} contracts have this strike" for strike, found in at.items() if len(found) > 1
    }
    sound = [contract for strike, found in at.items() if strike not in doubts for contract in found.values()]
    return tuple(sorted(sound, key=lambda contract: contract.strike or 0)), doubts
