"""The risk of an open spread: greeks of both legs in dollars, and its result where the market moves.

One axis for both legs, as in `core/payoff.py`: index points. SPY is SPX / r, so that a delta of SPY counts
1 / r of an index point, a gamma 1 / r squared. Contracts held are signed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.black_scholes import call_value, greeks, implied_volatility
from spxarb.core.fees import OPTION_MULTIPLIER
from spxarb.core.greeks import UNKNOWN_GREEKS, Greeks, GreekSource, PositionGreeks
from spxarb.core.model import LegName, cents, dec
from spxarb.core.payoff import Structure, payoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.core.contracts import Quote

MOVES = tuple(map(Decimal, ("-2", "-1", "-0.5", "0", "0.5", "1", "2")))
"""Moves of the underlying in the stress table, percent of its price."""
VOLATILITY_SHOCK = Decimal(15)
"""The shock of volatility in the stress table, percent of itself: 20 % becomes 23 % or 17 %."""
WHOLE = Decimal(100)
DIGITS = 6
"""Decimals of a greek in dollars: the ledger keeps as many, so that a mark says what the screen said."""


@dataclass(frozen=True)
class LegGreeks:
    """One leg of an open spread: the slopes of one call, in dollars a share (SPY) or index points (SPX)."""

    trade_id: int
    symbol: LegName
    contracts: Decimal
    """Held, short negative."""
    source: GreekSource | None
    volatility: float | None
    """Yearly, 0.15 is 15 %, by the clock of its source."""
    delta: float | None
    """For 1 of the underlying."""
    gamma: float | None
    theta: float | None
    """For one calendar day at the present rate."""
    vega: float | None
    """For one volatility point."""


@dataclass(frozen=True)
class StressRow:
    """The open spreads after a move of SPX and SPY by the same percentage, dollars; null where not known."""

    move: Decimal
    """Percent of the underlyings' prices."""
    spx_price: Decimal | None
    spy_price: Decimal | None
    pnl_volatility_down: Decimal | None
    """At once, with volatility 15 % lower: closed at quotes as wide as now, costs included."""
    pnl: Decimal | None
    """At once, with volatility as it is."""
    pnl_volatility_up: Decimal | None
    """At once, with volatility 15 % higher."""
    pnl_at_expiry: Decimal | None
    """Held to a close at these prices, before the costs of a settlement."""


@dataclass(frozen=True, slots=True)
class HeldCall:
    """A leg as it is held and quoted: contracts signed, prices in its own unit, the broker's own greeks."""

    contracts: Decimal
    strike: Decimal
    under: Decimal | None
    mid: Decimal | None
    model: Greeks | None = None

    @property
    def time_value(self) -> Decimal | None:
        """What the mid holds beyond the intrinsic value, in its own unit; None where that is not known."""
        if self.under is None or self.mid is None:
            return None
        return self.mid - max(self.under - self.strike, Decimal(0))

    def own_volatility(self, years: float) -> float | None:
        """By the mid of its quote; None where that does not tell any."""
        if self.under is None or self.mid is None:
            return None
        return implied_volatility(float(self.mid), float(self.under), float(self.strike), years)


@dataclass(frozen=True, slots=True)
class HeldSpread:
    """An open spread for the risk of it.

    `years`: the time left. `pnl`: dollars if it were closed now; `booked`: what was paid and received so far,
    dollars. Both None where not known.
    """

    trade_id: int
    spx: HeldCall
    spy: HeldCall
    years: float
    pnl: Decimal | None = None
    booked: Decimal | None = None

    @property
    def ratio(self) -> Decimal | None:
        """SPX / SPY now."""
        if not self.spx.under or not self.spy.under:
            return None
        return self.spx.under / self.spy.under

    @property
    def legs(self) -> dict[LegName, HeldCall]:
        """The legs of which something is held."""
        both = {LegName.SPX: self.spx, LegName.SPY: self.spy}
        return {name: leg for name, leg in both.items() if leg.contracts}

    @property
    def volatilities(self) -> dict[LegName, float | None]:
        """The volatility of each leg that is held: one for both, by the mid with more time value.

        Both are on one index and end in the same minute. Two mids would tell two volatilities, and what the
        legs differ by would be the noise of their quotes. A mid below the intrinsic value, deep in the money
        the rule, tells none.
        """
        told: list[tuple[Decimal, float]] = []
        for name, leg in self.legs.items():
            volatility, worth = leg.own_volatility(self.years), leg.time_value
            if volatility is not None and worth is not None:
                told.append((worth * (self.ratio or 1) if name is LegName.SPY else worth, volatility))
        one = max(told, key=lambda pair: pair[0])[1] if told else None
        return dict.fromkeys(self.legs, one)


def leg_greeks(spread: HeldSpread) -> tuple[GreekSource | None, dict[LegName, Greeks]]:
    """The greeks of each leg that is held and where they are from; none where a leg's are not known.

    Both legs from one source: the risk of the spread is their small difference, and two models differ.
    """
    legs = spread.legs
    models = {name: leg.model for name, leg in legs.items() if leg.model is not None}
    if legs and len(models) == len(legs):
        return GreekSource.GATEWAY, models
    own = {}
    for name, volatility in spread.volatilities.items():
        under = legs[name].under
        if volatility is None or under is None:
            return None, {}
        slopes = greeks(float(under), float(legs[name].strike), volatility, spread.years)
        if slopes is None:
            return None, {}
        own[name] = slopes
    return (GreekSource.OWN, own) if own else (None, {})


def position_greeks(spread: HeldSpread) -> PositionGreeks:
    """The greeks of the whole spread, dollars."""
    source, found = leg_greeks(spread)
    ratio = spread.ratio
    if source is None or (LegName.SPY in found and ratio is None):
        return UNKNOWN_GREEKS
    scale = {LegName.SPX: 1.0, LegName.SPY: 1.0 if ratio is None else 1 / float(ratio)}
    dollars = {name: float(leg.contracts) * OPTION_MULTIPLIER for name, leg in spread.legs.items()}
    delta = sum(dollars[name] * leg.delta * scale[name] for name, leg in found.items())
    gamma = sum(dollars[name] * leg.gamma * scale[name] ** 2 for name, leg in found.items())
    theta = sum(dollars[name] * leg.theta for name, leg in found.items())
    vega = sum(dollars[name] * leg.vega for name, leg in found.items())
    return PositionGreeks(source, *(round(slope, DIGITS) for slope in (delta, gamma, theta, vega)))


def leg_rows(spread: HeldSpread) -> list[LegGreeks]:
    """A row for each leg that is held."""
    source, found = leg_greeks(spread)
    rows = []
    for name, leg in spread.legs.items():
        of = found.get(name)
        slopes = (None,) * 4 if of is None else (of.delta, of.gamma, of.theta, of.vega)
        rows.append(
            LegGreeks(spread.trade_id, name, leg.contracts, source, of.volatility if of else None, *slopes)
        )
    return rows


# --- what if --------------------------------------------------------------------------------------


def stress(spreads: Sequence[HeldSpread]) -> list[StressRow]:
    """The stress table of all open spreads together; empty without any."""
    if not spreads:
        return []
    return [_stressed(spreads, move) for move in MOVES]


def _stressed(spreads: Sequence[HeldSpread], move: Decimal) -> StressRow:
    moved = [_moved(spread, move) for spread in spreads]

    def at_once(shock: Decimal) -> Decimal | None:
        return _sum(pnl_after(before, after, shock) for before, after in zip(spreads, moved, strict=True))

    return StressRow(
        move=move,
        spx_price=_rounded(moved[0].spx.under),
        spy_price=_rounded(moved[0].spy.under),
        pnl_volatility_down=at_once(-VOLATILITY_SHOCK),
        pnl=at_once(Decimal(0)),
        pnl_volatility_up=at_once(VOLATILITY_SHOCK),
        pnl_at_expiry=_sum(map(pnl_at_expiry, moved)),
    )


def _moved(spread: HeldSpread, percent: Decimal) -> HeldSpread:
    """The spread with both underlyings moved; its quotes are those of before."""

    def leg(call: HeldCall) -> HeldCall:
        return replace(call, under=None if call.under is None else call.under * (1 + percent / WHOLE))

    return replace(spread, spx=leg(spread.spx), spy=leg(spread.spy))


def pnl_after(before: HeldSpread, after: HeldSpread, shock: Decimal) -> Decimal | None:
    """The result if the spread were closed at once after the move, dollars; `shock`: percent of volatility.

    The result of now and the change of what the calls are worth: width and costs stay as they are.
    """
    if before.pnl is None:
        return None
    change = 0.0
    for name, volatility in before.volatilities.items():
        old, new = before.legs[name], after.legs[name]
        if volatility is None or not old.under or not new.under:
            return None
        strike, shocked = float(old.strike), volatility * float(1 + shock / WHOLE)
        worth = call_value(float(old.under), strike, volatility, before.years)
        then = call_value(float(new.under), strike, shocked, before.years)
        change += float(old.contracts) * OPTION_MULTIPLIER * (then - worth)
    return cents(before.pnl + dec(round(change, 4)))


def pnl_at_expiry(spread: HeldSpread) -> Decimal | None:
    """The result with both legs settled at the underlyings' prices, dollars."""
    ratio = spread.ratio
    if ratio is None or spread.spx.under is None or spread.booked is None:
        return None
    held = int(spread.spx.contracts), -int(spread.spy.contracts)
    structure = Structure(spread.spx.strike, spread.spy.strike, ratio, *held)
    return cents(payoff(spread.spx.under, structure, spread.booked))


def call_of(contracts: Decimal, strike: Decimal | None, under: Decimal | None, quote: Quote) -> HeldCall:
    """A leg by its quote. A mid needs both sides; a bid of nothing, beside an ask, counts as 0."""
    mid = quote.mid
    if mid is None and quote.no_bid and quote.ask is not None:
        mid = quote.ask / 2
    return HeldCall(contracts, strike or Decimal(0), under, mid, quote.greeks)


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    """None while one of them is not known."""
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _rounded(price: Decimal | None) -> Decimal | None:
    return None if price is None else cents(price)
