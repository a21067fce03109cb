"""The strategy's decisions: what may be entered, and at which prices. Pure; exits are in `exits`.

One spread buys SPX calls and sells SPY calls of the same day, both at the money. Every decision is a function
of a view (what is known now), the limits and the fees. Careful to enter: what is not known is never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.checks import ENTRY_CHECKS, MARGIN, SECOND_LOOK
from spxarb.core.credit_words import compared_with_fair
from spxarb.core.day_limits import daily_loss_check, failed_jobs_obstacle
from spxarb.core.entry_check import Check
from spxarb.core.fees import OPTION_MULTIPLIER, FeeSchedule, order_fees
from spxarb.core.limits import Limits, PriceLimits
from spxarb.core.market_checks import (
    halted,
    index_price,
    legs_apart,
    market_data,
    not_asked,
    quote_age,
    ratio_drift,
    strikes,
    tracking_ratio,
    underlying_drift,
    width,
)
from spxarb.core.model import NEW_YORK, ZERO, LegName, Side, cents, dec
from spxarb.core.payoff import Structure, break_even, edge, worst_case
from spxarb.core.sentences import plain, sentence, usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from spxarb.core.contracts import Contract, Quote, TickRule
    from spxarb.core.entry_view import EntryMarket, EntryView

DEFAULT_PRICE_LIMITS = PriceLimits()
TRADING_CLASS = {LegName.SPX: "SPXW", LegName.SPY: "SPY"}


@dataclass(frozen=True, slots=True)
class Credit:
    """What an entry brings, dollars: `net = gross - commissions`."""

    gross: Decimal
    commissions: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Risk:
    """Beside a credit: M in index points, edge and worst case in dollars, break-even in index points.

    None where it cannot be computed, the break-even also where there is none. Each `..._uncertainty`, in the
    same unit, is how far its figure may be off by the widths of the quotes that SPX, the ratio and the mids
    come from; None where SPX rests on the index print, which tells no uncertainty.
    """

    strike_mismatch_points: Decimal | None = None
    edge: Decimal | None = None
    worst_case: Decimal | None = None
    break_even: Decimal | None = None
    mismatch_uncertainty: Decimal | None = None
    edge_uncertainty: Decimal | None = None
    worst_case_uncertainty: Decimal | None = None
    break_even_uncertainty: Decimal | None = None


# --- what to trade ------------------------------------------------------------------------------


def nearest_strike(contracts: Sequence[Contract], price: Decimal) -> Contract | None:
    """The listed contract whose strike is nearest to `price`, of two equally near the lower strike."""
    listed = [(call.strike, call.con_id, call) for call in contracts if call.strike is not None]
    if not listed:
        return None
    return min(listed, key=lambda item: (abs(item[0] - price), item[0], item[1]))[2]


def nearest_strikes(contracts: Sequence[Contract], price: Decimal | None, count: int) -> list[Contract]:
    """The `count` listed contracts whose strikes are nearest to `price`, ascending; none without a price."""
    if price is None:
        return []
    listed = [(call.strike, call) for call in contracts if call.strike is not None]
    nearest = sorted(listed, key=lambda item: (abs(item[0] - price), item[0]))[:count]
    return [call for _, call in sorted(nearest, key=lambda item: item[0])]


def contract_fault(contract: Contract, leg: LegName, today: date) -> str:
    """Why an entry may not trade this contract, a phrase; empty for a call of ours that expires today.

    On a third Friday the AM-settled SPX options of the same month are listed too: one of them would leave the
    SPY calls without a hedge from the open on.
    """
    wanted = {
        "trading class": TRADING_CLASS[leg],
        "right": "C",
        "expiry": today,
        "multiplier": OPTION_MULTIPLIER,
    }
    has = contract.trading_class, contract.right, contract.expiry, contract.multiplier
    wrong = [
        f"its {name} is {found}, not {value}"
        for (name, value), found in zip(wanted.items(), has, strict=True)
        if found != value
    ]
    return f"{contract} is not to be opened: {'; '.join(wrong)}" if wrong else ""


def strike_doubt(
    symbol: str,
    contracts: Iterable[Contract],
    doubts: Mapping[Decimal, str],
    price: Decimal | None,
    step: Decimal,
) -> str:
    """Which strike at the money is missing, and why; empty where one is listed within half a `step`."""
    if price is None or any(
        call.strike is not None and abs(call.strike - price) <= step / 2 for call in contracts
    ):
        return ""
    strike = (price / step).quantize(Decimal(1)) * step
    why = doubts.get(strike)
    return (
        f"{symbol} {plain(strike)} is left out: {why}" if why else f"{symbol} {plain(strike)} is not listed"
    )


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


def entry_checks(
    view: EntryView, limits: Limits, fees: FeeSchedule, prices: PriceLimits = DEFAULT_PRICE_LIMITS
) -> tuple[Check, ...]:
    """All that one look answers, in the order of ENTRY_CHECKS, whatever the others say; live has one more.

    The second look and the margin come after them, from the job.
    """
    return (
        _time_window(view),
        _trading_enabled(view, limits),
        *([view.gate] if view.gate is not None else []),
        _max_trades(view, limits),
        _daily_loss(view, limits, fees),
        market_data(view),
        halted(view),
        quote_age(view, prices),
        legs_apart(view, prices),
        index_price(view, prices),
        underlying_drift(view, prices),
        strikes(view, limits),
        tracking_ratio(view, limits),
        ratio_drift(view, prices),
        width("spx_spread", "SPX", view, view.market.spx_quote, limits.max_spx_spread),
        width("spy_spread", "SPY", view, view.market.spy_quote, limits.max_spy_spread),
        _net_credit(view, limits, fees),
        _credit_plausible(view, limits, fees, prices),
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
    against = [doubt, view.record.blackout]
    also = [sentence(why) for why in against if why]
    if day is None:
        closed = f"The exchange is closed on {now:%Y-%m-%d}."
        return Check(name, False, value, "closed", " ".join([closed, *also]))
    limit = f"{_clock(day.entry_open)}-{_clock(day.entry_cutoff)}"
    inside = day.in_entry_window(now)
    where = "inside" if inside else "outside"
    text = f"It is {value} in New York, {where} the entry window {limit}."
    said = [*also, text] if inside else [text, *also]  # what speaks against it comes first
    return Check(name, inside and not also, value, limit, " ".join(said))


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


def _net_credit(view: EntryView, limits: Limits, fees: FeeSchedule) -> Check:
    name, least = "net_credit", limits.min_entry_credit
    if not view.asked_broker:
        return not_asked(name, least)
    credit = quoted_credit(view.market, limits, fees)
    if credit is None:
        return Check(
            name, None, None, least, "The credit is not known: the SPX ask or the SPY bid is missing."
        )
    ok = credit.net >= least
    text = (
        f"The spread would bring {usd(credit.net)} net of {usd(credit.commissions)} commissions, "
        f"{'at least' if ok else 'less than'} {usd(least)}."
    )
    return Check(name, ok, credit.net, least, text)


def _credit_plausible(view: EntryView, limits: Limits, fees: FeeSchedule, prices: PriceLimits) -> Check:
    """Whether the credit is not too good to be true: what nobody else offers is first a fault of the data."""
    name, most = "credit_plausible", prices.max_unexplained_credit
    if not view.asked_broker:
        return not_asked(name, most)
    credit = quoted_credit(view.market, limits, fees)
    unexplained = risk_of(view.market, limits, credit).edge
    if credit is None or unexplained is None:
        text = "What the mismatch of the strikes is worth is not known, so nothing explains the credit."
        return Check(name, None, None, most, text)
    ok = unexplained <= most
    text = compared_with_fair(credit.net, unexplained)
    if unexplained > 0:
        text = f"{text}, {'within' if ok else 'more than'} {usd(most)}"
    doubt = "" if ok else ": first a fault of the data"
    return Check(name, ok, unexplained, most, f"{text}{doubt}.")


def second_look(first: EntryView, second: EntryView, again: Iterable[Check], seconds: float) -> Check:
    """Whether the second look, `seconds` after the first, which allowed an entry, allows the same one."""
    failed = [check.name for check in again if check.ok is not True]
    moved = [
        f"the nearest {name} strike was {plain(before.strike)} and is {plain(after.strike)}"
        for name, before, after in (
            ("SPX", first.market.spx_call, second.market.spx_call),
            ("SPY", first.market.spy_call, second.market.spy_call),
        )
        if before is not None and after is not None and before.strike != after.strike
    ]
    ok = not failed and not moved
    why = "; ".join([*([f"it says no by {', '.join(failed)}"] if failed else []), *moved])
    text = (
        f"A second look {plain(dec(seconds))} s later {'allows the same entry' if ok else f'does not: {why}'}"
    )
    return Check(SECOND_LOOK, ok, failed, [], sentence(text))


def once_more(agreed: Check, view: EntryView, prices: PriceLimits = DEFAULT_PRICE_LIMITS) -> Check:
    """The second look's check after the margin was asked: `view` is the market read again before the orders.

    `agreed` where its quotes are still sound; else a no that says which of them is not, and why.
    """
    again = (
        market_data(view),
        halted(view),
        quote_age(view, prices),
        legs_apart(view, prices),
        index_price(view, prices),
        underlying_drift(view, prices),
    )
    failed = [check for check in again if check.ok is not True]
    if not failed:
        return agreed
    names = [check.name for check in failed]
    text = f"After the margin was asked the quotes say no by {', '.join(names)}"
    return Check(SECOND_LOOK, False, names, [], " ".join([sentence(text), *(one.message for one in failed)]))


def second_look_not_needed() -> Check:
    """The line of the second look where the first did not allow an entry."""
    return Check(SECOND_LOOK, None, None, [], "A second look was not needed: the first allows no entry.")


def second_look_left_out(seconds: float) -> Check:
    """The line of the second look in a dry run, whose first look allows an entry."""
    again = f"an entry looks again {plain(dec(seconds))} s later, and both looks must allow it"
    text = f"A dry run looks once; {again}."
    return Check(SECOND_LOOK, None, None, [], text)


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
    about = market.mismatch_uncertainty
    if credit is None:
        return Risk(structure.mismatch, mismatch_uncertainty=about)
    even = break_even(structure, credit.net)
    return Risk(
        structure.mismatch,
        _edge_of(market, structure, credit),
        cents(worst_case(structure, credit.net)),
        even,
        mismatch_uncertainty=about,
        edge_uncertainty=_edge_uncertainty(market, structure),
        worst_case_uncertainty=None if about is None else _worst_case_uncertainty(structure, about),
        break_even_uncertainty=None if even is None else about,
    )


def _edge_of(market: EntryMarket, structure: Structure, credit: Credit) -> Decimal | None:
    at_equivalent, at_strike = market.spx_equivalent_mid, market.spx_quote.mid
    if at_equivalent is None or at_strike is None:
        return None
    return cents(edge(credit.net, structure, at_equivalent, at_strike))


def _edge_uncertainty(market: EntryMarket, structure: Structure) -> Decimal | None:
    """Dollars: half of the widths of the quotes whose mids stand for the model."""
    owed, between = market.equivalent_uncertainty, market.spx_quote.width
    if owed is None or between is None or market.spx_uncertainty is None:
        return None
    return cents(structure.short_slope * owed + structure.long_slope * between / 2)


def _worst_case_uncertainty(structure: Structure, about: Decimal) -> Decimal:
    """Dollars: what `about` points of mismatch cost; nothing while the short strike stays the higher one."""
    return cents(structure.short_slope * max(min(about, structure.mismatch + about), ZERO))


# --- words --------------------------------------------------------------------------------------


def _clock(moment: datetime) -> str:
    local = moment.astimezone(NEW_YORK)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
