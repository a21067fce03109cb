"""From ticks to quotes: what is not there, or not any more, is None."""

from decimal import Decimal

import pytest

from spxarb.broker.quotes import Feed
from spxarb.core.contracts import Contract, Quote
from spxarb.core.greeks import Greeks

CALL = Contract(7, "SPX", "OPT")


@pytest.fixture
def feed() -> Feed:
    made = Feed()
    made.add(1, CALL)
    return made


def price(feed: Feed, kind: int, value: str, size: str = "10", now: float = 1.0) -> Quote:
    feed.price(["1", "6", "1", str(kind), value, size, "0"], now)
    return feed.line(7).quote()


def size(feed: Feed, kind: int, value: str) -> Quote:
    feed.size(["2", "6", "1", str(kind), value], 1.0)
    return feed.line(7).quote()


COMPUTED = ("0.12", "0.5", "17.85", "0", "0.0031", "1.77", "-16.2", "6975.12")
"""Volatility, delta, price, present value of dividends, gamma, vega, theta, underlying."""


def greeks(feed: Feed, kind: int, *values: str) -> Greeks | None:
    feed.greeks(["21", "1", str(kind), "0", *values], 1.0)
    return feed.line(7).quote().greeks


def test_a_line_begins_without_any_number(feed):
    assert feed.line(7).quote() == Quote()


def test_bid_ask_last_and_sizes_are_kept(feed):
    price(feed, 1, "17.80", "5")
    price(feed, 2, "17.90", "6")
    quote = price(feed, 4, "17.85", "1", now=2.5)
    assert (quote.bid, quote.ask, quote.last) == (Decimal("17.8"), Decimal("17.9"), Decimal("17.85"))
    assert (quote.bid_size, quote.ask_size, quote.received) == (5, 6, 2.5)


@pytest.mark.parametrize(
    ("value", "count"), [("-1", "0"), ("0", "0"), ("0", "10"), ("nan", "1"), ("0.05", "0")]
)
def test_no_bid_is_none(feed, value, count):
    price(feed, 2, "0.10")
    quote = price(feed, 1, value, count)
    assert (quote.bid, quote.ask) == (None, Decimal("0.1"))


@pytest.mark.parametrize(
    ("value", "count", "nobody"),
    [("0", "0", True), ("0", "10", True), ("-1", "0", False), ("0.05", "0", False)],
)
@pytest.mark.parametrize("kind", [1, 66])
def test_nobody_bids_only_where_the_bid_is_0(feed, kind, value, count, nobody):
    """Of a bid of -1, and of one whose size is 0, nothing is known."""
    assert not feed.line(7).quote().no_bid
    quote = price(feed, kind, value, count)
    assert (quote.bid, quote.bid_told, quote.no_bid) == (None, True, nobody)
    assert not price(feed, kind, "0.05").no_bid


def test_a_refusal_takes_back_that_nobody_bids(feed):
    price(feed, 1, "0", "0")
    feed.error(1, 10197, "No market data during competing live session")
    assert not feed.line(7).quote().no_bid


def test_a_session_elsewhere_has_the_data_until_the_next_tick(feed):
    assert feed.taken() == ""
    feed.error(1, 10197, "No market data during competing live session")
    assert feed.taken() == "10197 No market data during competing live session"
    price(feed, 1, "0.05")
    assert feed.taken() == ""


def test_a_bid_that_is_withdrawn_becomes_none(feed):
    assert price(feed, 1, "0.05").bid == Decimal("0.05")
    assert price(feed, 1, "-1", "0").bid is None


def test_a_bid_whose_size_goes_to_zero_is_gone_until_the_size_returns(feed):
    price(feed, 1, "0.05")
    assert size(feed, 0, "0").bid is None
    assert size(feed, 0, "3").bid == Decimal("0.05")


def test_the_index_has_a_last_with_size_zero(feed):
    assert price(feed, 4, "6975.12", "0").last == Decimal("6975.12")


@pytest.mark.parametrize("kind", [66, 67, 68, 75])
def test_a_delayed_tick_makes_the_line_delayed(feed, kind):
    feed.data_type(["58", "1", "1", "1"])
    assert price(feed, kind, "5").data_type == 3


def test_the_gateways_word_on_the_data_type_counts(feed):
    feed.data_type(["58", "1", "1", "4"])
    assert price(feed, 66, "5").data_type == 4


@pytest.mark.parametrize("kind", [13, 83])
def test_the_greeks_are_those_of_the_model_live_or_delayed(feed, kind):
    assert greeks(feed, kind, *COMPUTED) == Greeks(0.5, 0.0031, -16.2, 1.77, 0.12)


@pytest.mark.parametrize("kind", [10, 11, 12, 80, 81, 82])
def test_the_models_greeks_are_not_replaced_by_those_of_a_quote(feed, kind):
    assert greeks(feed, kind, *COMPUTED) is None
    model = greeks(feed, 13, *COMPUTED)
    assert greeks(feed, kind, "0.3", "0.6", *COMPUTED[2:]) == model


UNSET = "1.7976931348623157E308"


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (1, ("-2", UNSET, "nan", "", "1.5")),
        (4, ("-2", UNSET, "nan", "", "-0.1")),
        (5, ("-2", UNSET, "nan", "", "-0.1")),
        (6, ("-2", UNSET, "nan", "")),
    ],
)
def test_where_one_of_the_greeks_is_not_computed_there_are_none_any_more(feed, place, values):
    """Those that were computed before belong to a price that is gone."""
    for value in values:
        assert greeks(feed, 13, *COMPUTED) is not None
        assert greeks(feed, 13, *COMPUTED[:place], value, *COMPUTED[place + 1 :]) is None


@pytest.mark.parametrize("value", ["-1", "0", "", UNSET])
def test_greeks_without_their_volatility_are_greeks(feed, value):
    found = greeks(feed, 13, value, *COMPUTED[1:])
    assert (found.delta, found.volatility) == (0.5, None)


def test_refused_data_takes_the_greeks_with_it(feed):
    greeks(feed, 13, *COMPUTED)
    feed.error(1, 10197, "No market data during competing live session")
    assert feed.line(7).quote().greeks is None


@pytest.mark.parametrize(("value", "halted"), [("-1", False), ("0", False), ("1", True), ("2", True)])
def test_a_halt_is_seen_and_its_end_too(feed, value, halted):
    feed.generic(["45", "6", "1", "49", "1"], 1.0)
    feed.generic(["45", "6", "1", "49", value], 1.0)
    assert feed.line(7).quote().halted is halted


def test_refused_data_blanks_the_line_and_says_why(feed):
    price(feed, 1, "5")
    assert feed.error(1, 354, "not subscribed") is feed.line(7)
    assert (feed.line(7).quote().bid, feed.line(7).refused) == (None, "354 not subscribed")


def test_a_competing_session_blanks_the_frozen_price_and_the_stream_may_return(feed):
    price(feed, 1, "5")
    feed.error(1, 10197, "competing live session")
    assert (feed.line(7).quote().bid, feed.line(7).refused) == (None, "")
    assert price(feed, 1, "6").bid == 6


def test_advice_on_delayed_data_leaves_the_prices(feed):
    price(feed, 1, "5")
    feed.error(1, 10167, "displaying delayed market data")
    assert (feed.line(7).quote().bid, feed.line(7).quote().data_type) == (5, 3)


@pytest.mark.parametrize("kind", [1, 2, 0, 3, 66, 67, 69, 70])
def test_bid_ask_and_their_sizes_make_a_quote_young(feed, kind):
    if kind in {0, 3, 69, 70}:
        feed.size(["2", "6", "1", str(kind), "5"], 2.5)
    else:
        price(feed, kind, "5", now=2.5)
    assert feed.line(7).quote().priced == 2.5


def test_greeks_trades_and_the_rest_do_not_make_a_bid_or_ask_young(feed):
    price(feed, 1, "5", now=2.0)
    price(feed, 4, "5", now=3.0)
    price(feed, 9, "5", now=4.0)
    feed.greeks(["21", "1", "13", "1", "0.2", "0.5", "5", "0", "0.01", "1", "-1", "6800"], 5.0)
    feed.generic(["45", "6", "1", "49", "0"], 6.0)
    feed.text(["46", "6", "1", "45", "1770734100"], 7.0)
    quote = feed.line(7).quote()
    assert (quote.priced, quote.received) == (2.0, 7.0)
    feed.error(1, 10197, "competing session")
    assert feed.line(7).quote().priced is None


def test_an_index_is_young_by_its_last_price():
    feed = Feed()
    feed.add(1, Contract(7, "SPX", "IND"))
    price(feed, 9, "6800", now=1.0)
    assert feed.line(7).quote().priced is None
    price(feed, 4, "6801", now=2.0)
    price(feed, 1, "6801", now=3.0)
    assert feed.line(7).quote().priced == 2.0


def test_frames_of_unknown_lines_and_unknown_ticks_change_nothing(feed):
    feed.price(["1", "6", "99", "1", "5", "1", "0"], 1.0)
    price(feed, 37, "5")
    assert feed.line(7).quote() == Quote(received=1.0)
    assert feed.error(99, 354, "x") is None


def test_a_line_that_moved_is_told_once(feed):
    price(feed, 1, "5")
    price(feed, 2, "6")
    assert [line.contract for line in feed.moved()] == [CALL]
    assert list(feed.moved()) == []


def test_a_contract_asked_again_starts_blank_under_its_new_id(feed):
    price(feed, 1, "5")
    feed.add(2, CALL)
    assert feed.line(7).quote() == Quote()
    price(feed, 1, "5")
    assert feed.line(7).quote() == Quote()
