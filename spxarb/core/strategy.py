"""The strategy's decisions: what may be entered, and at which prices. Pure; exits are in `exits`.

One spread buys SPX calls and sells SPY calls of the same day, both at the money. Every decision is a function
of a view (what is known now), the limits and the fees. Careful to enter: what is not known is never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.day_limits import NOTHING_HAPPENED, DayRecord, daily_loss_check, failed_jobs_obstacle
from spxarb.core.fees import OPTION_MULTIPLIER, FeeSchedule, order_fees
from spxarb.core.model import ENTRY_CHECKS, MARGIN, NEW_YORK, ZERO, Check, Quote, Side, cents
from spxarb.core.payoff import Structure, break_even, edge, worst_case
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from spxarb.core.model import Contract, TickRule
    from spxarb.core.sessions import TradingDay, TradingHours

NOT_ASKED = "the market was not asked, because nothing can be entered now"
LIVE = 1  # marketDataType of the wire
NO_QUOTE = Quote()
_DATA_TYPES = {LIVE: "live", 2: "frozen", 3: "delayed", 4: "delayed and frozen"}


@dataclass(frozen=True, slots=True)
class Limits:
    """The configured numbers that a decision needs, named as in the configuration.

    Dollars for the whole spread, but: `max_*_spread` and `max_strike_distance_spy` dollars a share (SPX:
    index points), `assignment_risk_threshold` dollars of SPY above its strike, ratios SPX / SPY.
    """

    max_spreads_per_day: int = 2
    min_entry_credit: Decimal = Decimal(400)
    assignment_risk_threshold: Decimal = Decimal(10)
    spy_contracts_per_spread: int = 10
    spx_contracts_per_spread: int = 1
    min_ratio: Decimal = Decimal("9.95")
    max_ratio: Decimal = Decimal("10.05")
    max_spx_spread: Decimal = Decimal("0.50")
    max_spy_spread: Decimal = Decimal("0.05")
    max_strike_distance_spx: Decimal = Decimal("2.5")
    max_strike_distance_spy: Decimal = Decimal("0.5")
    max_daily_loss: Decimal = Decimal(1000)
    max_position_loss: Decimal = Decimal(500)
    emergency_exit_enabled: bool = True
    worst_case_within_daily_loss: bool = True
    max_losses_per_day: int | None = None
    max_failed_jobs_per_day: int | None = 10
    margin_reserve_factor: Decimal = Decimal("1.2")


@dataclass(frozen=True, slots=True)
class EntryMarket:
    """What the market offers an entry: prices, the calls at the money, their quotes; None where unknown.

    `spx_price` and `spy_price` are the underlyings'. `spx_equivalent_mid` is the mid of an SPX call struck at
    ratio x SPY strike, between listed strikes. `calendar_doubt` says how our calendar and the broker's
    trading hours disagree, empty when they agree or nobody asked.
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
    calendar_doubt: str = ""
    spy_hours: TradingHours | None = None

    @property
    def ratio(self) -> Decimal | None:
        """SPX / SPY as measured now; None when either is unknown."""
        if not self.spx_price or not self.spy_price:
            return None
        return self.spx_price / self.spy_price


NO_MARKET = EntryMarket()


@dataclass(frozen=True, slots=True)
class EntryView:
    """All that is known when an entry is considered.

    `unfinished` and `market_doubt` are sentences, empty when there is no doubt: an earlier trade is not in
    order; the market data cannot be trusted although each quote looks sound. `daily_pnl` is net, realized and
    unrealized, dollars, None when unknown. `asked_broker` False: the market was not asked, because nothing
    can be entered anyway.
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


@dataclass(frozen=True, slots=True)
class Credit:
    """What an entry brings, dollars: `net = gross - commissions`."""

    gross: Decimal
    commissions: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Risk:
    """Beside a credit: M in index points, edge and worst case in dollars, break-even in index points.

    None where it cannot be computed, the break-even also where there is none.
    """

    strike_mismatch_points: Decimal | None = None
    edge: Decimal | None = None
    worst_case: Decimal | None = None
    break_even: Decimal | None = None


# --- what to trade ------------------------------------------------------------------------------


def nearest_strike(contracts: Sequence[Contract], price: Decimal) -> Contract | None:
    """The listed contract whose strike is nearest to `price`, of two equally near the lower strike."""
    listed = [(call.strike, call.con_id, call) for call in contracts if call.strike is not None]
    if not listed:
        return None
    return min(listed, key=lambda item: (abs(item[0] - price), item[0], item[1]))[2]


def underlying_price(quote: Quote) -> Decimal | None:
    """The price of an underlying: the middle of its quote, else its last trade (an index has no quote)."""
    if quote.two_sided and not quote.crossed:
        return quote.mid
    return quote.last if quote.last is not None and quote.last > 0 else None


def spread_credit(spx_price: Decimal, spy_price: Decimal, limits: Limits, fees: FeeSchedule) -> Credit:
    """The credit of one spread, dollars: SPX calls bought at `spx_price`, SPY calls sold at `spy_price`.

    The prices are the SPX ask and the SPY bid before the entry, or fills; commissions are estimated.
    """
    spx, spy = limits.spx_contracts_per_spread, limits.spy_contracts_per_spread
    gross = OPTION_MULTIPLIER * (spy * spy_price - spx * spx_price)
    commissions = order_fees(fees, "SPX", Side.BUY, spx, spx_price) + order_fees(
        fees, "SPY", Side.SELL, spy, spy_price
    )
    return Credit(cents(gross), commissions, cents(gross - commissions))


def quoted_credit(market: EntryMarket, limits: Limits, fees: FeeSchedule) -> Credit | None:
    """The credit at the SPX ask and the SPY bid now; None when either is missing."""
    ask, bid = market.spx_quote.ask, market.spy_quote.bid
    if ask is None or bid is None or ask <= 0 or bid <= 0:
        return None
    return spread_credit(ask, bid, limits, fees)


def spx_price_cap(spy_bid: Decimal, limits: Limits, fees: FeeSchedule, ticks: TickRule) -> Decimal | None:
    """The highest legal SPX price that still leaves the least credit when SPY is sold at `spy_bid`.

    None when even the lowest legal price is too dear. Without SPX fees the credit gives an upper bound; from
    there down it is a few ticks.
    """
    sale = OPTION_MULTIPLIER * limits.spy_contracts_per_spread * spy_bid
    sale -= order_fees(fees, "SPY", Side.SELL, limits.spy_contracts_per_spread, spy_bid)
    budget = (sale - limits.min_entry_credit) / (OPTION_MULTIPLIER * limits.spx_contracts_per_spread)
    price = ticks.down(max(budget, ZERO))
    while price > 0 and spread_credit(price, spy_bid, limits, fees).net < limits.min_entry_credit:
        price = ticks.below(price)
    return price if price > 0 else None


def spy_price_floor(spx_fill: Decimal, limits: Limits, fees: FeeSchedule, ticks: TickRule) -> Decimal | None:
    """The lowest legal SPY price that still leaves the least credit after SPX was bought at `spx_fill`.

    The SEC fee takes its part of the premium, all other fees are known beforehand: that gives a lower bound;
    from there up it is a tick or two. None when the SEC fee would take everything.
    """
    spx, spy = limits.spx_contracts_per_spread, limits.spy_contracts_per_spread
    kept = 1 - fees.spy_sec_rate
    if kept <= 0:
        return None
    needed = limits.min_entry_credit + OPTION_MULTIPLIER * spx * spx_fill
    needed += order_fees(fees, "SPX", Side.BUY, spx, spx_fill) + order_fees(fees, "SPY", Side.SELL, spy, ZERO)
    bound = max(needed / (OPTION_MULTIPLIER * spy * kept), ZERO)
    price = max(ticks.below(ticks.up(bound)), ticks.lowest)
    while spread_credit(spx_fill, price, limits, fees).net < limits.min_entry_credit:
        price = ticks.above(price)
    return price


# --- may it be entered --------------------------------------------------------------------------


def entry_checks(view: EntryView, limits: Limits, fees: FeeSchedule) -> tuple[Check, ...]:
    """All checks of an entry but `margin`, in the order of ENTRY_CHECKS, whatever the others say."""
    return (
        _time_window(view),
        _trading_enabled(view, limits),
        _max_trades(view, limits),
        _daily_loss(view, limits, fees),
        _market_data(view),
        _strikes(view, limits),
        _tracking_ratio(view, limits),
        _width("spx_spread", "SPX", view, view.market.spx_quote, limits.max_spx_spread),
        _width("spy_spread", "SPY", view, view.market.spy_quote, limits.max_spy_spread),
        _net_credit(view, limits, fees),
    )


def allowed(checks: Iterable[Check], *, with_margin: bool) -> bool:
    """Whether an entry may go on: every check was answered, and answered yes.

    `with_margin` False: without the margin, which is asked last. True: its answer must be yes as well.
    """
    answers = {check.name: check.ok for check in checks}
    names = (*ENTRY_CHECKS, MARGIN) if with_margin else ENTRY_CHECKS
    unknown = answers.keys() - {*ENTRY_CHECKS, MARGIN}
    return all(answers.get(name) is True for name in (*names, *unknown))


def _time_window(view: EntryView) -> Check:
    name, day, now = "time_window", view.day, view.now.astimezone(NEW_YORK)
    value, doubt = f"{now:%H:%M:%S}", view.market.calendar_doubt
    also = f" {sentence(doubt)}" if doubt else ""
    if day is None:
        return Check(name, False, value, "closed", f"The exchange is closed on {now:%Y-%m-%d}.{also}")
    limit = f"{_clock(day.entry_open)}-{_clock(day.entry_cutoff)}"
    inside = day.in_entry_window(now)
    where = "inside" if inside else "outside"
    blackout = view.record.blackout
    also += f" {sentence(f'no entry today: {blackout}')}" if blackout else ""
    text = f"It is {value} in New York, {where} the entry window {limit}.{also}"
    return Check(name, inside and not doubt and not blackout, value, limit, text)


def _trading_enabled(view: EntryView, limits: Limits) -> Check:
    enabled, reason = view.trading_enabled, view.trading_reason.rstrip(".")
    why = f": {reason}" if reason else ""
    text = "Trading is allowed." if enabled else f"Trading is stopped{why}."
    obstacles = list(filter(None, [view.unfinished, failed_jobs_obstacle(view.record, limits)]))
    if obstacles:
        text = " ".join([*map(sentence, obstacles), *([] if enabled else [text])])
    return Check("trading_enabled", enabled and not obstacles, enabled, True, text)


def _max_trades(view: EntryView, limits: Limits) -> Check:
    done, most = view.trades_today, limits.max_spreads_per_day
    text = f"{done} of at most {most} spreads were opened today"
    ok = done < most
    return Check("max_trades", ok, done, most, f"{text}." if ok else f"{text}: no more today.")


def _daily_loss(view: EntryView, limits: Limits, fees: FeeSchedule) -> Check:
    credit = quoted_credit(view.market, limits, fees)
    worst = risk_of(view.market, limits, credit).worst_case
    later = view.asked_broker and (view.trades_today > 0 or bool(view.record.open))
    return daily_loss_check(view.daily_pnl, view.record, limits, worst, later=later)


def _market_data(view: EntryView) -> Check:
    name, market = "market_data", view.market
    if not view.asked_broker:
        return _market_not_asked(name, 0)
    faults = [
        *_faults("SPX index", market.spx_index_quote, two_sided=False),
        *_faults("SPY stock", market.spy_stock_quote),
        *_call_faults("SPX call", market.spx_call, market.spx_quote),
        *_call_faults("SPY call", market.spy_call, market.spy_quote),
        *([view.market_doubt.rstrip(".")] if view.market_doubt else []),
    ]
    text = "; ".join(faults) if faults else "All four quotes are live, complete and in order"
    return Check(name, not faults, len(faults), 0, sentence(text))


def _strikes(view: EntryView, limits: Limits) -> Check:
    name = "strikes"
    most = {"spx": limits.max_strike_distance_spx, "spy": limits.max_strike_distance_spy}
    if not view.asked_broker:
        return _market_not_asked(name, most)
    distances = {
        "spx": _distance(view.market.spx_call, view.market.spx_price),
        "spy": _distance(view.market.spy_call, view.market.spy_price),
    }
    answers = [None if gap is None else gap <= most[key] for key, gap in distances.items()]
    text = "; ".join(_strike_words(key.upper(), gap, most[key]) for key, gap in distances.items())
    return Check(name, _all_of(answers), distances, most, sentence(text))


def _strike_words(symbol: str, gap: Decimal | None, most: Decimal) -> str:
    if gap is None:
        return f"{symbol} has no price or no listed call"
    where = "within" if gap <= most else "more than"
    return f"the nearest {symbol} strike is {_plain(gap)} from the price, {where} {_plain(most)}"


def _tracking_ratio(view: EntryView, limits: Limits) -> Check:
    name, bounds, ratio = "tracking_ratio", (limits.min_ratio, limits.max_ratio), view.market.ratio
    if not view.asked_broker:
        return _market_not_asked(name, bounds)
    if ratio is None:
        return Check(name, None, None, bounds, "SPX / SPY is not known, because a price is missing.")
    ok = limits.min_ratio <= ratio <= limits.max_ratio
    text = (
        f"SPX / SPY is {ratio:.4f}, {'within' if ok else 'outside'} "
        f"{_plain(limits.min_ratio)} to {_plain(limits.max_ratio)}."
    )
    return Check(name, ok, ratio, bounds, text)


def _width(name: str, symbol: str, view: EntryView, quote: Quote, most: Decimal) -> Check:
    if not view.asked_broker:
        return _market_not_asked(name, most)
    width = quote.width
    if width is None or not quote.two_sided:
        return Check(name, None, None, most, f"The {symbol} call has no two-sided quote.")
    ok = ZERO <= width <= most
    wide = f"The {symbol} call is {_usd(width)} wide"
    text = f"{wide}, {'within' if ok else 'more than'} {_usd(most)}." if width >= 0 else f"{wide}: crossed."
    return Check(name, ok, width, most, text)


def _net_credit(view: EntryView, limits: Limits, fees: FeeSchedule) -> Check:
    name, least = "net_credit", limits.min_entry_credit
    if not view.asked_broker:
        return _market_not_asked(name, least)
    credit = quoted_credit(view.market, limits, fees)
    if credit is None:
        return Check(
            name, None, None, least, "The credit is not known: the SPX ask or the SPY bid is missing."
        )
    ok = credit.net >= least
    text = (
        f"The spread would bring {_usd(credit.net)} net of {_usd(credit.commissions)} commissions, "
        f"{'at least' if ok else 'less than'} {_usd(least)}."
    )
    return Check(name, ok, credit.net, least, text)


def _market_not_asked(name: str, limit: object) -> Check:
    return Check(name, None, None, limit, sentence(NOT_ASKED))


def _faults(what: str, quote: Quote, *, two_sided: bool = True) -> list[str]:
    """What is wrong with a quote, phrases; empty when nothing is."""
    found = []
    if quote.data_type != LIVE:
        kind = _DATA_TYPES.get(quote.data_type or 0, "of an unknown kind")
        found.append(f"{what} data is {kind}, not live")
    if quote.halted:
        found.append(f"{what} is halted")
    if not two_sided and (quote.last is None or quote.last <= 0):
        found.append(f"{what} has no last price")
    if two_sided and not quote.two_sided:
        found.append(f"{what} has no {_missing_side(quote)}")
    if two_sided and quote.crossed:
        found.append(f"{what} is crossed (bid {_plain(quote.bid)} above ask {_plain(quote.ask)})")
    return found


def _call_faults(what: str, contract: Contract | None, quote: Quote) -> list[str]:
    return [f"no {what} was found"] if contract is None else _faults(what, quote)


def _missing_side(quote: Quote) -> str:
    no_bid = quote.bid is None or quote.bid <= 0
    if quote.ask is None:
        return "bid and no ask" if no_bid else "ask"
    return "bid"


def _distance(call: Contract | None, price: Decimal | None) -> Decimal | None:
    """Between a call's strike and the price of its underlying, dollars or index points."""
    if call is None or call.strike is None or price is None:
        return None
    return abs(call.strike - price)


def _all_of(answers: Iterable[bool | None]) -> bool | None:
    """No when one says no, else unknown when one is unknown, else yes."""
    known = list(answers)
    if False in known:
        return False
    return None if None in known else True


# --- what it risks ------------------------------------------------------------------------------


def structure_of(market: EntryMarket, limits: Limits) -> Structure | None:
    """The spread at the money; None while a strike or a price is missing."""
    ratio, spx, spy = market.ratio, market.spx_call, market.spy_call
    if ratio is None or spx is None or spy is None or spx.strike is None or spy.strike is None:
        return None
    return Structure(
        spx.strike, spy.strike, ratio, limits.spx_contracts_per_spread, limits.spy_contracts_per_spread
    )


def risk_of(market: EntryMarket, limits: Limits, credit: Credit | None) -> Risk:
    """Mismatch, edge, worst case and break-even of the spread at the money, entered at `credit`."""
    structure = structure_of(market, limits)
    if structure is None:
        return Risk()
    if credit is None:
        return Risk(structure.mismatch)
    return Risk(
        structure.mismatch,
        _edge_of(market, structure, credit),
        cents(worst_case(structure, credit.net)),
        break_even(structure, credit.net),
    )


def _edge_of(market: EntryMarket, structure: Structure, credit: Credit) -> Decimal | None:
    at_equivalent, at_strike = market.spx_equivalent_mid, market.spx_quote.mid
    if at_equivalent is None or at_strike is None:
        return None
    return cents(edge(credit.net, structure, at_equivalent, at_strike))


# --- words --------------------------------------------------------------------------------------


def _usd(value: Decimal) -> str:
    return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"


def _plain(value: Decimal | None) -> str:
    """A number without trailing zeros or an exponent."""
    if value is None:
        return "none"
    text = f"{value.quantize(Decimal('0.0001')):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock(moment: datetime) -> str:
    local = moment.astimezone(NEW_YORK)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
