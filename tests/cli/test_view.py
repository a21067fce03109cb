"""The view: what a program reads, what a person reads, and what happens when neither can be reached."""
# ruff: noqa: RUF001, SIM905 -- the dash is what is shown; the contract's words stand as it has them

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.cli import blocks, reading, screens, shapes, view
from spxarb.core.entry_check import Check
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side, TradeStatus
from spxarb.core.plain import plain
from spxarb.core.printable import from_outside
from spxarb.core.result import RESULT_TYPES, Result, result_type
from spxarb.core.results.actions import Action
from spxarb.core.results.enter import EntryCredit, EntryLeg, EntryOutcome, Verdict
from spxarb.core.results.positions import ManagedPosition, PositionResult
from spxarb.core.results.report import TABLES
from spxarb.core.results.report_rows import DayRow, TradeRow
from spxarb.core.results.status import (
    MarketResult,
    SystemResult,
    TradeResult,
)
from spxarb.core.strategy import Risk

AT = datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)

# The contract's words, literally.
POSITION = "trade_id entry_time spy_strike spx_strike entry_credit current_pnl status".split()
TRADE_COLUMNS = (
    "id trade_date spy_price spx_price spy_strike spx_strike spy_entry_bid spy_entry_ask spx_entry_bid "
    "spx_entry_ask entry_credit entry_time entry_filled spy_exit_price spx_exit_price exit_cost exit_time "
    "exit_reason final_pnl commissions status"
).split()
DAY_COLUMNS = (
    "id date trades_count winning_trades losing_trades total_pnl total_commissions net_pnl max_drawdown"
).split()
KEYS = {
    "enter": "outcome would checks prices legs credit risk trade_id".split(),
    "monitor": ["positions", "reconciliation"],
    "settle": ["trades", "summary", "provisional"],
    "close-all": ["positions", "flat", "asked_broker"],
    "status": "status account market positions trades performance".split(),
    "report": ["trades", "days", "statistics"],
}
FIELDS = {
    ("enter", "prices"): ["spy", "spx", "ratio"],
    ("enter", "credit"): ["gross", "commissions", "net"],
    ("enter", "risk"): ["strike_mismatch_points", "edge", "worst_case"],
    ("settle", "summary"): DAY_COLUMNS,
    ("status", "status"): ["is_trading", "is_connected", "open_positions", "trades_today"],
    ("status", "account"): "account_id net_liquidation total_cash available_funds buying_power".split(),
    ("status", "market"): ["spy_price", "spx_price", "ratio"],
    ("status", "performance"): (
        "daily_realized_pnl unrealized_pnl total_pnl max_daily_loss risk_breached trades_count active_positions"
    ).split(),
}
ITEMS = [
    (Check, "name ok value limit message".split()),
    (EntryLeg, "symbol trading_class expiration strike right action quantity bid ask fill_price".split()),
    (ManagedPosition, [*POSITION, "exit_reason", "action", "residual"]),
    (PositionResult, POSITION),
    (TradeResult, ["id", "trade_date", "entry_credit", "final_pnl", "exit_reason", "status"]),
    (TradeRow, TRADE_COLUMNS),
    (DayRow, DAY_COLUMNS),
]
CHECKS = (
    "time_window trading_enabled max_trades daily_loss market_data halted quote_age legs_apart index_price "
    "underlying_drift strikes tracking_ratio ratio_drift spx_spread spy_spread net_credit credit_plausible "
    "second_look margin"
).split()


def result(command: str, /, *, code: int = 0, error: str | None = None, notes=(), **fields) -> Result:
    return result_type(command)(command, AT, "paper", code, error, tuple(notes), **fields)


def shown(capsys, shown_result: Result, **options) -> tuple[str, str, int]:
    code = view.show(shown_result, **options)
    out, err = capsys.readouterr()
    return out, err, code


def object_of(shown_result: Result) -> dict:
    return json.loads(shapes.as_json(shown_result))


# --- the JSON object ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", KEYS)
def test_a_failed_command_has_every_key_of_the_contract(command):
    found = object_of(result(command, code=4, error="no gateway"))
    for key in ["command", "at", "mode", "exit_code", "error", *KEYS[command]]:
        assert key in found
    for (owner, key), fields in FIELDS.items():
        if owner == command:
            assert set(fields) <= set(found[key])
            assert set(found[key].values()) == {None}
    for key, value in found.items():
        if isinstance(value, list) and key != "checks":
            assert value == []


@pytest.mark.parametrize(("item", "keys"), ITEMS, ids=lambda part: getattr(part, "__name__", ""))
def test_an_item_of_a_list_has_every_key_of_the_contract(item, keys):
    assert set(keys) <= set(item.__dataclass_fields__)


def test_an_enter_that_came_to_nothing_names_all_checks_margin_last_none_of_them_passed():
    checks = object_of(result("enter", code=4, error="no gateway"))["checks"]
    assert [check["name"] for check in checks] == CHECKS
    assert {check["ok"] for check in checks} == {None}


def test_the_checks_of_a_job_stand_as_the_job_gave_them():
    checks = object_of(result("enter", checks=(Check("margin", False, 1, 2, "short"),)))["checks"]
    assert checks == [{"name": "margin", "ok": False, "value": 1, "limit": 2, "message": "short"}]


def test_flat_is_not_known_and_settled_is_provisional_until_shown_otherwise():
    assert object_of(result("close-all", code=4, error="x"))["flat"] is None
    assert object_of(result("close-all", code=4, error="x"))["asked_broker"] is False
    assert object_of(result("settle", code=4, error="x"))["provisional"] is True
    assert object_of(result("settle", provisional=False))["provisional"] is False


def test_false_and_zero_are_values_and_not_missing():
    found = object_of(result("status", status=SystemResult(is_trading=False, trades_today=0)))["status"]
    assert found["is_trading"] is False
    assert found["trades_today"] == 0


def test_values_become_plain_numbers_new_york_times_and_words():
    utc = datetime(2026, 2, 13, 14, 41, 5, tzinfo=timezone(timedelta(0)))
    found = plain(
        {
            "money": Decimal("448.10"),
            "at_utc": utc,
            "summer": datetime(2026, 7, 1, 9, 30, tzinfo=NEW_YORK),
            "day": date(2026, 2, 13),
            "reason": ExitReason.TIME,
            "nothing": float("nan"),
            "endless": Decimal("Infinity"),
            "pair": (1, 2),
            "object": Check("strikes", None, None, None, ""),
        }
    )
    assert found["money"] == 448.1
    assert found["at_utc"] == "2026-02-13T09:41:05-05:00"
    assert found["summer"] == "2026-07-01T09:30:00-04:00"
    assert found["day"] == "2026-02-13"
    assert found["reason"] == "TIME"
    assert found["nothing"] is None
    assert found["endless"] is None
    assert found["pair"] == [1, 2]
    assert found["object"] == {"name": "strikes", "ok": None, "value": None, "limit": None, "message": ""}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.text()
    | st.datetimes()
    | st.dates(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=10,
)


@given(ANYTHING, ANYTHING, st.text())
def test_whatever_a_job_returns_is_one_line_of_strict_json(value, limit, note):
    check = Check("strikes", None, value, limit, note)
    text = shapes.as_json(result("enter", checks=(check,), notes=[note]))
    assert "\n" not in text
    assert text.isascii()
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert all(letter.isprintable() or letter == "\n" for text in texts(read) for letter in text)


def texts(value):
    """Every text in what was read of JSON, the names of its objects too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


def test_json_alone_is_on_stdout_and_the_error_is_one_line_on_stderr(capsys):
    out, err, code = shown(capsys, result("monitor", code=6, error="a leg\nwithout its hedge"), json=True)
    assert json.loads(out)["exit_code"] == 6
    assert out.count("\n") == 1
    assert err == "spxarb monitor: a leg without its hedge\n"
    assert code == 6


# --- CSV ------------------------------------------------------------------------------------------

EMPTY_TRADE = dict.fromkeys(TradeRow.columns())


def trade_row(**columns) -> TradeRow:
    return TradeRow.of({**EMPTY_TRADE, "trade_date": "2026-02-13", "status": "CLOSED", **columns})


TRADES = (
    trade_row(id=1, final_pnl=-3.1, residual=["SPX"], note=""),
    trade_row(id=2, note='said "no", twice'),
)


def test_csv_begins_with_the_ledgers_columns_and_keeps_nulls_empty(capsys):
    assert view.show_csv(result("report", trades=TRADES), "trades", None) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0])[: len(TRADE_COLUMNS)] == TRADE_COLUMNS
    assert [row["final_pnl"] for row in rows] == ["-3.1", ""]
    assert rows[0]["residual"] == '["SPX"]'
    assert rows[1]["note"] == 'said "no", twice'


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_still_has_its_header(capsys, table):
    view.show_csv(result("report"), table, None)
    assert capsys.readouterr().out == ",".join(TABLES[table].columns()) + "\n"


def test_every_table_of_the_command_line_is_a_field_of_the_report_and_the_other_way_round():
    assert list(reading.Table) == list(TABLES)
    assert TABLES.keys() < result("report").own().keys()


def test_a_csv_file_is_its_owners_alone_even_where_an_open_one_stood(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text("old and much longer than anything that follows" * 100)
    path.chmod(0o644)
    assert view.show_csv(result("report", days=(DayRow(date="2026-02-13"),)), "days", path) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines()[1:] == [",2026-02-13,,,,,,,,"]


def test_a_pipe_with_a_name_is_no_csv_file_and_keeps_its_mode(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o620)
    with pytest.raises(OSError, match="not a regular file"):  # without waiting for a reader
        view.show_csv(result("report"), "trades", pipe)
    assert pipe.stat().st_mode & 0o777 == 0o620


def test_a_report_that_failed_writes_no_csv(capsys, tmp_path):
    path = tmp_path / "trades.csv"
    assert view.show_csv(result("report", code=5, error="damaged"), "trades", path) == 5
    assert capsys.readouterr() == ("", "spxarb report: damaged\n")
    assert not path.exists()


# --- tables ---------------------------------------------------------------------------------------

LEG = EntryLeg(
    symbol=LegName.SPX,
    trading_class="SPXW",
    expiration=date(2026, 2, 13),
    strike=Decimal(6800),
    right="C",
    action=Side.BUY,
    quantity=1,
    bid=Decimal("17.8"),
    ask=Decimal("17.9"),
    fill_price=None,
)
POSITION_NOW = (3, AT, Decimal(677), Decimal(6800), Decimal("448.1"), None, TradeStatus.ACTIVE)


def managed(action: Action, reason: ExitReason | None = None, *residual: LegName) -> ManagedPosition:
    return ManagedPosition(*POSITION_NOW, reason, action, residual)


def line_with(text: str, word: str) -> list[str]:
    """The words of the first line that has `word`."""
    return next(line.split() for line in text.splitlines() if word in line)


def test_enter_shows_why_not_what_and_the_truth_beside_the_credit(capsys):
    out, err, code = shown(
        capsys,
        result(
            "enter",
            outcome=EntryOutcome.SKIPPED,
            would=Verdict.SKIP,
            checks=(
                Check("net_credit", False, Decimal("389.12"), 400, "too little"),
                Check("margin", None, None, None, "not asked"),
            ),
            legs=(LEG,),
            credit=EntryCredit(Decimal("400.91"), Decimal("11.79"), Decimal("389.12")),
            risk=Risk(Decimal("9.7"), Decimal("-40.2"), Decimal(-518)),
        ),
    )
    assert (err, code) == ("", 0)
    assert out.splitlines()[1] == "No entry: credit $389.12, at least $400.00 wanted"
    assert out.splitlines()[2] == "0 of 1 checks passed, 1 not evaluated."
    assert line_with(out, "too little") == ["NO", "net_credit", "too", "little"]
    assert line_with(out, "margin") == ["Not", "asked", "after", "that:", "margin."]
    call = ["SPXW", "2026-02-13", "6800", "C"]
    assert line_with(out, "SPXW") == ["BUY", "1", *call, "bid", "17.80", "ask", "17.90"]
    for text in ("Credit $389.12", "mismatch 9.70 points", "edge −$40.20", "worst case −$518.00"):
        assert text in out
    fair = "No edge: the credit of $389.12 is $40.20 worse than the credit of $429.32 that is fair for these"
    assert fair in out


def test_a_credit_whose_worst_case_is_a_loss_is_not_shown_as_good():
    for worst, style in ((Decimal(-518), "bold"), (Decimal(0), "green"), (None, "bold")):
        entered = result("enter", outcome=EntryOutcome.ENTERED, trade_id=3, risk=Risk(worst_case=worst))
        assert screens.screen(entered)[1].style == style


def test_a_dry_run_outside_the_window_says_so_first_and_then_what_the_market_says():
    late = Check("time_window", False, "11:20:00", "09:35-10:00", "It is 11:20:00, outside the window.")
    poor = Check("net_credit", False, Decimal("-41.8"), 400, "The spread would bring -$41.80.")
    good = Check("net_credit", True, Decimal(450), 400, "The spread would bring $450.00.")
    for check, credit, said in (
        (poor, "-41.8", "But for the time: no entry either: credit -$41.80, at least $400.00 wanted"),
        (good, "450", "But for the time: would enter for a credit of $450.00"),
    ):
        dry = result(
            "enter",
            outcome=EntryOutcome.DRY_RUN,
            would=Verdict.SKIP,
            checks=(late, check),
            credit=EntryCredit(None, None, Decimal(credit)),
        )
        first, second = (line.text for line in screens.screen(dry)[1:3])
        assert first == "Dry run, no entry now: it is 11:20:00, outside the window"
        assert second == said


def test_a_gain_is_called_a_gain_only_where_there_is_an_edge(capsys):
    entered = result("enter", outcome=EntryOutcome.ENTERED, trade_id=3, risk=Risk(edge=Decimal(12)))
    out, _, _ = shown(capsys, entered)
    assert "Entered: trade 3" in out
    assert "No edge" not in out
    assert "Edge: $12.00." in out


def test_a_missing_price_is_a_dash_and_never_a_zero(capsys):
    out, _, _ = shown(capsys, result("monitor", positions=(managed(Action.HELD),)))
    assert line_with(out, "ACTIVE")[2:4] == ["–", "$448.10"]
    assert "P&L not known" in out
    out, _, _ = shown(capsys, result("status", market=MarketResult(spx_price=Decimal(6800))))
    assert line_with(out, "SPY")[-1] != "0.00"
    assert "0.00" not in out.replace("6,800.00", "")


def test_a_profit_and_loss_of_nothing_is_a_zero_without_a_sign():
    assert blocks.money(0.0) == blocks.money(-0.001) == "$0.00"
    assert blocks.money(-1234.5) == ("-$1,234.50", "bold red")
    assert blocks.money(1234.5) == ("+$1,234.50", "green")
    assert blocks.money(None) == blocks.dollars(None) == "–"
    assert blocks.dollars(-0.001) == "$0.00"
    assert blocks.dollars(Decimal("-1234.5")) == "-$1,234.50"


def test_what_could_not_be_closed_and_what_is_left_to_settlement_stands_out(capsys):
    positions = (
        managed(Action.FAILED, ExitReason.TIME),
        replace(managed(Action.CLOSED, ExitReason.TIME, LegName.SPX), final_pnl=Decimal("-73.53")),
    )
    out, err, code = shown(
        capsys, result("close-all", code=6, error="not closed", positions=positions, flat=False)
    )
    assert "failed" in out
    assert "left to settlement" in out
    assert out.splitlines()[1] == "Not seen flat."
    assert out.splitlines()[2] == "NOT closed: trade 3 (TIME); closed: trade 3 (TIME, P&L −$73.53)"
    assert (err, code) == ("spxarb close-all: not closed\n", 6)


def test_monitor_names_the_differences_and_says_that_there_are_none_only_where_the_broker_was_asked(capsys):
    out, _, _ = shown(capsys, result("monitor", asked_broker=True, reconciliation=("an order nobody sent",)))
    assert "Differences between ledger and broker" in out
    assert "an order nobody sent" in out
    out, _, _ = shown(capsys, result("monitor", asked_broker=True))
    assert "Ledger and broker: no differences." in out
    out, _, _ = shown(capsys, result("monitor"))
    assert "ifferences" not in out
    assert "by the ledger alone" in out


def test_a_settled_day_is_provisional_until_the_next_morning(capsys):
    day = DayRow(date="2026-02-13", trades_count=1, net_pnl=-3.1)
    out, _, _ = shown(capsys, result("settle", summary=day, provisional=True))
    assert "Provisional" in out
    assert out.splitlines()[1] == "Provisional: 2026-02-13, 1 trade, net −$3.10."
    out, _, _ = shown(capsys, result("settle", summary=day, provisional=False))
    assert out.splitlines()[1] == "Final: 2026-02-13, 1 trade, net −$3.10."


@pytest.mark.parametrize(("values", "bars"), [([1.0, 1.0], "▁▁"), ([-10, 60, 25], "▁█▅"), ([5], "▁")])
def test_the_line_of_bars_reaches_from_least_to_greatest(values, bars):
    assert blocks.sparkline(values) == bars


@given(st.text(st.characters(exclude_characters="\x1b\x90\x98\x9b\x9d\x9e\x9f")))  # what begins an escape
def test_no_text_in_a_csv_begins_like_a_formula(text):
    day = DayRow(date=text)
    (_, row) = csv.reader(io.StringIO(shapes.as_csv(result("report", days=(day,)), "days"), newline=""))
    assert row[1][:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    seen = [
        letter for letter in text if from_outside(letter)
    ]  # fillers and joiners are printable, and unseen
    assert [letter for letter in seen if letter not in row[1]] == []
    assert all(letter.isprintable() or letter == "\n" for letter in row[1])


def test_a_negative_number_in_a_csv_stays_one():
    assert "-80.5" in shapes.as_csv(result("report", days=(DayRow(net_pnl=-80.5),)), "days")


def test_a_command_without_a_screen_of_its_own_is_shown_all_the_same(capsys):
    out, _, _ = shown(capsys, result("record", file="/tmp/day.csv", left_out=2, first=AT))
    assert line_with(out, "file") == ["file", "/tmp/day.csv"]
    assert line_with(out, "left out") == ["left", "out", "2"]
    assert line_with(out, "first") == ["first", "02-13", "09:41:05"]


@pytest.mark.parametrize("command", RESULT_TYPES)
def test_every_screen_can_be_drawn_from_nothing(capsys, command):
    out, err, code = shown(capsys, result(command))
    assert out.startswith(f"{command} · paper · Fri 2026-02-13 09:41:05 ET\n")
    assert (err, code) == ("", 0)


def test_a_job_that_failed_at_once_leaves_stdout_empty(capsys):
    assert shown(capsys, result("enter", code=4, error="no gateway")) == ("", "spxarb enter: no gateway\n", 4)


def test_an_exit_code_without_a_sentence_gets_one(capsys):
    _, err, code = shown(capsys, result("enter", code=5))
    assert (err.count("\n"), code) == (1, 5)


def test_a_brokers_words_can_neither_colour_nor_move_anything(capsys):
    bad = "[red]gone[/red] \x1b[2J\x07 :smile:"
    out, _, _ = shown(capsys, result("monitor", reconciliation=(bad,), notes=[bad]))
    assert out.count("[red]gone[/red] ?[2J? :smile:") == 2
    assert "\x1b" not in out


def test_notes_stand_below_everything(capsys):
    out, _, _ = shown(capsys, result("status", notes=["First.", "Second."]))
    assert out.endswith("First.\nSecond.\n")


# --- the ways out ---------------------------------------------------------------------------------

SCRIPT = """
import sys
from contextlib import suppress
from datetime import datetime
from spxarb.core.model import NEW_YORK
from spxarb.core.results.monitor import MonitorResult
from spxarb.cli import view
differences = ("é–█" * 40,) * 2000
made = MonitorResult("monitor", datetime.now(NEW_YORK), "paper", {code}, {error}, reconciliation=differences)
sys.exit(view.show(made, json={json}))
"""


def process(stdout, *, code: int = 0, json: bool = False, **environment: str) -> subprocess.CompletedProcess:
    script = SCRIPT.format(code=code, error=repr("bad") if code else None, json=json)
    return subprocess.run(
        [sys.executable, "-c", script],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("code", [0, 6])
def test_a_reader_who_left_early_changes_nothing(code):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = process(writer, code=code, json=True)
    finally:
        os.close(writer)
    assert done.returncode == code
    assert done.stderr == ("spxarb monitor: bad\n" if code else "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("code", "exit_code"), [(0, 1), (6, 6)])
def test_a_full_disk_is_told_in_one_line_and_hides_no_worse_code(code, exit_code):
    with Path("/dev/full").open("w") as full:
        done = process(full, code=code)
    assert done.returncode == exit_code
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("told", "width"),
    [("100", 100), ("0", 160), ("-5", 160), ("wide", 160), ("", 160), ("9" * 5000, 160), ("3", 40)],
)
def test_what_columns_says_is_obeyed_where_it_makes_sense(monkeypatch, told, width):
    monkeypatch.setenv("COLUMNS", told)
    assert view.screen_width() == width


def test_a_terminal_that_knows_few_letters_gets_what_it_can_show():
    done = process(subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_json_does_not_wait_for_the_library_of_tables():
    script = (
        SCRIPT.format(code=0, error=None, json=True).replace("sys.exit(", "(")
        + "\nassert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, timeout=60, check=True)


def test_times_in_a_csv_are_of_one_form_across_a_clock_change(capsys):
    """A column of two offsets is no column of times to pandas, nor to a spreadsheet."""
    blank = dict.fromkeys(TradeRow.columns())
    times = ("2026-03-06T09:35:00-05:00", "2026-03-09T09:35:00.250000-04:00", None)
    rows = tuple(
        TradeRow.of({**blank, "entry_time": at, "note": "at 2026-03-06T09:35:00-05:00"}) for at in times
    )
    assert view.show_csv(result("report", trades=rows), "trades", None) == 0
    read = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["entry_time"] for row in read] == ["2026-03-06 09:35:00", "2026-03-09 09:35:00", ""]
    assert {row["note"] for row in read} == {"at 2026-03-06T09:35:00-05:00"}


@pytest.mark.parametrize(
    ("encoding", "sign"), [("utf-8", "\N{MINUS SIGN}"), ("ascii", "-"), ("latin-1", "-")]
)
def test_a_sum_below_0_has_its_sign_whatever_the_stream_can_show(monkeypatch, encoding, sign):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    view.say("net -$3.10 on 2026-02-10, from 09:35-10:00")
    stream.flush()
    said = stream.buffer.getvalue().decode(encoding)
    assert said == f"net {sign}$3.10 on 2026-02-10, from 09:35-10:00\n"
