"""What is known when an entry is considered: the market, the evidence for its prices, and all the rest.

Frozen values that the job fills in and the checks judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.contracts import Quote
from spxarb.core.day_limits import NOTHING_HAPPENED, DayRecord
from spxarb.core.parity import NO_PARITY

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.contracts import Contract
    from spxarb.core.entry_check import Check
    from spxarb.core.parity import ParityPrice
    from spxarb.core.sessions import TradingDay, TradingHours

NO_QUOTE = Quote()


class PriceSource(StrEnum):
    """What the price of SPX is taken from."""

    PARITY = "parity"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the price of SPX is held against; None where not known.

    `looked_at` is monotonic seconds, as the times of receipt of the quotes. `first_spx` and `first_spy` are
    the print and the stock as they stood when the decision began. `latest_ratio` is the newest SPX / SPY
    that was measured in an earlier run, `recent_ratio` the median of the newest few.
    """

    parity: ParityPrice = NO_PARITY
    looked_at: float | None = None
    first_spx: Decimal | None = None
    first_spy: Decimal | None = None
    latest_ratio: Decimal | None = None
    recent_ratio: Decimal | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class EntryMarket:
    """What the market offers an entry: prices, the calls at the money, their quotes; None where unknown.

    `spx_price` is the one that is believed: by parity, else the index print; `spy_price` the stock's.
    `spx_equivalent_mid` is the mid of an SPX call struck at ratio x SPY strike, between listed strikes, and
    `equivalent_uncertainty` half of the bid-ask width there. `strike_doubts` say which strikes at the money
    are missing, and why. `calendar_doubt` says how our calendar and the broker's trading hours disagree,
    empty when they agree or nobody asked.
    """

    spx_price: Decimal | None = None
    spy_price: Decimal | None = None
    spx_call: Contract | None = None
    spy_call: Contract | None = None
    spx_quote: Quote = NO_QUOTE
    spy_quote: Quote = NO_QUOTE
    spx_index_quote: Quote = NO_QUOTE
    spy_stock_quote: Quote = NO_QUOTE
    spx_equivalent_mid: Decimal | None = None
    equivalent_uncertainty: Decimal | None = None
    evidence: Evidence = NO_EVIDENCE
    strike_doubts: tuple[str, ...] = ()
    calendar_doubt: str = ""
    spy_hours: TradingHours | None = None

    @property
    def ratio(self) -> Decimal | None:
        """SPX / SPY as measured now; None when either is unknown."""
        if not self.spx_price or not self.spy_price:
            return None
        return self.spx_price / self.spy_price

    @property
    def closing_ratio(self) -> Decimal | None:
        """SPX / SPY by the closes of the day before (tick 9 of both); None when either is not told."""
        spx, spy = self.spx_index_quote.close, self.spy_stock_quote.close
        return spx / spy if spx and spy and spx > 0 and spy > 0 else None

    @property
    def source(self) -> PriceSource | None:
        """Where `spx_price` comes from; None while there is none."""
        if self.spx_price is None:
            return None
        return PriceSource.INDEX if self.evidence.parity.price is None else PriceSource.PARITY

    @property
    def spx_uncertainty(self) -> Decimal | None:
        """How far SPX may be from `spx_price`, index points; None for an index print: nobody can say."""
        return self.evidence.parity.uncertainty

    @property
    def mismatch_uncertainty(self) -> Decimal | None:
        """How far r k may be off, index points: by SPX, and by half of the width of SPY; None when not known.

        r k = S k / P, so its error is k / P times that of S, plus S k / P^2 times that of P.
        """
        strike = self.spy_call.strike if self.spy_call else None
        width, about = self.spy_stock_quote.width, self.spx_uncertainty
        if strike is None or width is None or about is None or not self.spx_price or not self.spy_price:
            return None
        share = strike / self.spy_price
        return share * (about + self.spx_price / self.spy_price * abs(width) / 2)


NO_MARKET = EntryMarket()


@dataclass(frozen=True, slots=True)
class EntryView:
    """All that is known when an entry is considered.

    `unfinished` and `market_doubt` are sentences, empty when there is no doubt: an earlier trade is not in
    order; the market data cannot be trusted although each quote looks sound. `daily_pnl` is net, realized and
    unrealized, dollars, None when unknown. `asked_broker` False: the market was not asked, because nothing
    can be entered anyway. `gate`: the check of mode live that asks for evidence from paper, None elsewhere.
    """

    now: datetime
    day: TradingDay | None
    trading_enabled: bool
    trading_reason: str
    trades_today: int
    unfinished: str
    daily_pnl: Decimal | None
    market: EntryMarket = NO_MARKET
    asked_broker: bool = True
    market_doubt: str = ""
    record: DayRecord = NOTHING_HAPPENED
    gate: Check | None = None
