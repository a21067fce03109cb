"""What is wrong with a quote: not live, halted, one side missing, without size, crossed, old. Pure.

A fault here stops an entry and no exit: exits use what there is, and name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.sentences import plain

if TYPE_CHECKING:
    from spxarb.core.contracts import Quote

LIVE = 1
"""Market data type of the wire (IBKR, EWrapper.marketDataType)."""
DATA_TYPES = {LIVE: "live", 2: "frozen", 3: "delayed", 4: "delayed and frozen"}


def data_word(quote: Quote) -> str | None:
    """The data type in a word; None while the gateway has not told it."""
    return DATA_TYPES.get(quote.data_type or 0)


def age(quote: Quote, looked_at: float | None) -> float | None:
    """Seconds from the newest tick to `looked_at`, both on the monotonic clock; None when not known.

    Of any tick: the quote of an option that is worth nothing stands still for minutes.
    """
    return _seconds_between(quote.received, looked_at)


def price_age(quote: Quote, looked_at: float | None) -> float | None:
    """As `age`, of the price alone: greeks and last trades go on while a bid and ask stand still."""
    return _seconds_between(quote.priced, looked_at)


def _seconds_between(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None else max(later - earlier, 0.0)


def quote_faults(what: str, quote: Quote, *, two_sided: bool = True) -> list[str]:
    """What is wrong with a quote, phrases that begin with `what`; empty when nothing is."""
    found = []
    if quote.data_type != LIVE:
        found.append(f"{what} data is {data_word(quote) or 'of an unknown kind'}, not live")
    if quote.halted:
        found.append(f"{what} is halted")
    if not two_sided and (quote.last is None or quote.last <= 0):
        found.append(f"{what} has no last price")
    if two_sided and not quote.two_sided:
        found.append(f"{what} has no {missing_side(quote)}")
    if two_sided and quote.crossed:
        found.append(f"{what} is crossed (bid {plain(quote.bid)} above ask {plain(quote.ask)})")
    return found


def missing_side(quote: Quote) -> str:
    """Which side a quote that is not two-sided lacks, in words."""
    bid = "bid (its size is 0)" if "bid" in quote.no_size else "bid"
    ask = "ask (its size is 0)" if "ask" in quote.no_size else "ask"
    no_bid = quote.bid is None or quote.bid <= 0
    if quote.ask is None:
        return f"{bid} and no {ask}" if no_bid else ask
    return bid
