"""Two recorded days, played through the real commands; every figure computed again from the file alone."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import pytest
from harness import Stage, recorded

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CENT = Decimal("0.01")


# --- the same day, computed without the program -------------------------------------------------------


class Tape:
    """A recorded day read with nothing but csv: the newest row at or before a minute."""

    def __init__(self, path: Path) -> None:
        self.rows: dict[tuple[str, ...], list[tuple[time, dict[str, str]]]] = {}
        with gzip.open(path, "rt", newline="") as file:
            for row in csv.DictReader(file):
                right = row["right"] if row["kind"] == "opt" else ""
                strike = f"{float(row['strike']):g}" if row["strike"] else ""
                key = row["symbol"], strike, right
                self.rows.setdefault(key, []).append((datetime.fromisoformat(row["t"]).time(), row))

    def at(self, clock: str, symbol: str, strike: str = "", right: str = "") -> dict[str, str] | None:
        moment = time.fromisoformat(clock)
        found = [row for when, row in self.rows.get((symbol, strike, right), []) if when <= moment]
        return found[-1] if found else None

    def last(self, clock: str, symbol: str, strike: str = "", right: str = "") -> Decimal:
        row = self.at(clock, symbol, strike, right)
        assert row is not None
        return Decimal(row["last"])

    def strikes(self, symbol: str) -> list[Decimal]:
        return sorted(
            {Decimal(strike) for name, strike, right in self.rows if name == symbol and right == "C"}
        )


def tick(symbol: str, price: Decimal, up: bool) -> Decimal:
    """One legal step beside a price: SPX 0.05 below 3.00, else 0.10; SPY 0.01."""
    if symbol == "SPY":
        step = CENT
    elif up:
        step = Decimal("0.05") if price < 3 else Decimal("0.10")
    else:
        step = Decimal("0.05") if price <= 3 else Decimal("0.10")
    return price + step if up else price - step


def cent(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def fees(symbol: str, side: str, quantity: int, price: Decimal) -> Decimal:
    """The fee schedule, component by component, each to the cent."""
    parts = [
        max(Decimal("0.65") * quantity, Decimal(1)),
        Decimal("0.028") * quantity,
        Decimal("0.025") * quantity,
    ]
    if symbol == "SPX":
        parts.append((Decimal("0.58") if price >= 1 else Decimal("0.49")) * quantity)
    else:
        parts += [Decimal("0.30") * quantity, Decimal("0.005") * quantity]
        if side == "SELL":
            parts += [Decimal("0.003") * quantity, Decimal("0.0000206") * price * quantity * 100]
    return sum((cent(part) for part in parts), start=Decimal(0))


def expected_of_2026_01_29(tape: Tape) -> dict[str, Decimal]:
    """Bought at the ask of 9:40, sold at the bid of 9:40, SPY bought back at the ask of 15:45."""
    spx_ask = tick("SPX", tape.last("09:40", "SPX", "6975", "C"), up=True)
    spy_bid = tick("SPY", tape.last("09:40", "SPY", "695", "C"), up=False)
    spy_ask = tick("SPY", tape.last("15:45", "SPY", "695", "C"), up=True)
    entry_fees = fees("SPX", "BUY", 1, spx_ask) + fees("SPY", "SELL", 10, spy_bid)
    exit_fees = fees("SPY", "BUY", 10, spy_ask)
    close = tape.last("16:05", "SPX")
    settled = 100 * max(close - 6975, Decimal(0))
    credit = 1000 * spy_bid - 100 * spx_ask - entry_fees
    cost = 1000 * spy_ask + exit_fees - settled
    return {
        "spx_entry": spx_ask,
        "spy_entry": spy_bid,
        "spy_exit": spy_ask,
        "entry_credit": credit,
        "exit_cost": cost,
        "final_pnl": credit - cost,
        "commissions": entry_fees + exit_fees,
    }


# --- 2026-01-29: last trades of both chains -------------------------------------------------------------


@pytest.fixture
def january(tmp_path: Path) -> Iterator[Stage]:
    with RunningSim(day=recorded("2026-01-29.csv.gz"), trust_last=True, at="09:30", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        stage.write_config()
        yield stage


def reasons(done) -> set[str]:
    return {check["name"] for check in done["checks"] if check["ok"] is False}


def test_the_gateway_says_how_it_quotes_a_file_that_has_only_last_trades(january):
    assert re.search("one (legal tick|step) to each side", january.sim.market)


def test_last_trades_alone_are_no_quotes_and_each_check_says_what_it_cannot_believe(tmp_path):
    """The minute of the documented entry, by the file as it is: nothing was bid or asked in it."""
    with RunningSim(day=recorded("2026-01-29.csv.gz"), at="09:40", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        stage.write_config(
            trading={"mode": "sim", "min_entry_credit": 200}, execution={"quote_timeout_seconds": 1}
        )
        done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped"), done.err
    checks = {check["name"]: check for check in done["checks"]}
    assert (
        "SPX call has no bid and no ask; SPY call has no bid and no ask" in checks["market_data"]["message"]
    )
    assert "6975: call has no bid and no ask; put has no bid and no ask" in checks["index_price"]["message"]
    assert "SPX 6975 is not quoted: no bid and no ask" in checks["strikes"]["message"]
    assert [
        checks[name]["ok"] for name in ("index_price", "ratio_drift", "net_credit", "credit_plausible")
    ] == [None] * 4
    assert (done["prices"]["spx_source"], done["prices"]["spx"]) == ("index", 6977.13)


def test_with_the_defaults_every_firing_of_the_morning_skips_with_its_reasons(january):
    tape = Tape(recorded("2026-01-29.csv.gz"))
    for minute in (35, 40, 45, 50, 55):
        january.at(f"09:{minute}")
        done = january.run("enter")
        assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "skip"), done.err
        assert reasons(done), done["checks"]
        assert done["prices"]["spx_print"] == float(tape.last(f"09:{minute}", "SPX"))
        assert abs(done["prices"]["spx"] - done["prices"]["spx_print"]) < 1
    assert january.positions() == {}
    assert january.sql("SELECT count(*) AS n FROM trades") == [{"n": 0}]
    kept = january.sql("SELECT outcome, checks FROM decisions ORDER BY id")
    assert [row["outcome"] for row in kept] == ["skipped"] * 5
    assert all('"net_credit"' in row["checks"] for row in kept)


def test_with_a_lower_minimum_the_day_is_traded_and_every_cent_is_the_tapes(january):
    """Skips at 9:35, enters at 9:40, is held, leaves by TIME; the worthless SPX call ends by settlement."""
    want = expected_of_2026_01_29(Tape(recorded("2026-01-29.csv.gz")))
    january.write_config(trading={"mode": "sim", "min_entry_credit": 200, "max_spreads_per_day": 1})
    january.at("09:35")
    assert january.run("enter")["outcome"] == "skipped"

    january.at("09:40")
    entered = january.run("enter")
    assert (entered.code, entered["outcome"]) == (0, "entered"), entered.out
    legs = {leg["symbol"]: leg for leg in entered["legs"]}
    assert (legs["SPX"]["strike"], legs["SPX"]["fill_price"], legs["SPX"]["action"]) == (6975, 17.90, "BUY")
    assert (legs["SPY"]["strike"], legs["SPY"]["fill_price"], legs["SPY"]["action"]) == (695, 2.05, "SELL")
    assert entered["credit"]["gross"] == 260
    assert entered["credit"]["net"] == float(want["entry_credit"])
    assert january.positions() == {("SPXW", 6975.0): 1, ("SPY", 695.0): -10}

    clock = january.at("09:45")
    while clock.time() < time(15, 45):
        held = january.run("monitor")
        assert (held.code, [p["action"] for p in held["positions"]]) == (0, ["held"]), held.err
        assert held["reconciliation"] == []
        step = timedelta(minutes=30 if clock.time() < time(15, 30) else 5)
        clock = january.at(f"{clock + step:%H:%M}")

    left = january.run("monitor")
    (position,) = left["positions"]
    assert (left.code, position["action"], position["exit_reason"]) == (0, "closed", "TIME"), left.err
    assert (position["residual"], position["status"]) == (["SPX"], "ACTIVE")
    assert january.positions() == {("SPXW", 6975.0): 1}

    january.at("16:05")
    settled = january.run("settle")
    assert settled.code == 0, settled.err
    (trade,) = january.sql("SELECT * FROM trades")
    assert (trade["status"], trade["exit_reason"], trade["spy_exit_price"]) == (
        "CLOSED",
        "TIME",
        float(want["spy_exit"]),
    )
    for column in ("entry_credit", "exit_cost", "final_pnl", "commissions"):
        assert trade[column] == float(want[column]), column
    summary = settled["summary"]
    assert (summary["date"], summary["net_pnl"]) == ("2026-01-29", float(want["final_pnl"]))
    assert summary["total_pnl"] == float(want["final_pnl"] + want["commissions"])
    assert settled["provisional"] is True
    assert january.cash() == pytest.approx(1_000_000 + float(want["final_pnl"]), abs=1e-6)
    assert january.positions() == {}


# --- 2026-02-13: wide two-sided quotes with holes ---------------------------------------------------------


def test_a_dry_run_on_a_day_of_wide_quotes_lists_every_check_with_the_recorded_prices(tmp_path):
    path = recorded("2026-02-13.csv.gz")
    tape = Tape(path)
    with RunningSim(day=path, at="09:40", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        stage.write_config()
        done = stage.run("enter", "--dry-run")
        assert (done.code, done["outcome"], done["would"]) == (0, "dry_run", "skip")
        assert done["prices"]["spx"] == float(tape.last("09:40", "SPX"))
        spx, spy = tape.last("09:40", "SPX"), tape.last("09:40", "SPY")
        nearest = {
            "SPX": min(tape.strikes("SPX"), key=lambda strike: (abs(strike - spx), strike)),
            "SPY": min(tape.strikes("SPY"), key=lambda strike: (abs(strike - spy), strike)),
        }
        for leg in done["legs"]:
            strike = nearest[leg["symbol"]]
            row = tape.at("09:40", leg["symbol"], f"{strike:g}", "C")
            assert leg["strike"] == float(strike)
            told = {
                side: float(row[side]) if row and float(row[side] or 0) else None for side in ("bid", "ask")
            }
            assert {side: leg[side] for side in ("bid", "ask")} == told
        checks = {check["name"]: check for check in done["checks"]}
        assert checks["index_price"]["ok"] is None
        assert "no put is listed" in checks["index_price"]["message"]
        assert reasons(done)
        assert all(check["message"] for check in checks.values())
        assert sim.control.book()["orders"] == []
        assert stage.sql("SELECT count(*) AS n FROM trades") == [{"n": 0}]
        assert [row["dry_run"] for row in stage.sql("SELECT dry_run FROM decisions")] == [1]
