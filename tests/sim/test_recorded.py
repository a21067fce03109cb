"""Recorded days of the simulated gateway: files as quotes, and files that are none."""

import gzip
import os
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.exchange.orders import Filled, Ticket
from spxarb.sim.market import ticks
from spxarb.sim.market.instruments import SPX_ID, SPY_ID
from spxarb.sim.market.recorded import COLUMNS, RecordedDay
from spxarb.sim.market.trading_days import NEW_YORK

DAYS = Path(os.environ.get("SPXARB_RECORDED_DAYS") or Path(__file__).parents[3] / "shared" / "data")
HEADER = ",".join(COLUMNS)
ROWS = """\
2026-01-29 09:30:00-05:00,und,SPX,,,,,,6970.5,x
2026-01-29 09:30:00-05:00,und,SPY,,,,,,695.11,x
2026-01-29 09:31:00-05:00,opt,SPX,2026-01-29,6975.0,C,,,17.8,x
2026-01-29 09:31:00-05:00,opt,SPY,2026-01-29,695.0,C,2.05,2.06,,x
2026-01-29 09:33:00-05:00,opt,SPX,2026-01-29,6975.0,C,0,0.05,,x
2026-01-29 09:33:00-05:00,opt,SPY,2026-01-29,695.0,C,,,0.01,x
2026-01-29 09:34:00-05:00,opt,SPX,2026-01-29,6975.0,C,3.05,3.15,3.1,x
"""


def at(clock, on=date(2026, 1, 29)):
    return datetime.combine(on, datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


def written(folder, rows=ROWS, header=HEADER):
    file = folder / "day.csv"
    file.write_text(f"{header}\n{rows}")
    return file


def contract(market, symbol, strike, right="C"):
    (found,) = market.find(symbol, "OPT", market.day, strike, right)
    return found


def sides(market, symbol, strike, clock, right="C"):
    quote = market.quote(contract(market, symbol, strike, right).con_id, at(clock))
    return quote.bid, quote.ask


@pytest.fixture
def market(tmp_path):
    return RecordedDay(written(tmp_path), trust_last=True)


def test_a_quote_is_the_newest_row_carried_forward(market):
    assert sides(market, "SPY", 695.0, "09:30") == (None, None)
    assert sides(market, "SPY", 695.0, "09:31") == (2.05, 2.06)
    assert sides(market, "SPY", 695.0, "09:32") == (2.05, 2.06)
    assert sides(market, "SPY", 695.0, "16:14") == (None, 0.02)


def test_a_last_price_is_shown_as_one_legal_step_to_each_side(market):
    assert sides(market, "SPX", 6975.0, "09:31") == (17.7, 17.9)
    stock = market.quote(SPY_ID, at("09:30"))
    assert (stock.bid, stock.ask, stock.last) == (695.10, 695.12, 695.11)


def test_without_trust_in_it_a_last_price_has_neither_bid_nor_ask(tmp_path):
    market = RecordedDay(written(tmp_path))
    assert sides(market, "SPX", 6975.0, "09:31") == (None, None)
    assert sides(market, "SPY", 695.0, "09:31") == (2.05, 2.06)
    stock = market.quote(SPY_ID, at("09:30"))
    assert (stock.bid, stock.ask, stock.last, stock.bid_size) == (None, None, 695.11, 0)
    assert "3 have only a last price, shown without bid and ask (see --trust-last)" in market.description


def test_a_bid_of_nothing_is_no_bid(market):
    assert sides(market, "SPX", 6975.0, "09:33") == (None, 0.05)
    assert sides(market, "SPY", 695.0, "09:33") == (None, 0.02)


def test_a_price_off_the_grid_moves_outward(market):
    assert sides(market, "SPX", 6975.0, "09:34") == (3.0, 3.2)
    assert "1 are moved outward" in market.description


def test_the_index_has_only_a_last_price(market):
    quote = market.quote(SPX_ID, at("09:40"))
    assert (quote.bid, quote.ask, quote.last, quote.bid_size) == (None, None, 6970.5, 0)


def test_after_the_last_trade_nothing_is_quoted(market):
    assert sides(market, "SPX", 6975.0, "15:59") == (3.0, 3.2)
    assert sides(market, "SPX", 6975.0, "16:00") == (None, None)
    assert market.quote(contract(market, "SPX", 6975.0).con_id, at("16:00")).last == 3.1


def test_the_description_says_what_is_made_up(market):
    assert market.description.startswith("recorded day 2026-01-29 from day.csv, 7 rows; ")
    assert "only a last price" in market.description
    assert market.description.endswith("displayed sizes are made up")


def test_index_options_are_weeklies(market):
    assert contract(market, "SPX", 6975.0).trading_class == "SPXW"
    assert {item.local_symbol for item in market.instruments()[2:]} == {
        "SPXW  260129C06975000",
        "SPY   260129C00695000",
    }


def test_moments_are_the_times_of_the_rows(market):
    assert list(market.moments(at("09:30"), at("09:33"))) == [at("09:31"), at("09:33")]


def test_rows_may_stand_in_any_order_and_be_compressed(tmp_path, market):
    lines = ROWS.splitlines(keepends=True)
    file = tmp_path / "other.csv.gz"
    file.write_bytes(gzip.compress((HEADER + "\n" + "".join(reversed(lines))).encode()))
    other = RecordedDay(file, trust_last=True)
    for clock in ("09:30", "09:31", "09:33", "09:34"):
        assert sides(other, "SPX", 6975.0, clock) == sides(market, "SPX", 6975.0, clock)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("yesterday,und,SPX,,,,,,1,x", "t is not a time: 'yesterday'"),
        ("2026-01-29 09:30:00,und,SPX,,,,,,1,x", "t has no offset"),
        (
            "2026-01-30 09:30:00-05:00,und,SPX,,,,,,1,x",
            "t is on 2026-01-30, the rows before it on 2026-01-29",
        ),
        ("2026-01-29 09:30:00-05:00,und,SPX,,,,,,1", "9 fields, not 10"),
        ("2026-01-29 09:30:00-05:00,und,NDX,,,,,,1,x", "symbol 'NDX' is neither SPX nor SPY"),
        ("2026-01-29 09:30:00-05:00,fut,SPX,,,,,,1,x", "kind 'fut' is neither und nor opt"),
        ("2026-01-29 09:30:00-05:00,opt,SPX,soon,6975,C,,,1,x", "not an expiry and a strike: 'soon', '6975'"),
        ("2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6976,C,,,1,x", "strike 6976 is not on the grid"),
        ("2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,inf,C,,,1,x", "strike"),
        ("2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6975,X,,,1,x", "right 'X'"),
        ("2026-01-29 09:30:00-05:00,und,SPX,,,,,,many,x", "last is not a number: 'many'"),
        ("2026-01-29 09:30:00-05:00,und,SPY,,,,-1,2,,x", "bid is no price: '-1'"),
        ("2026-01-29 09:30:00-05:00,und,SPY,,,,nan,2,,x", "bid is no price: 'nan'"),
        ("2026-01-29 09:30:00-05:00,und,SPY,,,,,,1," + "x" * 200_000, "field larger"),
        ("2026-01-29 09:30:00-05:00,und,SPY,,,,,,,x", "neither bid nor ask nor last"),
    ],
)
def test_a_malformed_row_is_named_with_file_and_line(tmp_path, row, words):
    file = written(tmp_path, ROWS + row + "\n")
    with pytest.raises(ValueError) as problem:
        RecordedDay(file)
    text = str(problem.value)
    assert text.startswith(f"{file}, line 9: ")
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: the columns are"),
        (b"a,b\n1,2\n", "line 1: the columns are 'a,b'"),
        (HEADER.encode(), "no rows"),
        (b"\x1f\x8brubbish", "cannot be read"),
        (b"\xff\xfe\xff", "cannot be read"),
        (gzip.compress(HEADER.encode(), mtime=0)[:12] + b"\xff" * 20, "cannot be read"),
        (gzip.compress(HEADER.encode(), mtime=0)[:-4], "cannot be read"),
    ],
)
def test_a_file_that_is_no_recording_is_named(tmp_path, content, words):
    file = tmp_path / "day.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError) as problem:
        RecordedDay(file)
    assert str(file) in str(problem.value)
    assert words in str(problem.value)


def test_a_recording_of_a_closed_day_is_named(tmp_path):
    file = written(tmp_path, "2026-01-31 09:30:00-05:00,und,SPX,,,,,,6970.5,x\n")
    with pytest.raises(ValueError, match=r"day\.csv: the exchange is closed on Saturday 2026-01-31"):
        RecordedDay(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.csv: cannot be read"):
        RecordedDay(tmp_path / "nothing.csv")


# --- the recorded days themselves ---------------------------------------------------------------------


def recording(name):
    file = DAYS / name
    if not file.exists():
        pytest.skip(f"no recorded day {name}: set SPXARB_RECORDED_DAYS to the folder that holds it")
    return RecordedDay(file, trust_last=True)


def test_the_day_of_last_trades_shows_what_was_traded():
    market = recording("2026-01-29.csv.gz")
    assert sides(market, "SPX", 6975.0, "09:40") == (17.7, 17.9)
    assert sides(market, "SPY", 695.0, "09:40") == (2.05, 2.07)
    assert sides(market, "SPX", 6975.0, "15:45") == (None, 0.10)


@pytest.mark.parametrize("name", ["2026-01-29.csv.gz", "2026-02-13.csv.gz"])
def test_a_recorded_day_is_legal_throughout(name):
    market = recording(name)
    assert market.day.isoformat() in name
    for item in market.instruments()[2::7]:
        for minutes in range(0, 390, 13):
            quote = market.quote(item.con_id, market.open + timedelta(minutes=minutes))
            assert quote.ask is None or ticks.is_legal(item.market_rule_id, quote.ask)
            assert quote.bid is None or ticks.is_legal(item.market_rule_id, quote.bid)


def test_a_resting_order_fills_at_the_minute_in_which_the_recorded_market_came_to_it():
    market = recording("2026-01-29.csv.gz")
    exchange = Exchange(market)
    exchange.advance(at("09:40"))
    exchange.submit(Ticket(1, 1, contract(market, "SPX", 6975.0), "BUY", 1, "LMT", 0.10))
    (fill,) = [event.fill for event in exchange.advance(at("16:30")) if isinstance(event, Filled)]
    assert fill.price == 0.10
    assert sides(market, "SPX", 6975.0, f"{fill.time:%H:%M}")[1] <= 0.10
    before = fill.time - timedelta(minutes=1)
    assert sides(market, "SPX", 6975.0, f"{before:%H:%M}")[1] > 0.10
