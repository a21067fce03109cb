"""What `enter` answers: what the checks say, what would be or was traded, and what its credit is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from spxarb.core.checks import ENTRY_CHECKS, MARGIN, SECOND_LOOK
from spxarb.core.entry_check import Check
from spxarb.core.model import LegName, Side
from spxarb.core.results.job import RunsOfDayResult
from spxarb.core.strategy import Risk

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.entry_view import PriceSource
    from spxarb.core.strategy import Credit

NOT_EVALUATED = tuple(
    Check(name, None, None, None, "Not evaluated.") for name in (*ENTRY_CHECKS, SECOND_LOOK, MARGIN)
)


class EntryOutcome(StrEnum):
    """What became of an attempt to enter."""

    ENTERED = "entered"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    DRY_RUN = "dry_run"


class Verdict(StrEnum):
    """What the checks say."""

    ENTER = "enter"
    SKIP = "skip"


@dataclass(frozen=True)
class EntryPrices:
    """The underlyings as measured: SPY in dollars, SPX in index points."""

    spy: Decimal | None = None
    spx: Decimal | None = None
    """The price that strikes, ratio, mismatch and risk rest on."""
    ratio: Decimal | None = None
    """SPX / SPY."""
    spx_source: PriceSource | None = None
    """`parity`: of call and put around the money; `index`: the print, where parity is not known."""
    spx_uncertainty: Decimal | None = None
    """How far SPX may be from it by the widths of those quotes, index points; null for a print."""
    spx_print: Decimal | None = None
    """The print of the index."""
    ratio_measured: bool | None = None
    """Whether every check of the underlyings believes it, so that later decisions are held against it."""
    ratio_jumped: bool | None = None
    """Whether parity and print agree on a ratio that is not the one of lately: it counts from the next
    trading day on, where its own day measured nothing else."""


@dataclass(frozen=True)
class EntryLeg:
    """One leg of the spread; prices in dollars per share (SPY) or index points (SPX)."""

    symbol: LegName
    trading_class: str | None
    expiration: date | None
    strike: Decimal | None
    right: str | None
    action: Side
    """The side that opens the leg."""
    quantity: int
    """Contracts."""
    bid: Decimal | None
    ask: Decimal | None
    fill_price: Decimal | None
    """Average price of the opening fills; null when there were none."""

    @classmethod
    def of(
        cls, name: LegName, call: Contract | None, quote: Quote, quantity: int, fill_price: Decimal | None
    ) -> Self:
        """The leg as chosen and quoted; `call` None where none could be chosen."""
        return cls(
            symbol=name,
            trading_class=None if call is None else call.trading_class,
            expiration=None if call is None else call.expiry,
            strike=None if call is None else call.strike,
            right=None if call is None else call.right,
            action=Side.BUY if name is LegName.SPX else Side.SELL,
            quantity=quantity,
            bid=quote.bid,
            ask=quote.ask,
            fill_price=fill_price,
        )


@dataclass(frozen=True)
class EntryCredit:
    """Dollars: from fills once the spread is entered, before that as quoted."""

    gross: Decimal | None = None
    commissions: Decimal | None = None
    net: Decimal | None = None
    """Gross less commissions."""

    @classmethod
    def of(cls, credit: Credit | None) -> Self:
        return cls() if credit is None else cls(credit.gross, credit.commissions, credit.net)


@dataclass(frozen=True, kw_only=True)
class EnterResult(RunsOfDayResult):
    """One attempt to open one spread."""

    outcome: EntryOutcome | None = None
    """Null when it came to no decision."""
    would: Verdict | None = None
    """What the checks say, also in a dry run; null when they were not made."""
    checks: tuple[Check, ...] = NOT_EVALUATED
    """Every check in order; `margin` comes last and is asked for only when all else passes."""
    prices: EntryPrices = field(default_factory=EntryPrices)
    legs: tuple[EntryLeg, ...] = ()
    """SPX, then SPY; empty when no call could be chosen."""
    credit: EntryCredit = field(default_factory=EntryCredit)
    risk: Risk = field(default_factory=Risk)
    trade_id: int | None = None
    """Null when nothing was sent."""
