"""What an open spread's prices are worth, and which limits they leave blind."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

import pytest

from spxarb.core.contracts import Quote
from spxarb.core.model import NEW_YORK
from spxarb.core.price_state import (
    SPX,
    SPX_CALL,
    SPY,
    SPY_CALL,
    PriceState,
    blind,
    doubtful,
    price_state,
    told,
)

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=NEW_YORK)
KINDS = {1: "live", 2: "frozen", 3: "delayed", 4: "delayed and frozen", None: None}


@pytest.mark.parametrize(
    ("kind", "halted", "seconds"), list(product(KINDS, (False, True), (None, 0, 10, 11)))
)
def test_a_price_is_doubted_for_its_data_type_its_age_and_a_halt(kind, halted, seconds):
    received = None if seconds is None else 100.0 - seconds
    state = price_state(SPY, Quote(data_type=kind, halted=halted, received=received), 100.0, NOW)
    assert state == PriceState(SPY, KINDS[kind], halted, seconds)
    late = KINDS[kind] if kind in {2, 3, 4} else "old" if seconds == 11 else None
    late = "missing" if seconds is None else late
    assert state.doubts(10) == tuple(word for word in (late, "halted" if halted else None) if word)


@pytest.mark.parametrize("of", [SPX, SPY, SPX_CALL, SPY_CALL])
def test_an_underlying_that_makes_no_price_is_missing_however_live_it_is(of):
    """A call without its quote is told as such: `quote_missing`."""
    state = price_state(of, Quote(data_type=1, received=99.0), 100.0, NOW, priced=False)
    assert state == PriceState(of, "live", False, None)
    assert state.doubts(10) == (("missing",) if of in {SPX, SPY} else ())
    assert blind([state], 10) == (["assignment threshold"] if of is SPY else [])


def test_how_a_spread_was_looked_at_is_told_in_a_phrase():
    missing, late = PriceState(SPY, None, False, None), PriceState(SPX, "delayed", True, 1.0)
    assert told([missing], 10) == "without a price of SPY"
    assert told([late], 10) == "by delayed prices of SPX; halted prices of SPX"
    assert told([late, missing], 10).endswith("halted prices of SPX and without a price of SPY")
    assert told([PriceState(SPY, "live", False, 1.0)], 10) == ""


@pytest.mark.parametrize(
    ("kind", "now", "age"), [(1, NOW, 60), (1, None, 1), (3, NOW, 1), (1, NOW - timedelta(seconds=61), 1)]
)
def test_an_index_is_as_old_as_its_own_time_says_while_the_exchange_is_open(kind, now, age):
    """Delayed prices are old by their nature, and after the close the last one stands."""
    quote = Quote(data_type=kind, received=99.0, last_time=NOW - timedelta(seconds=60))
    assert price_state(SPX, quote, 100.0, now).age_seconds == age


def test_the_prices_in_doubt_are_listed_by_what_is_wrong_with_them():
    states = [
        PriceState(SPX_CALL, "live", False, 1.0),
        PriceState(SPY_CALL, "delayed", True, 1.0),
        PriceState(SPX, "live", False, 60.0),
        PriceState(SPY, "delayed", False, 1.0),
    ]
    assert doubtful(states, 10) == {"delayed": [SPY_CALL, SPY], "halted": [SPY_CALL], "old": [SPX]}
    assert blind(states, 10) == ["loss limit", "assignment threshold"]


@pytest.mark.parametrize(
    ("of", "limits"),
    [(SPX_CALL, ["loss limit"]), (SPY_CALL, ["loss limit"]), (SPY, ["assignment threshold"]), (SPX, [])],
)
def test_each_price_blinds_the_limits_that_rest_on_it_and_no_other(of, limits):
    assert blind([PriceState(of, "frozen", False, 0.0)], 10) == limits
    assert blind([PriceState(of, "live", False, 0.0)], 10) == []
