"""Where a trade's P&L came from: the strikes' mismatch, the market, the widths, slippage and fees.

Every part is dollars to us: what cost money is negative. Of a trade whose quotes are known at both ends the
parts add up to its P&L to the cent, `pricing` being what the others leave. The quotes of an entry are those
that it was decided by, those of an exit the last mark of `monitor` before its orders.

The market's parts are values by Black-Scholes at the volatility that the mid of the SPX call implied, at the
entry and at the exit; where it implies none at the exit, that of the entry. The ratio r is kept as it was at
the entry. The mismatch is worth 100 (c(K) - c(r k)) a long call; what is left of the legs are calls at one
strike, r k: 100 q_spx - 100 q_spy / r of them, nearly none. So a spread whose strikes match owes its P&L to
nothing but pricing, widths, slippage and fees, and what the market does to a spread is, but for some dollars,
what it does to the mismatch.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from spxarb.core.fees import OPTION_MULTIPLIER
from spxarb.core.model import ZERO, LegName, cents
from spxarb.core.order_words import CLOCKS_APART, Purpose
from spxarb.core.trades import TradeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.core.contracts import Contract
    from spxarb.core.records import Fill, Mark, OrderRecord, Trade

OLDEST_MARK = timedelta(minutes=10)
"""A mark that is older than this when an exit begins says nothing about its quotes."""
EXITS = frozenset({Purpose.EXIT, Purpose.FAILSAFE})


@dataclass(frozen=True)
class Parts:
    """The parts of a P&L, dollars to us; null where quotes are missing."""

    mismatch: Decimal | None = None
    """What the market did to the difference of the strikes; its own parts are the next three."""
    mismatch_underlying: Decimal | None = None
    mismatch_time: Decimal | None = None
    mismatch_volatility: Decimal | None = None
    underlying: Decimal | None = None
    """What the move of the index did to the rest of the spread."""
    time: Decimal | None = None
    """Likewise the time that passed."""
    volatility: Decimal | None = None
    """Likewise the change of implied volatility."""
    pricing: Decimal | None = None
    """By how much SPY and SPX calls were priced apart, and no longer; with the change of the ratio."""
    width: Decimal | None = None
    """Half of the widths of the quotes decided by."""
    slippage: Decimal | None = None
    """Fills against the bid or ask decided by."""
    fees: Decimal | None = None


PARTS = tuple(part.name for part in fields(Parts))
MARKET = PARTS[:7]
TOTAL = tuple(name for name in PARTS if not name.startswith("mismatch_"))
"""The parts that add up to the P&L."""


@dataclass(frozen=True)
class TradeAnalysis:
    """One trade's P&L and where it came from."""

    trade_id: int
    day: date
    net_pnl: Decimal | None
    """Null while it is open, where nothing was filled, or where only the account's statement knows it."""
    by_hand: bool
    """Whether a human closed it, or part of it."""
    entry_slippage: Decimal | None
    """Fills of the entry against the bid and ask that it was decided by, dollars to us."""
    exit_slippage: Decimal | None
    """Likewise of the exit, against the last mark before it."""
    parts: Parts
    not_attributed: str | None
    """Why the parts are null; null where they are not."""


class _QuotesSeen(NamedTuple):
    """The prices of one end of a trade."""

    at: datetime
    spx: Decimal | None
    spx_bid: Decimal | None
    spx_ask: Decimal | None
    spy_bid: Decimal | None
    spy_ask: Decimal | None


def analyse(
    trade: Trade,
    fills: Sequence[Fill],
    marks: Iterable[Mark],
    orders: Iterable[OrderRecord],
    close: datetime,
    *,
    settled: bool,
) -> TradeAnalysis:
    """Where the trade's P&L came from; `close`: of its session. `settled`: a leg of it was."""
    entry = _QuotesSeen(
        trade.entry_time or close,
        *(trade.spx_price, trade.spx_entry_bid, trade.spx_entry_ask),
        *(trade.spy_entry_bid, trade.spy_entry_ask),
    )
    opening = [fill for fill in fills if fill.purpose is Purpose.ENTRY]
    closing = [fill for fill in fills if fill.purpose in EXITS]
    leaving = _seen_at_exit(marks, orders, closing)
    slips = _slippage(trade, opening, entry), _slippage(trade, closing, leaving)
    by_hand = trade.handed_over or any(fill.purpose is Purpose.BY_HAND for fill in fills)
    known = trade.state.result_known and not trade.is_open and bool(fills)
    parts, why = Parts(), _why_not(trade, fills, settled=settled, known=known)
    if why is None:
        parts, why = _parts(trade, fills, (entry, leaving), slips, close)
    return TradeAnalysis(
        trade.id,
        trade.trade_date,
        trade.final_pnl if known else None,
        by_hand=by_hand,
        entry_slippage=slips[0],
        exit_slippage=slips[1],
        parts=parts,
        not_attributed=why,
    )


def _why_not(trade: Trade, fills: Sequence[Fill], *, settled: bool, known: bool) -> str | None:
    """Why the P&L of a trade has no two ends with quotes."""
    if trade.is_open:
        return "open"
    if not fills:
        return "nothing was filled"
    if not known or trade.final_pnl is None:
        return "its result is not known"
    if trade.state is TradeState.UNWOUND or any(fill.purpose is Purpose.UNWIND for fill in fills):
        return "the entry was undone"
    if any(fill.purpose is Purpose.BY_HAND for fill in fills):
        return "closed by hand"
    if settled:
        return "settled in cash"
    return None


def _seen_at_exit(
    marks: Iterable[Mark], orders: Iterable[OrderRecord], closing: Sequence[Fill]
) -> _QuotesSeen | None:
    """The last mark before the first of the exit's orders; None where it is too old, or none was taken."""
    sent = [order.created_at for order in orders if order.purpose is Purpose.EXIT]
    filled = [fill.execution.time for fill in closing]
    began = min(sent or filled, default=None)
    if began is None:
        return None
    before = [mark for mark in marks if mark.at <= began + CLOCKS_APART]
    if not before or began - before[-1].at > OLDEST_MARK:
        return None
    last = before[-1]
    return _QuotesSeen(last.at, last.spx, last.spx_bid, last.spx_ask, last.spy_bid, last.spy_ask)


def _touch(seen: _QuotesSeen, fill: Fill) -> Decimal | None:
    """The side of the quote that an order of this side takes."""
    spx = fill.leg is LegName.SPX
    bought = fill.signed_quantity > 0
    side = (seen.spx_ask if bought else seen.spx_bid) if spx else (seen.spy_ask if bought else seen.spy_bid)
    return None if side is None or side < 0 else side


def _slippage(trade: Trade, fills: Sequence[Fill], seen: _QuotesSeen | None) -> Decimal | None:
    """What the fills brought beyond the touch that was decided by, dollars; None without fills or quotes."""
    if seen is None or not fills:
        return None
    total = ZERO
    for fill in fills:
        touch = _touch(seen, fill)
        if touch is None:
            return None
        total += (touch - fill.execution.price) * fill.signed_quantity * _multiplier(trade, fill.leg)
    return cents(total)


def _multiplier(trade: Trade, leg: LegName) -> int:
    return trade.contract(leg).multiplier or OPTION_MULTIPLIER


def _mid(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """A bid of 0 beside an ask counts as 0."""
    return None if bid is None or ask is None or bid < 0 or ask <= 0 else (bid + ask) / 2


def _parts(
    trade: Trade,
    fills: Sequence[Fill],
    ends: tuple[_QuotesSeen, _QuotesSeen | None],
    slips: tuple[Decimal | None, Decimal | None],
    close: datetime,
) -> tuple[Parts, str | None]:
    """The parts, or why they cannot be told."""
    entry, leaving = ends
    if leaving is None:
        return Parts(), "no mark just before the exit"
    effects = _effects(trade, entry, leaving, close)
    widths = [
        _half_width(trade, fills, seen, opens=opens) for seen, opens in ((entry, True), (leaving, False))
    ]
    if effects is None or None in slips or None in widths or trade.final_pnl is None:
        return Parts(), "a quote is missing"
    fees = -cents(sum((fill.commission for fill in fills), start=ZERO))
    width = cents(sum((one for one in widths if one is not None), start=ZERO))
    slippage = sum((slip for slip in slips if slip is not None), start=ZERO)
    mismatch, rest = effects
    named = dict(zip(MARKET, (sum(mismatch, start=ZERO), *mismatch, *rest), strict=True))
    explained = sum((*mismatch, *rest, fees, width, slippage), start=ZERO)
    pricing = trade.final_pnl - explained
    return Parts(**named, pricing=pricing, width=width, slippage=slippage, fees=fees), None


def _half_width(trade: Trade, fills: Sequence[Fill], seen: _QuotesSeen, *, opens: bool) -> Decimal | None:
    """What it costs to trade at the touch in place of the mid, dollars to us; None without both quotes."""
    total = ZERO
    for fill in fills:
        if fill.purpose.opens is not opens:
            continue
        spx = fill.leg is LegName.SPX
        mid = _mid(seen.spx_bid, seen.spx_ask) if spx else _mid(seen.spy_bid, seen.spy_ask)
        touch = _touch(seen, fill)
        if mid is None or touch is None:
            return None
        total += (mid - touch) * fill.signed_quantity * _multiplier(trade, fill.leg)
    return total


Effects = tuple[tuple[Decimal, ...], tuple[Decimal, ...]]


def _effects(trade: Trade, entry: _QuotesSeen, leaving: _QuotesSeen, close: datetime) -> Effects | None:
    """What the index, time and volatility did, one after the other: to the mismatch, and to the rest."""
    strike, ratio = trade.spx.strike, trade.ratio
    if strike is None or not ratio or trade.spy.strike is None or not entry.spx or not leaving.spx:
        return None
    start, end = _state(entry, trade.spx, close), _state(leaving, trade.spx, close)
    if start is None or end is None:
        return None
    (spot, volatility, years), (spot_now, implied, years_now) = start, end
    if volatility is None:
        return None
    volatility_now = volatility if implied is None else implied
    steps: list[tuple[float, float, float]] = [
        (spot, volatility, years),
        (spot_now, volatility, years),
        (spot_now, volatility, years_now),
        (spot_now, volatility_now, years_now),
    ]
    level = float(ratio * trade.spy.strike)
    long_slope = OPTION_MULTIPLIER * trade.spx_contracts
    rest_slope = long_slope - OPTION_MULTIPLIER * trade.spy_contracts / float(ratio)
    from spxarb.core.black_scholes import call_value  # noqa: PLC0415 -- only a trade needs it

    upper = [call_value(under, float(strike), deviation, left) for under, deviation, left in steps]
    lower = [call_value(under, level, deviation, left) for under, deviation, left in steps]
    mismatch = _changes([long_slope * (at_k - at_rk) for at_k, at_rk in zip(upper, lower, strict=True)])
    return mismatch, _changes([rest_slope * value for value in lower])


def _changes(values: Sequence[float]) -> tuple[Decimal, ...]:
    return tuple(cents(Decimal(str(round(now - before, 6)))) for before, now in itertools.pairwise(values))


def _state(seen: _QuotesSeen, call: Contract, close: datetime) -> tuple[float, float | None, float] | None:
    """Index, implied volatility and years to the close; None without the call's mid.

    A mid at its intrinsic value implies no volatility, as that of a call deep in the money near the close.
    """
    mid = _mid(seen.spx_bid, seen.spx_ask)
    if mid is None or not seen.spx or call.strike is None:
        return None
    from spxarb.core.black_scholes import implied_volatility, years_of  # noqa: PLC0415 -- likewise

    years = years_of(max((close - seen.at).total_seconds() / 60, 0.0))
    volatility = implied_volatility(float(mid), float(seen.spx), float(call.strike), years)
    return float(seen.spx), volatility, years


@dataclass(frozen=True)
class Attribution:
    """The parts of all P&L of the period that can be attributed, dollars to us."""

    trades: int = 0
    """Trades whose P&L is in the parts."""
    net_pnl: Decimal | None = None
    """Of these trades: what the parts add up to."""
    parts: Parts = Parts()
    others: int = 0
    """Finished trades of known result whose quotes are not known at both ends."""
    others_pnl: Decimal | None = None
    entry_slippage: Decimal | None = None
    """Mean a trade, of the trades whose quotes at the entry are known; null without any."""
    entry_slippage_trades: int = 0
    exit_slippage: Decimal | None = None
    """Mean a trade, likewise at the exit."""
    exit_slippage_trades: int = 0


def attribution(analyses: Sequence[TradeAnalysis]) -> Attribution:
    """The sums over trades."""
    whole = [one for one in analyses if one.not_attributed is None]
    others = [one.net_pnl for one in analyses if one.not_attributed is not None and one.net_pnl is not None]
    entries = [one.entry_slippage for one in analyses if one.entry_slippage is not None]
    exits = [one.exit_slippage for one in analyses if one.exit_slippage is not None]
    sums = {name: _sum([getattr(one.parts, name) for one in whole]) for name in PARTS}
    return Attribution(
        len(whole),
        _sum([one.net_pnl for one in whole]),
        Parts(**sums),
        len(others),
        _sum(others),
        _mean(entries),
        len(entries),
        _mean(exits),
        len(exits),
    )


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    return sum((value for value in values if value is not None), start=ZERO) if values else None


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return cents(sum(values, start=ZERO) / len(values)) if values else None
