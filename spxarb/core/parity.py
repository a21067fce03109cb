"""SPX from its options: put-call parity of the SPXW strikes around the money. Pure.

The index is not traded: its print is a sum of last trades that lags the market, is stale while components
have not opened, and may first be yesterday's close (Lean.Brokerages.InteractiveBrokers pull request 163).
What call and put of one strike K cost together is quoted now: S = K + C - P. On the day of expiry there is
no discount until the settlement, because premium and settlement are paid on the same morning.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from spxarb.core.quality import price_age, quote_faults
from spxarb.core.sentences import beside, plain, plain_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from spxarb.core.contracts import Quote

PARITY_STRIKES = 5
"""How many strikes around the money are asked."""
LEAST_STRIKES = 3
"""With fewer a single wrong quote could decide."""
NO_PUT = "no put is listed"
WIDE = 2
"""A strike whose quotes are this many times as wide as the median's says nothing that the others do not."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Call and put of one SPXW strike, index points; `no_put` says why the put is None."""

    strike: Decimal
    call: Quote
    put: Quote | None
    no_put: str = NO_PUT


@dataclass(frozen=True, slots=True)
class ParityPrice:
    """SPX by parity, index points; `price` None where fewer than LEAST_STRIKES strikes are soundly quoted.

    `uncertainty` is half of what the bid-ask widths leave open, or how far the strikes disagree, whichever
    is more: one strike may be astray, a second one is no accident. `strikes` are those that count;
    `left_out` says of each other why not, and why there is no price.
    """

    price: Decimal | None = None
    uncertainty: Decimal | None = None
    strikes: tuple[Decimal, ...] = ()
    left_out: tuple[str, ...] = ()


NO_PARITY = ParityPrice()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one strike says: SPX from the mids, give or take half of both widths."""

    strike: Decimal
    price: Decimal
    half: Decimal


def parity_price(
    pairs: Iterable[Pair],
    looked_at: float | None = None,
    max_age: float | None = None,
    max_uncertainty: Decimal | None = None,
) -> ParityPrice:
    """The median of what the strikes say. `max_age`: older quotes do not count, seconds (None: any age).

    A wrong quote moves the median no farther than the strikes beside it, while most strikes are right. With
    more than `max_uncertainty` index points there is no price.
    """
    readings: list[_Reading] = []
    left_out: list[str] = []
    for pair in sorted(pairs, key=lambda one: one.strike):
        faults = _faults(pair, looked_at, max_age)
        if faults:
            left_out.append(f"{plain(pair.strike)}: {'; '.join(faults)}")
        else:
            readings.append(_reading(pair))
    narrow, wide = _by_width(readings)
    left_out += [f"{plain(one.strike)}: {plain(2 * one.half)} wide" for one in wide]
    strikes = tuple(one.strike for one in narrow)
    if len(narrow) < LEAST_STRIKES:
        return ParityPrice(None, None, strikes, tuple(left_out))
    price = median(one.price for one in narrow)
    apart = sorted(abs(one.price - price) for one in narrow)[-2]
    uncertainty = max(apart, *(one.half for one in narrow))
    if max_uncertainty is not None and uncertainty > max_uncertainty:
        left_open = plain_beside(uncertainty, max_uncertainty)
        left_out.append(f"the quotes leave {left_open} points open, more than {plain(max_uncertainty)}")
        return ParityPrice(None, None, strikes, tuple(left_out))
    return ParityPrice(price, uncertainty, strikes, tuple(left_out))


def _faults(pair: Pair, looked_at: float | None, max_age: float | None) -> list[str]:
    if pair.put is None:
        return [*quote_faults("call", pair.call), pair.no_put]
    found = [*quote_faults("call", pair.call), *quote_faults("put", pair.put)]
    for name, quote in (("call", pair.call), ("put", pair.put)):
        seconds = price_age(quote, looked_at)
        if max_age is not None and seconds is not None and seconds > max_age:
            found.append(f"{name} quote is {beside(seconds, max_age, 0)} s old")
    return found


def _reading(pair: Pair) -> _Reading:
    call, put = pair.call, pair.put
    assert call.mid is not None and call.width is not None and put is not None  # noqa: PT018 -- no faults
    assert put.mid is not None and put.width is not None  # noqa: PT018 -- likewise
    return _Reading(pair.strike, pair.strike + call.mid - put.mid, (call.width + put.width) / 2)


def _by_width(readings: Sequence[_Reading]) -> tuple[list[_Reading], list[_Reading]]:
    """The readings that are narrow enough to count, and the others."""
    if not readings:
        return [], []
    most = WIDE * median(one.half for one in readings)
    return [one for one in readings if one.half <= most], [one for one in readings if one.half > most]
