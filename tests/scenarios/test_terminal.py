"""The verbs in a real terminal of 80 columns and 24 lines, and what `close-all` tells and asks there."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from actions import dump, enter, lonely, playing, settings
from contract import DAY
from harness import withheld
from relay import free_port
from terminal import TerminalCommand

from spxarb.cli.blocks import DASH
from spxarb.cli.layout import columns_of
from spxarb.cli.shapes import MINUS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Stage


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Iterator[Stage]:
    """Two open spreads, marked at 9:40; nothing is ever closed here."""
    with playing(tmp_path_factory.mktemp("two")) as stage:
        enter(stage)
        stage.at("09:36")
        enter(stage)
        stage.at("09:40")
        assert stage.run("monitor").code == 0
        stage.at("09:44")
        assert (
            stage.run("monitor", "--dry-run").code == 0
        )  # the time is the gateway's: whoever asks it knows it
        yield stage


def fits(command: TerminalCommand, *, tall: bool = False) -> None:
    assert max(map(columns_of, command.lines)) <= command.columns, max(command.lines, key=columns_of)
    assert "…" not in command.text
    assert tall or len(command.lines) <= 24, command.text


def words_of(command: TerminalCommand) -> set[str]:
    """Every word and number on the screen, but for dashes, lines of tables and the head of what stands below."""
    return {word for word in command.text.split() if word.strip("─")} - {DASH, "why"}


# --- screens ----------------------------------------------------------------------------------------

VERDICTS = {
    ("enter", "--dry-run"): "Dry run: no entry: 2 of at most 2 spreads were opened today",
    ("monitor", "--dry-run"): "Held: trade 1 (P&L ",
    ("close-all", "--dry-run"): "Not flat: a dry run closes nothing.",
    ("ack",): "No matter for a human is open.",
    ("report", "--full"): "",
    ("log", "--full"): "",
}


@pytest.mark.parametrize("words", VERDICTS, ids=" ".join)
def test_a_verb_shows_its_verdict_first_in_a_terminal_and_breaks_no_word_or_number(two, words):
    """The clock stands still: what a terminal of 250 columns shows, one of 80 shows too, unbroken."""
    with TerminalCommand(two, *words, columns=250) as wide:
        assert wide.end() == 0, wide.text
    for columns in (80, 120):
        with TerminalCommand(two, *words, columns=columns) as command:
            assert command.end() == 0, command.text
            fits(command, tall=not VERDICTS[words])
            assert words_of(wide) - words_of(command) == set()
            assert command.lines[0].startswith(f"{words[0]} · sim · ")
            assert command.lines[1].startswith(VERDICTS[words])


SCREENS = (
    *(("enter", "--dry-run"), ("monitor", "--dry-run"), ("close-all", "--dry-run"), ("status",), ("report",)),
    *(("report", "--day", DAY, "--explain"), ("log",), ("doctor",), ("config",), ("ack",), ("timers",)),
)


@pytest.mark.parametrize("words", SCREENS, ids=" ".join)
def test_every_screen_of_two_spreads_leaves_room_for_the_prompt(two, words):
    with TerminalCommand(two, *words) as command:
        command.end()
        fits(command)
        lines = command.lines[:-1]
        assert len(lines) < 24, command.text
    piped = two.run(*words, as_json=False).out.splitlines()
    if "With --full " in command.text:
        with TerminalCommand(two, *words, "--full", columns=160) as full:
            full.end()
        assert steady(full.lines[1:]) == steady(piped[1:]), "what is piped is whole"


def steady(lines: list[str]) -> list[str]:
    """Their words, without how much of the disk is free: others write while this is read."""
    return re.sub(r"[\d.,]+ GB are free", "GB are free", " ".join(lines)).split()


@pytest.mark.parametrize("words", [("status",), ("enter", "--dry-run"), ("doctor",)], ids=" ".join)
def test_a_lost_gateway_is_told_on_one_screen(two, words):
    port = two.sim.port
    text = two.config.read_text()
    two.config.write_text(text.replace(f"port: {port}", "port: 1"))
    try:
        with TerminalCommand(two, *words) as command:
            assert command.end() == 4
    finally:
        two.config.write_text(text)
    fits(command)
    assert len(command.lines[:-1]) < 24, command.text
    assert "othing listens at 127.0.0.1:1" in " ".join(command.text.split())


def test_the_log_is_a_line_a_command_in_a_terminal_and_whole_elsewhere(tmp_path):
    """Also of a command that ended with exit code 6 and a long sentence."""
    with playing(tmp_path) as stage:
        enter(stage)
        stage.sim.control.script([withheld("positions_end")])
        stage.at("15:46")
        assert stage.run("monitor").code == 6
        with TerminalCommand(stage, "log") as command:
            assert command.end() == 0
        told = [line for line in command.lines if re.match(r"\d\d:\d\d (enter|monitor) ", line)]
        assert (len(told), command.lines[-2]) == (2, "Lines are shortened. With --full they are whole.")
        assert max(map(columns_of, command.lines)) <= 80
        (entry,) = [entry for entry in stage.run("log")["entries"] if entry["exit_code"] == 6]
        assert entry["error"] in " ".join(stage.run("log", as_json=False).out.split())
        assert entry["error"] not in " ".join(command.text.split())


def test_monitor_says_that_the_broker_was_asked_where_it_was(two):
    done = two.run("monitor", "--dry-run")
    assert (done["asked_broker"], done["reconciliation"]) == (True, [])
    assert "Ledger and broker: no differences." in two.run("monitor", "--dry-run", as_json=False).out


def test_settle_fits_a_terminal(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        stage.at("15:46")
        assert stage.run("monitor").code == 0
        stage.at("16:06")
        with TerminalCommand(stage, "settle") as command:
            assert command.end() == 0, command.text
            fits(command)
            assert re.match(r"(Provisional|Final): 2026-02-10, 1 trade, net -?\$", command.lines[1])


# --- close-all asks ---------------------------------------------------------------------------------


def test_close_all_lists_what_it_would_close_and_how_and_takes_anything_but_the_word_for_no(two):
    before, book = dump(two), two.sim.control.book()
    for answer in ("yes\r", "y\r", " YES\r", "\x04"):
        with TerminalCommand(two, "close-all") as command:
            command.read_until("Type YES")
            told = command.text
            command.type(answer)
            assert command.end() == 2, command.text
            assert "not confirmed; nothing was changed" in command.text
            fits(command)
    for part in (
        "close-all, mode sim",
        "account SIM0000001",
        str(two.database.name),
        "09:40, 4 min ago",
        "It stops entries until `spxarb start` and leaves by limit orders first, by market orders last.",
    ):
        assert part in " ".join(told.split()), told
    rows = [line.split() for line in told.splitlines() if re.match(r" +[12] ", line)]
    marks = two.sql("SELECT trade_id, pnl FROM marks ORDER BY trade_id")
    assert [(int(row[0]), row[1].replace(MINUS, "-")) for row in rows] == [
        (mark["trade_id"], f"{'-' if mark['pnl'] < 0 else '+'}${abs(mark['pnl']):,.2f}") for mark in marks
    ]
    assert "Entries are stopped" not in told, "not before it was answered"
    assert (dump(two), two.sim.control.book()) == (before, book)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_at_the_question_is_130_and_changes_nothing(two, number, code):
    before, book = dump(two), two.sim.control.book()
    with TerminalCommand(two, "close-all") as command:
        command.read_until("Type YES")
        command.send(number)
        assert command.end() == code
        assert command.lines[-2].endswith("; nothing was changed.")
        assert "Traceback" not in command.text
    assert (dump(two), two.sim.control.book()) == (before, book)


def test_after_yes_everything_is_closed_and_the_screen_says_so_first(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        with TerminalCommand(stage, "close-all") as command:
            command.read_until("Type YES")
            assert "marked" in command.text
            assert "never" in command.text
            command.type("YES\r")
            assert command.end() == 0, command.text
            fits(command, tall=True)
            _, _, after = command.text.partition("close-all · sim · ")
            assert after.splitlines()[1] == "Flat, seen at the broker."
            assert "Closed: trade 1 (EMERGENCY, P&L −$" in after
            assert "Entries are stopped until `spxarb start`." in after
        assert stage.positions() == {}
        assert stage.sql("SELECT is_trading FROM system_state") == [{"is_trading": 0}]


@pytest.mark.parametrize("broken", ["configuration", "ledger", "nothing"])
def test_what_cannot_be_told_does_not_keep_close_all_from_asking(tmp_path, broken):
    stage = lonely(tmp_path, free_port(), "sim")
    if broken == "configuration":
        stage.config.write_text("tradng: {}\n")
    if broken == "ledger":
        stage.database.write_text("this is no ledger" * 1000)
    with TerminalCommand(stage, "close-all") as command:
        command.read_until("Type YES")
        assert "Not all can be told" in command.text
        command.type("no\r")
        assert command.end() == 2
        fits(command)
    assert broken == "ledger" or not stage.database.exists()


# --- how it leaves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "at_market"), [((), False), (("--market",), True)])
def test_close_all_leaves_by_limits_first_and_with_market_by_market_orders_at_once(
    tmp_path, words, at_market
):
    """SPY is bought back before SPX is sold, whichever way."""
    with playing(tmp_path) as stage:
        enter(stage)
        done = stage.run("close-all", "--yes", *words)
        assert (done.code, done["flat"]) == (0, True), done.err
        orders = stage.sql("SELECT leg, side, limit_price FROM orders WHERE purpose = 'x' ORDER BY rowid")
        assert [(order["leg"], order["side"]) for order in orders] == [("SPY", "BUY"), ("SPX", "SELL")]
        assert [order["limit_price"] is None for order in orders] == [at_market, at_market]
        way = "by market orders at once" if at_market else "by limit orders first, by market orders last"
        assert f"Entries are stopped until `spxarb start`. Spreads are left {way}." in done["notes"]
        assert stage.positions() == {}


def test_a_dry_run_with_market_says_how_it_would_leave_and_sends_nothing(two):
    before, book = dump(two, "decisions"), two.sim.control.book()
    done = two.run("close-all", "--dry-run", "--market")
    assert done.code == 0
    assert "It would stop entries and leave by market orders at once." in done["notes"]
    assert (dump(two, "decisions"), two.sim.control.book()) == (before, book)


# --- the user's first command -----------------------------------------------------------------------


def test_a_dry_run_outside_the_window_says_so_first_and_looks_at_everything_all_the_same(tmp_path):
    with playing(tmp_path, at="11:20") as stage:
        done = stage.run("enter", "--dry-run")
        assert (done.code, done["outcome"], done["would"]) == (0, "dry_run", "skip")
        assert [check["name"] for check in done["checks"] if check["ok"] is False] == ["time_window"]
        assert [check["name"] for check in done["checks"] if check["ok"] is None] == ["second_look", "margin"]
        assert done["credit"]["net"] is not None
        settings(stage, min_entry_credit=9000)
        for least, second in (
            (9000, "But for the time: no entry either: credit"),
            (400, "But for the time: would enter for a credit of $"),
        ):
            settings(stage, min_entry_credit=least)
            shown = stage.run("enter", "--dry-run", as_json=False).out.splitlines()
            assert shown[1].startswith("Dry run, no entry now: it is 11:20:00 in New York, outside the entry")
            assert shown[2].startswith(second)


@pytest.mark.parametrize("mode", ["sim", "paper"])
def test_a_dry_run_without_a_gateway_tells_what_it_can_beside_exit_4(tmp_path: Path, mode):
    stage = lonely(tmp_path, free_port(), mode)
    assert stage.run("stop", "--reason", "holidays").code == 0
    done = stage.run("enter", "--dry-run")
    assert (done.code, done["outcome"], done["would"]) == (4, None, "skip")
    assert "othing listens" in done["error"]
    checks = {check["name"]: check for check in done["checks"]}
    assert (checks["time_window"]["ok"] is None) is (mode == "sim")
    assert checks["trading_enabled"]["message"] == "Trading is stopped: holidays."
    assert checks["max_trades"]["ok"] is True
    assert checks["market_data"]["ok"] is checks["net_credit"]["ok"] is checks["margin"]["ok"] is None
    assert checks["market_data"]["message"] == "The gateway did not answer."
    shown = stage.run("enter", "--dry-run", as_json=False)
    assert shown.code == 4
    assert shown.out.splitlines()[1].startswith("No decision, but no entry either: ")
    assert stage.sql("SELECT count(*) AS n FROM decisions WHERE command = 'enter'") == [{"n": 0}]
