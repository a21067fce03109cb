"""SPX by put-call parity: what the strikes say, what one wrong strike cannot do, what is left out and why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.contracts import Quote
from spxarb.core.model import dec
from spxarb.core.parity import LEAST_STRIKES, Pair, parity_price

NOW = 100.0


def quote(mid, width="0.20", **more):
    half = dec(width) / 2
    return Quote(**{"bid": dec(mid) - half, "ask": dec(mid) + half, "data_type": 1, "priced": 99.0, **more})


def pair(strike, call, put, **more):
    return Pair(dec(strike), quote(call, **more), quote(put, **more))


# SPX at 6800.30: the call of 6800 costs 18.00, its put 17.70.
SOUND = [
    pair(6790, "23.30", "13.00"),
    pair(6795, "20.60", "15.30"),
    pair(6800, "18.00", "17.70"),
    pair(6805, "15.60", "20.30"),
    pair(6810, "13.40", "23.10"),
]


def test_the_strikes_agree_on_one_price_and_their_widths_are_its_uncertainty():
    found = parity_price(SOUND, NOW, 10)
    assert (found.price, found.uncertainty, found.left_out) == (dec("6800.30"), dec("0.20"), ())
    assert found.strikes == tuple(map(dec, (6790, 6795, 6800, 6805, 6810)))


def test_one_strike_with_wrong_quotes_moves_nothing():
    wrong = [*SOUND[:4], pair(6810, "43.40", "23.10")]
    assert parity_price(wrong, NOW, 10).price == dec("6800.30")


def test_strikes_that_disagree_are_an_uncertain_price():
    """Each two points from its neighbour, though each is quoted 0.20 wide."""
    apart = [pair(6800 + 5 * n, 20 + 2 * n - 5 * n, 20) for n in range(5)]
    assert parity_price(apart, NOW, 10).uncertainty == 4


@pytest.mark.parametrize(("astray", "uncertainty"), [(0, "0.20"), (1, "0.20"), (2, "3.00")])
def test_one_strike_may_be_astray_and_a_second_one_makes_the_price_uncertain(astray, uncertainty):
    """The median of five hides two that agree with each other against the others."""
    calls = [dec("15.60") + 3 * (astray > 1), dec("13.40") + 3 * (astray > 0)]
    wrong = [*SOUND[:3], pair(6805, calls[0], "20.30"), pair(6810, calls[1], "23.10")]
    found = parity_price(wrong, NOW, 10)
    assert (found.price, found.uncertainty) == (dec("6800.30"), dec(uncertainty))


def test_a_strike_without_a_put_says_why():
    for why in ("no put is listed", "its put is left out: 2 contracts have this strike"):
        found = parity_price([*SOUND[:4], Pair(dec(6810), SOUND[4].call, None, why)], NOW, 10)
        assert found.left_out == (f"6810: {why}",)


def test_a_strike_quoted_far_wider_than_the_others_is_left_out():
    wide = [*SOUND[:4], pair(6810, "13.40", "23.10", width="1.00")]
    found = parity_price(wide, NOW, 10)
    assert (found.uncertainty, found.left_out) == (dec("0.20"), ("6810: 2 wide",))


@pytest.mark.parametrize(("most", "known"), [("0.20", True), ("0.19", False)])
def test_a_price_that_is_too_uncertain_is_none(most, known):
    found = parity_price(SOUND, NOW, 10, dec(most))
    assert ((found.price is not None), (found.uncertainty is not None)) == (known, known)
    assert found.left_out == (() if known else ("the quotes leave 0.2 points open, more than 0.19",))


FAULTS = {
    "call data is delayed, not live": {"data_type": 3},
    "call data is of an unknown kind, not live": {"data_type": None},
    "call is halted": {"halted": True},
    "call has no bid": {"bid": None},
    "call has no ask": {"ask": None},
    "call has no ask (its size is 0)": {"ask": None, "no_size": ("ask",)},
    "call is crossed (bid 19 above ask 18.1)": {"bid": dec(19)},
    "call quote is 11 s old": {"priced": 89.0},
}


@pytest.mark.parametrize("words", FAULTS)
def test_a_quote_with_a_fault_spoils_its_own_strike_and_says_why(words):
    spoilt = replace(SOUND[2], call=replace(SOUND[2].call, **FAULTS[words]))
    found = parity_price([*SOUND[:2], spoilt, *SOUND[3:]], NOW, 10)
    assert (found.price, found.left_out) == (dec("6800.30"), (f"6800: {words}",))


def test_a_put_counts_as_its_call_does():
    spoilt = replace(SOUND[2], put=Quote())
    found = parity_price([*SOUND[:2], spoilt, *SOUND[3:]], NOW, 10)
    assert found.left_out == ("6800: put data is of an unknown kind, not live; put has no bid and no ask",)


def test_with_fewer_than_three_strikes_there_is_no_price():
    assert parity_price(SOUND[:LEAST_STRIKES], NOW, 10).price is not None
    found = parity_price(SOUND[: LEAST_STRIKES - 1], NOW, 10)
    assert (found.price, found.uncertainty, len(found.strikes)) == (None, None, 2)
    assert parity_price([], NOW, 10).price is None


widths = st.integers(1, 20).map(lambda step: Decimal(step) / 20)
shares = st.decimals("-0.5", "0.5", places=3)
tenths = st.integers(60_000, 75_000).map(lambda number: Decimal(number) / 10)


@st.composite
def chains(draw, least=LEAST_STRIKES, most=7):
    """A price, and strikes whose call and put hold their true values somewhere between bid and ask."""
    price = draw(tenths)
    first = price // 5 * 5 - 10
    pairs = []
    for number in range(draw(st.integers(least, most))):
        strike = first + 5 * number
        call = max(price - strike, Decimal(0)) + draw(st.integers(2, 300)) / Decimal(10) + 2
        wide, narrow = draw(widths), draw(widths)
        quotes = (
            quote(call + draw(shares) * wide, wide),
            quote(call - price + strike + draw(shares) * narrow, narrow),
        )
        pairs.append(Pair(strike, *quotes))
    return price, pairs


@given(chains(), st.randoms())
def test_the_true_price_lies_within_the_uncertainty_whatever_the_order(chain, random):
    price, pairs = chain
    random.shuffle(pairs)
    found = parity_price(pairs)
    if found.price is not None:
        assert abs(found.price - price) <= found.uncertainty


@given(chains(least=5), st.data(), st.decimals("-500", "500", places=1))
def test_no_single_strike_moves_the_price_beyond_what_the_others_say(chain, data, by):
    _, pairs = chain
    pairs = [
        Pair(
            p.strike,
            replace(p.call, bid=p.call.mid, ask=p.call.mid),
            replace(p.put, bid=p.put.mid, ask=p.put.mid),
        )
        for p in pairs
    ]
    place = data.draw(st.integers(0, len(pairs) - 1))
    wrong = pairs[place].call
    others = [p.strike + p.call.mid - p.put.mid for n, p in enumerate(pairs) if n != place]
    moved = replace(
        pairs[place],
        call=replace(wrong, bid=max(wrong.bid + by, dec("0.05")), ask=max(wrong.ask + by, dec("0.05"))),
    )
    found = parity_price([*pairs[:place], moved, *pairs[place + 1 :]])
    assert min(others) <= found.price <= max(others)


@given(chains(), st.decimals("-1000", "1000", places=1))
def test_calls_and_strikes_shifted_together_shift_the_price(chain, by):
    _, pairs = chain
    before = parity_price(pairs)
    after = parity_price([replace(p, strike=p.strike + by) for p in pairs])
    if before.price is not None:
        assert (after.price, after.uncertainty) == (before.price + by, before.uncertainty)


any_side = st.none() | st.decimals("-1", "50", places=2)
any_quote = st.builds(
    Quote,
    bid=any_side,
    ask=any_side,
    halted=st.booleans(),
    data_type=st.none() | st.integers(0, 4),
    priced=st.none() | st.floats(0, 100),
)


@given(
    st.lists(
        st.builds(Pair, st.integers(1300, 1400).map(lambda n: Decimal(5 * n)), any_quote, any_quote),
        max_size=6,
    )
)
def test_whatever_the_quotes_a_price_rests_on_sound_ones_and_every_strike_is_accounted_for(pairs):
    found = parity_price(pairs, NOW, 10)
    assert len(found.strikes) + len(found.left_out) == len(pairs)
    assert (found.price is None) is (len(found.strikes) < LEAST_STRIKES)
    counted = [p for p in pairs if p.strike in found.strikes]
    if found.price is not None:
        values = [p.strike + p.call.mid - p.put.mid for p in counted if p.call.two_sided and p.put.two_sided]
        assert min(values) <= found.price <= max(values)
        assert found.uncertainty >= 0
    assert found.price is None or len(pairs) != len(found.strikes) or found.price == median(values)
