"""What an open spread's prices are worth: live or not, halted, how old. Pure.

Exits use what there is. Whoever looks at a mark must see what it rests on, and which limits it cannot watch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.quality import LIVE, age, data_word

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.core.contracts import Quote

SPX, SPY, SPX_CALL, SPY_CALL = "SPX", "SPY", "the SPX call", "the SPY call"
LOSS_LIMIT, ASSIGNMENT = "loss limit", "assignment threshold"
_WATCHED_BY = {SPX_CALL: (LOSS_LIMIT,), SPY_CALL: (LOSS_LIMIT,), SPY: (ASSIGNMENT,), SPX: ()}
"""Which limits rest on a price."""
_MISSING = "missing"


@dataclass(frozen=True)
class PriceState:
    """One price of a spread, as it was used."""

    of: str
    """`SPX`, `SPY`, `the SPX call` or `the SPY call`."""
    data: str | None
    """`live`, `frozen`, `delayed`, or `delayed and frozen`; null when the broker has not told."""
    halted: bool
    age_seconds: float | None
    """Since its newest tick, or since the index was computed; null when no price has come."""

    def doubts(self, max_age: float) -> tuple[str, ...]:
        """Why it is no price of now, in one word each; `max_age` is seconds.

        Of an underlying none may have come at all. A call's that is missing is a quote that closing needs,
        and is told as such.
        """
        halt = ("halted",) if self.halted else ()
        if self.age_seconds is None and self.of in {SPX, SPY}:
            return (_MISSING, *halt)
        old = self.age_seconds is not None and self.age_seconds > max_age
        late = self.data if self.data not in {None, "live"} else "old" if old else None
        return (late, *halt) if late else halt


def price_state(
    of: str, quote: Quote, looked_at: float, now: datetime | None, *, priced: bool = True
) -> PriceState:
    """The state of a quote, `looked_at` on the monotonic clock.

    `now` is the market's time, None where the exchange is closed: an index is then as old as its close.
    `priced` False: whatever came of it, it makes no price.
    """
    seconds = age(quote, looked_at) if priced else None
    if seconds is not None and now is not None and quote.last_time is not None and quote.data_type == LIVE:
        seconds = max(seconds, (now - quote.last_time).total_seconds())
    return PriceState(of, data_word(quote), quote.halted, None if seconds is None else round(seconds, 3))


def doubtful(states: Iterable[PriceState], max_age: float) -> dict[str, list[str]]:
    """The prices that are none of now, by what is wrong with them, in the order of `states`."""
    found: dict[str, list[str]] = {}
    for state in states:
        for word in state.doubts(max_age):
            found.setdefault(word, []).append(state.of)
    return found


def told(states: Iterable[PriceState], max_age: float) -> str:
    """How a spread was looked at, a phrase such as `by delayed prices of SPY`; empty for prices of now."""
    found = doubtful(states, max_age)
    missing = found.pop(_MISSING, [])
    used = "; ".join(f"{word} prices of {', '.join(of)}" for word, of in found.items())
    without = f"without a price of {', '.join(missing)}" if missing else ""
    return " and ".join(filter(None, [f"by {used}" if used else "", without]))


def blind(states: Iterable[PriceState], max_age: float) -> list[str]:
    """The limits that rest on such a price, each once."""
    doubted = [limit for state in states if state.doubts(max_age) for limit in _WATCHED_BY[state.of]]
    return list(dict.fromkeys(doubted))
