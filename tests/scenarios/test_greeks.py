"""The greeks and the risk of an open spread: on the screen, in the JSON object and in the ledger's marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, playing
from harness import fault

from spxarb.core.black_scholes import call_value, years_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SPY_CALLS = {"symbol": "SPY", "sec_type": "OPT"}
UNKNOWN = {"source": None, "delta": None, "gamma": None, "theta": None, "vega": None}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A spread is open."""
    with playing(tmp_path_factory.mktemp("greeks")) as made:
        enter(made)
        yield made


@pytest.fixture(autouse=True)
def without_faults(stage) -> None:
    """11:00, whatever was played before."""
    stage.sim.control.script([])
    stage.at("11:00")


def newest_mark(stage: Stage) -> dict[str, Any]:
    return stage.sql("SELECT * FROM marks ORDER BY id DESC LIMIT 1")[0]


def as_marked(row: dict[str, Any]) -> dict[str, Any]:
    return {"source": row["greeks_source"], **{name: row[name] for name in UNKNOWN if name != "source"}}


def shown(stage: Stage, *words: str) -> dict[str, Any]:
    (position,) = stage.run("status", *words)["positions"]
    return position["greeks"]


def test_the_gateways_model_is_in_the_mark_in_status_and_in_its_offline_look(stage):
    stage.run("monitor")
    mark = newest_mark(stage)
    assert mark["greeks_source"] == "gateway"
    online = shown(stage)
    assert online == pytest.approx(as_marked(mark))
    assert shown(stage, "--offline") == pytest.approx(online)
    legs = {leg["symbol"]: leg for leg in stage.run("status", "--risk")["risk"]["legs"]}
    r = mark["spx"] / mark["spy"]
    assert online["delta"] == pytest.approx(100 * legs["SPX"]["delta"] - 1000 * legs["SPY"]["delta"] / r)
    assert (mark["spx_iv"], mark["spy_iv"]) == (legs["SPX"]["volatility"], legs["SPY"]["volatility"])


@pytest.mark.parametrize("form", ["absent", "not_computed", "unset"])
def test_where_the_gateway_computes_none_they_are_our_own_and_say_so(stage, form):
    """Of one leg alone is enough: the volatility is then that of one mid, for both."""
    stage.sim.control.script([fault("no_greeks", form=form, when=SPY_CALLS, lasts="always")])
    stage.run("monitor")
    mark = newest_mark(stage)
    assert mark["greeks_source"] == "black-scholes"
    assert None not in as_marked(mark).values()
    (trade,) = stage.sql("SELECT spx_strike, spy_strike FROM trades")
    assert mark["spx_iv"] == mark["spy_iv"]
    off = {}
    for leg in ("spx", "spy"):
        mid = (mark[f"{leg}_bid"] + mark[f"{leg}_ask"]) / 2
        worth = call_value(mark[leg], trade[f"{leg}_strike"], mark[f"{leg}_iv"], years_of(300))
        off[leg] = abs(worth - mid)
    assert min(off.values()) == pytest.approx(0, abs=1e-6), "that of one mid"
    assert off["spy"] < 0.1, "which nearly explains the other one"


def test_greeks_that_nobody_knows_are_null_and_stop_no_mark(stage):
    stage.sim.control.script(
        [
            fault("no_greeks", lasts="always"),
            fault(
                "no_data", when={"symbol": "SPX", "sec_type": "IND", "request": "market_data"}, lasts="always"
            ),
        ]
    )
    assert stage.run("monitor").code == 0
    assert as_marked(newest_mark(stage)) == UNKNOWN
    assert newest_mark(stage)["pnl"] is not None


def test_the_stress_table_is_told_on_request_and_fits_eighty_columns(stage):
    done = stage.run("status", "--risk")
    moves = done["risk"]["stress"]
    assert [row["move"] for row in moves] == [-2, -1, -0.5, 0, 0.5, 1, 2]
    (now,) = [row for row in moves if row["move"] == 0]
    (position,) = done["positions"]
    assert now["pnl"] == position["current_pnl"]
    assert moves[0]["pnl_at_expiry"] == position["entry_credit"]  # both calls worthless: the credit is kept
    assert moves[6]["spx_price"] == pytest.approx(done["market"]["spx_price"] * 1.02, abs=0.01)
    assert stage.run("status")["risk"] == {"legs": [], "stress": []}
    screen = stage.run("status", "--risk", as_json=False, env={"COLUMNS": "80"})
    assert re.search(r"vol −15 % +vol as now +vol \+15 % +at expiry\n", screen.out)
    assert f"{'-' if now['pnl'] < 0 else '+'}${abs(now['pnl']):,.2f}" in screen.out
    heading = screen.out.index("P&L of all that is open")
    table = screen.out[heading : screen.out.index("Recent Trades", heading)].rstrip().splitlines()
    assert len(table) == 3 + len(moves) + 1, "a row has wrapped"


def test_a_print_of_spx_that_spy_does_not_bear_out_is_told_beside_the_risk(stage):
    near = stage.run("status", "--risk")
    assert "print of SPX" not in " ".join(near["notes"])
    index = {"symbol": "SPX", "sec_type": "IND"}
    stage.sim.control.script([fault("wrong_tick", by=8, side="last", when=index, lasts="always")])
    done = stage.run("status", "--risk")
    assert done["market"]["spx_price"] == pytest.approx(near["market"]["spx_price"] + 8)
    assert "Trade 1: the print of SPX, " in " ".join(done["notes"])
    (ratio,) = (row["ratio"] for row in stage.sql("SELECT ratio FROM trades"))
    by_spy = round(ratio * done["market"]["spy_price"], 2)  # it, and not the print, is what the risk rests on
    (now,) = [row for row in done["risk"]["stress"] if row["move"] == 0]
    assert now["spx_price"] == pytest.approx(by_spy, abs=0.01)
    assert "the print of SPX, " in " ".join(stage.run("monitor")["notes"])


def test_on_the_eve_of_an_ex_date_the_risk_names_the_dividend(tmp_path):
    with playing(tmp_path, date="2026-03-19") as stage:
        enter(stage)
        assert "SPY is expected to go ex-dividend on 2026-03-20" in " ".join(
            stage.run("status", "--risk")["notes"]
        )
        assert "ex-dividend" not in " ".join(stage.run("status")["notes"])


def test_the_stress_table_wants_prices_of_now(stage):
    done = stage.run("status", "--risk", "--offline", as_json=False)
    assert (done.code, "leave out --offline" in done.err) == (2, True)


def test_calls_that_have_expired_are_not_stressed(stage):
    stage.at("16:02")
    done = stage.run("status", "--risk")
    assert done["positions"] != []
    assert done["risk"] == {"legs": [], "stress": []}
