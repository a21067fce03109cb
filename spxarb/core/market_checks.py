"""Whether the market allows an entry: prices that can be believed, strikes at the money, narrow quotes. Pure.

Each check has its value and its limit. What is not known is no yes.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.entry_check import Check
from spxarb.core.entry_view import PriceSource
from spxarb.core.model import ZERO
from spxarb.core.quality import missing_side, price_age, quote_faults
from spxarb.core.sentences import beside, plain, plain_beside, sentence, usd, usd_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.entry_view import EntryMarket, EntryView
    from spxarb.core.limits import Limits, PriceLimits

NOT_ASKED = "the market was not asked, because nothing can be entered now"
BASIS_POINTS = 10_000

# --- the quotes ---------------------------------------------------------------------------------


def market_data(view: EntryView) -> Check:
    """Whether the four quotes are live, complete and in order, and nothing else makes them doubtful."""
    name, market = "market_data", view.market
    if not view.asked_broker:
        return not_asked(name, 0)
    faults = [
        *([view.market_doubt.rstrip(".")] if view.market_doubt else []),  # it may explain all of the rest
        *quote_faults("SPX index", market.spx_index_quote, two_sided=False),
        *quote_faults("SPY stock", market.spy_stock_quote),
        *_call_faults("SPX", market.spx_call, market.spx_quote, market.spx_price),
        *_call_faults("SPY", market.spy_call, market.spy_quote, market.spy_price),
    ]
    text = "; ".join(faults) if faults else "All four quotes are live, complete and in order"
    return Check(name, not faults, len(faults), 0, sentence(text))


def halted(view: EntryView) -> Check:
    """Whether anything that the spread rests on is halted."""
    if not view.asked_broker:
        return not_asked("halted", 0)
    quotes = _quotes(view.market)
    found = [name for name, quote in quotes.items() if quote.halted]
    unknown = [name for name, quote in quotes.items() if quote.received is None]
    if unknown and not found:
        return Check("halted", None, None, 0, f"Nothing has come of the {', the '.join(unknown)}.")
    text = f"Trading is halted in {', '.join(found)}" if found else "Nothing is halted"
    return Check("halted", not found, len(found), 0, sentence(text))


def quote_age(view: EntryView, limits: PriceLimits) -> Check:
    """Whether each quote is young, seconds since its newest bid or ask; the index since it was computed."""
    name = "quote_age"
    most = {
        key: limits.max_index_age_seconds if key == _INDEX else limits.max_quote_age_seconds for key in _NAMES
    }
    if not view.asked_broker:
        return not_asked(name, most)
    looked_at = view.market.evidence.looked_at
    ages = {key: _seconds(price_age(quote, looked_at)) for key, quote in _quotes(view.market).items()}
    told = view.market.spx_index_quote.last_time
    if told is not None:
        ages[_INDEX] = max((view.now - told).total_seconds(), ages[_INDEX] or 0.0)
    old = [
        f"{key} is {beside(seconds, most[key], 0)} s old, more than {most[key]:g}"
        for key, seconds in _beyond(ages, most)
    ]
    unknown = [key for key, seconds in ages.items() if seconds is None]
    if old or not unknown:
        oldest = max((seconds for seconds in ages.values() if seconds is not None), default=0.0)
        text = "; ".join(old) if old else f"The oldest price is {oldest:.1f} s old"
        return Check(name, not old, ages, most, sentence(text))
    return Check(name, None, ages, most, f"No price has come of the {', the '.join(unknown)}.")


def legs_apart(view: EntryView, limits: PriceLimits) -> Check:
    """Whether the quotes of both calls are of one moment, seconds between their newest bid or ask."""
    name, most = "legs_apart", limits.max_legs_apart_seconds
    if not view.asked_broker:
        return not_asked(name, most)
    spx, spy = view.market.spx_quote.priced, view.market.spy_quote.priced
    if spx is None or spy is None:
        return Check(name, None, None, most, "A call has no quote, so nothing can be compared.")
    apart = round(abs(spx - spy), 3)
    ok = apart <= most
    where = "within" if ok else "more than"
    text = f"The quotes of the two calls are {beside(apart, most)} s apart, {where} {most:g}."
    return Check(name, ok, apart, most, text)


# --- the underlyings ----------------------------------------------------------------------------


def index_price(view: EntryView, limits: PriceLimits) -> Check:
    """Whether SPX by parity, its print and r x SPY agree, index points; r as `_by_ratio` says.

    "mismatch" is how far r x the SPY strike may be off: a wide quote of the stock hides a wrong ratio.
    """
    name = "index_price"
    most = {
        "uncertainty": limits.max_index_difference,
        "mismatch": limits.max_index_difference,
        "print": limits.max_index_difference,
        "ratio": limits.max_ratio_difference,
    }
    if not view.asked_broker:
        return not_asked(name, most)
    market, parity = view.market, view.market.evidence.parity
    if parity.price is None:
        why = "; ".join(parity.left_out) or "no strike has a call and a put"
        text = f"SPX by put-call parity is not known ({why})"
        return Check(name, None, None, most, sentence(text))
    value = {
        "uncertainty": parity.uncertainty,
        "mismatch": market.mismatch_uncertainty,
        "print": _apart(parity.price, market.spx_index_quote.last),
        "ratio": _apart(parity.price, _by_ratio(market)),
    }
    measured = market.evidence.latest_ratio is not None
    known = measured or market.closing_ratio is not None
    asked = ["print", "mismatch", *(["ratio"] if known else [])]
    found = ((key, value[key]) for key in asked)
    answers = {key: None if gap is None else gap <= most[key] for key, gap in found}
    text = f"SPX by put-call parity of {len(parity.strikes)} strikes is {plain(parity.price)}"
    text = f"{text} within {plain(parity.uncertainty)}"
    by_ratio = f"the ratio {'last measured' if measured else 'of the last closes'} x SPY"
    words = {"print": "the index print", "ratio": by_ratio}
    also = [
        f"{what} is {plain_beside(gap, most[key])} away, "
        f"{'within' if answers[key] else 'more than'} {plain(most[key])}"
        for key, what in words.items()
        if answers.get(key) is not None and (gap := value[key]) is not None
    ]
    also += ["the index has no print"] if value["print"] is None else []
    also.append(_mismatch_words(value["mismatch"], most["mismatch"]))
    return Check(name, _all_of(answers.values()), value, most, sentence("; ".join([text, *also])))


def _mismatch_words(about: Decimal | None, most: Decimal) -> str:
    if about is None:
        return "how far the mismatch of the strikes may be off is not known"
    where = "within" if about <= most else "more than"
    return f"the mismatch of the strikes may be off by {beside(about, most, 2)}, {where} {plain(most)}"


def underlying_drift(view: EntryView, limits: PriceLimits) -> Check:
    """Whether the underlyings stood still while the decision was made, index points."""
    name, most, market = "underlying_drift", limits.max_underlying_drift, view.market
    if not view.asked_broker:
        return not_asked(name, most)
    evidence, ratio = market.evidence, market.ratio
    spx = _apart(market.spx_index_quote.last, evidence.first_spx)
    spy = _apart(market.spy_price, evidence.first_spy)
    if spx is None or spy is None or ratio is None:
        return Check(name, None, None, most, "How far SPX and SPY have moved meanwhile is not known.")
    moved = max(spx, spy * ratio)
    ok = moved <= most
    by_spy = beside(spy * ratio, most)
    text = (
        f"While this was decided SPX moved {plain(spx)} points and SPY ${plain(spy)} ({by_spy} points of SPX)"
    )
    text = f"{text}, {'within' if ok else 'more than'} {plain(most)} points"
    return Check(name, ok, moved, most, sentence(text))


def ratio_drift(view: EntryView, limits: PriceLimits) -> Check:
    """Whether SPX / SPY is what it was lately, basis points; the first against the last closes."""
    name, most, market = "ratio_drift", limits.max_ratio_drift, view.market
    if not view.asked_broker:
        return not_asked(name, most)
    ratio, recent, words = market.ratio, market.evidence.recent_ratio, "measured lately"
    if ratio is None:
        return Check(name, None, None, most, "SPX / SPY is not known, because a price is missing.")
    if market.source is not PriceSource.PARITY:
        return Check(name, None, None, most, "SPX / SPY rests on the index print, which is not believed.")
    if recent is None:
        recent, words = market.closing_ratio, "of the last closes"
    if recent is None:
        text = "SPX / SPY was not measured before, and the last closes of SPX and SPY are not told."
        return Check(name, None, None, most, text)
    drift = abs(ratio / recent - 1) * BASIS_POINTS
    ok = drift <= most
    text = (
        f"SPX / SPY is {beside(drift, most)} basis points from the {recent:.4f} {words}, "
        f"{'within' if ok else 'more than'} {plain(most)}."
    )
    return Check(name, ok, drift, most, text)


class Ratio(StrEnum):
    """What SPX / SPY of one look is to later ones."""

    MEASURED = "measured"
    JUMPED = "jumped"
    UNKNOWN = "unknown"


def measured_ratio(view: EntryView, limits: PriceLimits) -> Ratio:
    """Whether SPX / SPY was measured, by the look's own checks.

    JUMPED: all is sound, but it is not what it was: a dividend of SPY, or a wrong price. Which one, the same
    morning cannot tell.
    """
    price, still = index_price(view, limits), underlying_drift(view, limits)
    if not isinstance(price.value, dict) or not isinstance(price.limit, dict) or still.ok is not True:
        return Ratio.UNKNOWN
    sound = [price.value[key] for key in price.limit if key != "ratio"]
    most = [price.limit[key] for key in price.limit if key != "ratio"]
    if any(value is None or value > limit for value, limit in zip(sound, most, strict=True)):
        return Ratio.UNKNOWN
    same = price.ok is True and ratio_drift(view, limits).ok is True
    return Ratio.MEASURED if same else Ratio.JUMPED


def _by_ratio(market: EntryMarket) -> Decimal | None:
    """SPX as SPY says it, by the ratio measured last; where none was, by that of the last closes."""
    ratio, spy = market.evidence.latest_ratio or market.closing_ratio, market.spy_price
    return None if ratio is None or spy is None else ratio * spy


# --- the strikes and what they cost -------------------------------------------------------------


def strikes(view: EntryView, limits: Limits) -> Check:
    """Whether both calls are at the money."""
    name = "strikes"
    most = {"spx": limits.max_strike_distance_spx, "spy": limits.max_strike_distance_spy}
    if not view.asked_broker:
        return not_asked(name, most)
    distances = {
        "spx": _distance(view.market.spx_call, view.market.spx_price),
        "spy": _distance(view.market.spy_call, view.market.spy_price),
    }
    answers = [None if gap is None else gap <= most[key] for key, gap in distances.items()]
    market = view.market
    prices = {"spx": market.spx_price, "spy": market.spy_price}
    words = [_strike_words(key.upper(), prices[key], gap, most[key]) for key, gap in distances.items()]
    calls = ("SPX", market.spx_call, market.spx_quote), ("SPY", market.spy_call, market.spy_quote)
    words += [*market.strike_doubts, *filter(None, (_unquoted(*call) for call in calls))]
    return Check(name, _all_of(answers), distances, most, sentence("; ".join(words)))


def _unquoted(symbol: str, call: Contract | None, quote: Quote) -> str:
    """Which call at the money is not quoted, and what of it is missing; empty for one that is."""
    if call is None or quote.two_sided:
        return ""
    return f"{symbol} {plain(call.strike)} is not quoted: no {missing_side(quote)}"


def _strike_words(symbol: str, price: Decimal | None, gap: Decimal | None, most: Decimal) -> str:
    if gap is None:
        return f"{symbol} has no {'price' if price is None else 'listed call'}"
    where = "within" if gap <= most else "more than"
    return f"the nearest {symbol} strike is {plain_beside(gap, most)} from the price, {where} {plain(most)}"


def tracking_ratio(view: EntryView, limits: Limits) -> Check:
    """Whether SPX / SPY is what it can be at all."""
    name, bounds, ratio = "tracking_ratio", (limits.min_ratio, limits.max_ratio), view.market.ratio
    if not view.asked_broker:
        return not_asked(name, bounds)
    if ratio is None:
        return Check(name, None, None, bounds, "SPX / SPY is not known, because a price is missing.")
    ok = limits.min_ratio <= ratio <= limits.max_ratio
    nearest = limits.min_ratio if ratio < (limits.min_ratio + limits.max_ratio) / 2 else limits.max_ratio
    text = (
        f"SPX / SPY is {beside(ratio, nearest, 4)}, {'within' if ok else 'outside'} "
        f"{plain(limits.min_ratio)} to {plain(limits.max_ratio)}."
    )
    return Check(name, ok, ratio, bounds, text)


def width(name: str, symbol: str, view: EntryView, quote: Quote, most: Decimal) -> Check:
    """Whether a call is quoted narrowly enough, dollars a share or index points."""
    if not view.asked_broker:
        return not_asked(name, most)
    between = quote.width
    if between is None or not quote.two_sided:
        return Check(name, None, None, most, f"The {symbol} call has no two-sided quote.")
    ok = ZERO <= between <= most
    wide = f"The {symbol} call is {usd(between)} wide"
    text = (
        f"{wide}, {'within' if ok else 'more than'} {usd_limit(most)}."
        if between >= 0
        else f"{wide}: crossed."
    )
    return Check(name, ok, between, most, text)


# --- common to them -----------------------------------------------------------------------------

_INDEX = "SPX index"
_NAMES = (_INDEX, "SPY stock", "SPX call", "SPY call")


def _quotes(market: EntryMarket) -> dict[str, Quote]:
    quotes = market.spx_index_quote, market.spy_stock_quote, market.spx_quote, market.spy_quote
    return dict(zip(_NAMES, quotes, strict=True))


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _beyond(ages: Mapping[str, float | None], most: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(key, seconds) for key, seconds in ages.items() if seconds is not None and seconds > most[key]]


def _apart(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else abs(one - other)


def not_asked(name: str, limit: object) -> Check:
    """The line of a check of the market where the market was not asked."""
    return Check(name, None, None, limit, sentence(NOT_ASKED))


def unanswered(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks, where the market was not asked because the gateway did not answer."""
    silent = sentence(NOT_ASKED)
    return tuple(
        replace(check, message="The gateway did not answer.") if check.message == silent else check
        for check in checks
    )


def time_not_told(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks, where the time is the gateway's and it has not told it."""
    text = "The time is that of the gateway, which did not answer."
    return tuple(
        replace(check, ok=None, value=None, message=text) if check.name == "time_window" else check
        for check in checks
    )


def _call_faults(symbol: str, contract: Contract | None, quote: Quote, price: Decimal | None) -> list[str]:
    if contract is not None:
        return quote_faults(f"{symbol} call", quote)
    return [
        f"no {symbol} call was found" if price is not None else f"no {symbol} call without a {symbol} price"
    ]


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
