"""The figures of a trade and of a day, from executions and settlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.broker_books import Execution
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.pnl import day_summary, trade_pnl, traded
from spxarb.core.records import Fill, Settlement, Trade
from spxarb.core.trades import TradeState

DAY = date(2026, 11, 24)
OPEN = datetime(2026, 11, 24, 9, 36, tzinfo=NEW_YORK)
SPX = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=dec(6795), right="C", multiplier=100)
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=dec(677), right="C", multiplier=100)
TRADE = Trade(7, DAY, TradeState.OPEN, "DU1", SPX, SPY, 1, 10)


def fill(number, leg, purpose, side, quantity, price, commission, *, revision="01", trade=7, estimated=False):
    contract = SPX if leg == "SPX" else SPY
    execution = Execution(
        f"0000e.{number:04d}.{revision}",
        f"spxarb:t:{trade}:{leg}:{purpose}1",
        1,
        1,
        1,
        contract.con_id,
        leg,
        Side(side),
        dec(quantity),
        dec(price),
        OPEN,
    )
    return Fill(execution, trade, LegName(leg), Purpose(purpose), dec(commission), estimated)


def settlement(leg, quantity, price, cash, *, trade=7):
    return Settlement(trade, LegName(leg), dec(quantity), dec(price), dec(cash), "official close", OPEN)


BOUGHT = fill(1, "SPX", "e", "BUY", 1, "17.90", "1.64")
SOLD_3 = fill(2, "SPY", "e", "SELL", 3, "2.25", "3.05")
SOLD_7 = fill(3, "SPY", "e", "SELL", 7, "2.24", "7.11")
BACK = fill(4, "SPY", "x", "BUY", 10, "1.10", "10.08")
LEFT = fill(5, "SPX", "x", "SELL", 1, "8.20", "1.64")
ROUND_TRIP = [BOUGHT, SOLD_3, SOLD_7, BACK, LEFT]


# --- a trade ------------------------------------------------------------------------------------


def test_a_round_trip_is_its_entry_credit_less_its_exit_cost():
    """In: 675 + 1568 - 1790 - 11.80 = 441.20. Out: 1100 - 820 + 11.72 = 291.72."""
    found = trade_pnl(TRADE, ROUND_TRIP)
    assert (found.entry_credit, found.exit_cost, found.final_pnl) == (
        dec("441.20"),
        dec("291.72"),
        dec("149.48"),
    )
    assert found.commissions == dec("23.52")
    assert found.flat


def test_prices_of_partial_fills_are_averaged_by_quantity():
    found = trade_pnl(TRADE, ROUND_TRIP)
    assert (found.spy_entry_price, found.spx_entry_price) == (dec("2.243"), dec("17.9"))
    assert (found.spy_exit_price, found.spx_exit_price) == (dec("1.1"), dec("8.2"))


def test_an_open_trade_holds_its_legs_signed_and_has_no_exit_prices():
    found = trade_pnl(TRADE, [BOUGHT, SOLD_3])
    assert (found.spx_held, found.spy_held) == (1, -3)
    assert (found.spx_exit_price, found.spy_exit_price) == (None, None)
    assert found.exit_cost == 0
    assert not found.flat


def test_one_leg_alone_is_not_flat():
    assert not trade_pnl(TRADE, [BOUGHT]).flat
    assert not trade_pnl(TRADE, [SOLD_3]).flat


def test_an_exit_that_brings_money_has_a_negative_cost():
    found = trade_pnl(TRADE, [BOUGHT, SOLD_3, SOLD_7, LEFT])
    assert found.exit_cost == dec("-818.36")
    assert found.exit_cash == dec("818.36")


def test_what_undoes_an_entry_belongs_to_the_entry_and_is_no_exit_price():
    """SPX bought at 17.90 and sold again at 17.70: 20 lost and two commissions."""
    found = trade_pnl(TRADE, [BOUGHT, fill(2, "SPX", "u", "SELL", 1, "17.70", "1.64")])
    assert (found.entry_credit, found.exit_cost) == (dec("-23.28"), 0)
    assert (found.spx_entry_price, found.spx_exit_price) == (dec("17.9"), None)
    assert found.flat


def test_the_fail_safe_buy_back_is_an_exit():
    found = trade_pnl(TRADE, [BOUGHT, SOLD_3, SOLD_7, replace(BACK, purpose=Purpose.FAILSAFE)])
    assert found.exit_cost == dec("1110.08")
    assert found.spy_exit_price == dec("1.1")


def test_a_settled_leg_is_held_no_longer_and_its_cash_lowers_the_exit_cost():
    """SPX settles at 6801.30 against 6795: 630 to us."""
    found = trade_pnl(TRADE, [BOUGHT, SOLD_3, SOLD_7, BACK], [settlement("SPX", 1, "6801.30", "630")])
    assert found.exit_cost == dec("1110.08") - 630
    assert found.final_pnl == dec("441.20") - dec("480.08")
    assert found.flat


def test_a_trade_without_fills_has_no_money_and_no_prices():
    found = trade_pnl(TRADE, [])
    assert (found.entry_credit, found.exit_cost, found.final_pnl, found.commissions) == (0, 0, 0, 0)
    assert (found.spx_entry_price, found.spy_entry_price) == (None, None)
    assert not found.commissions_estimated


def test_one_estimated_commission_makes_the_sum_an_estimate():
    assert not trade_pnl(TRADE, ROUND_TRIP).commissions_estimated
    assert trade_pnl(TRADE, [*ROUND_TRIP[:4], replace(LEFT, commission_estimated=True)]).commissions_estimated


def test_a_correction_replaces_its_execution_and_does_not_add():
    corrected = fill(1, "SPX", "e", "BUY", 1, "17.80", "1.64", revision="02")
    for order in ([BOUGHT, corrected], [corrected, BOUGHT]):
        found = trade_pnl(TRADE, order)
        assert found.entry_credit == dec("-1781.64")
        assert found.spx_held == 1


def test_what_other_trades_did_is_theirs():
    foreign = fill(9, "SPX", "e", "BUY", 1, "30.00", "1.64", trade=8)
    theirs = settlement("SPX", 1, "6900", "10500", trade=8)
    assert trade_pnl(TRADE, [*ROUND_TRIP, foreign], [theirs]) == trade_pnl(TRADE, ROUND_TRIP)


def test_commissions_with_parts_of_a_cent_are_rounded_once_in_the_sum():
    found = trade_pnl(TRADE, [fill(n, "SPY", "e", "SELL", 1, "2.00", "1.0043") for n in range(10)])
    assert found.commissions == dec("10.04")
    assert found.entry_credit == dec("1989.96")


HOW_MANY, CONTRACTS, SETTLED = st.integers(0, 12), st.integers(1, 20), st.integers(-10, 10)
LEGS, PURPOSES, SIDES = (st.sampled_from(values) for values in (["SPX", "SPY"], "euxf", ["BUY", "SELL"]))
PRICES, COMMISSIONS = st.decimals("0.01", "90", places=2), st.decimals("-5", "30", places=2)
SETTLED_LEGS, CASH = st.lists(LEGS, unique=True), st.decimals("-9000", "9000", places=2)


@st.composite
def snapshot(draw):
    """Fills and settlements of one trade, cents only, each execution its own."""
    fills = [
        fill(number, *(draw(part) for part in (LEGS, PURPOSES, SIDES, CONTRACTS, PRICES, COMMISSIONS)))
        for number in range(draw(HOW_MANY))
    ]
    settled = [settlement(leg, draw(SETTLED), "6800", draw(CASH)) for leg in draw(SETTLED_LEGS)]
    return fills, settled


@given(snapshot())
def test_the_final_result_is_the_total_cash_of_everything(book):
    fills, settled = book
    cash = sum(settlement.cash for settlement in settled)
    for fill in fills:
        way = 1 if fill.execution.side is Side.SELL else -1
        cash += way * 100 * fill.execution.quantity * fill.execution.price - fill.commission
    found = trade_pnl(TRADE, fills, settled)
    assert found.final_pnl == cash
    assert found.final_pnl == found.entry_credit - found.exit_cost


@given(snapshot(), st.randoms())
def test_the_order_of_fills_and_settlements_does_not_matter(book, random):
    fills, settled = book
    expected = trade_pnl(TRADE, fills, settled)
    random.shuffle(fills)
    random.shuffle(settled)
    assert trade_pnl(TRADE, fills, settled) == expected


@given(snapshot())
def test_a_fill_told_twice_counts_once(book):
    fills, settled = book
    assert trade_pnl(TRADE, [*fills, *fills], settled) == trade_pnl(TRADE, fills, settled)


# --- a day --------------------------------------------------------------------------------------


def ended(number, pnl, commissions="23.52", minutes=60, **more):
    more = {"entry_filled": True, "entry_credit": dec(400), "exit_cost": dec(400) - dec(pnl), **more}
    return replace(
        TRADE,
        id=number,
        state=TradeState.CLOSED,
        final_pnl=dec(pnl),
        commissions=dec(commissions),
        exit_time=OPEN + timedelta(minutes=minutes),
        **more,
    )


NOTHING_FILLED = replace(
    TRADE,
    id=9,
    state=TradeState.CLOSED,
    entry_credit=dec(0),
    exit_cost=dec(0),
    final_pnl=dec(0),
    commissions=dec(0),
)


def test_a_day_counts_winners_and_losers_and_adds_results_with_and_without_commissions():
    day = day_summary(DAY, [ended(1, "149.48"), ended(2, "-220.00")])
    assert (day.trades_count, day.winning_trades, day.losing_trades) == (2, 1, 1)
    assert (day.net_pnl, day.total_commissions, day.total_pnl) == (dec("-70.52"), dec("47.04"), dec("-23.48"))


def test_a_trade_that_ended_at_zero_neither_won_nor_lost():
    day = day_summary(DAY, [ended(1, "0.00")])
    assert (day.trades_count, day.winning_trades, day.losing_trades) == (1, 0, 0)


def test_an_entry_of_which_nothing_was_filled_is_no_trade_of_the_day():
    assert not traded(NOTHING_FILLED)
    assert day_summary(DAY, [NOTHING_FILLED]).trades_count == 0


def test_an_entry_that_was_undone_is_a_trade_of_the_day():
    undone = ended(1, "-23.28", "3.28", entry_filled=False, entry_credit=dec("-23.28"), exit_cost=dec(0))
    day = day_summary(DAY, [undone])
    assert (day.trades_count, day.losing_trades, day.net_pnl) == (1, 1, dec("-23.28"))


def test_trades_of_other_days_do_not_count():
    yesterday = replace(ended(1, "149.48"), trade_date=date(2026, 11, 23))
    assert day_summary(DAY, [yesterday]).trades_count == 0


def test_a_day_without_trades_is_a_row_of_zeros():
    day = day_summary(DAY, [])
    assert (day.trades_count, day.net_pnl, day.total_pnl, day.total_commissions, day.max_drawdown) == (0,) * 5


def test_while_a_trade_has_no_result_the_days_sums_are_unknown():
    open_still = replace(ended(2, "0"), final_pnl=None, exit_time=None)
    day = day_summary(DAY, [ended(1, "149.48"), open_still])
    assert (day.trades_count, day.winning_trades, day.losing_trades) == (2, 1, 0)
    assert (day.net_pnl, day.total_pnl) == (None, None)
    assert day.total_commissions == dec("47.04")


def test_the_drawdown_is_the_deepest_fall_from_the_peak_so_far():
    day = day_summary(DAY, [ended(1, "149.48")], [dec(50), dec(-30), dec(200), dec(90), dec(120)])
    assert day.max_drawdown == 110


def test_the_curve_starts_at_zero_so_a_day_of_losses_falls_from_there():
    assert day_summary(DAY, [ended(1, "-80")], [dec(-120), dec(-40)]).max_drawdown == 120


def test_the_curve_ends_at_the_days_result():
    assert day_summary(DAY, [ended(1, "-80")], []).max_drawdown == 80


@given(st.lists(st.decimals("-999", "999", places=2), max_size=30))
def test_the_drawdown_is_the_worst_of_all_pairs_of_moments(curve):
    points = [dec(0), *curve, dec(0)]
    falls = [earlier - later for n, earlier in enumerate(points) for later in points[n:]]
    assert day_summary(DAY, [], curve).max_drawdown == max(falls)
