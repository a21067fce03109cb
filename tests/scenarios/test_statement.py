"""Ledger and statement: a whole day with the real commands, then the account's own statement beside the ledger."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from actions import dump, enter, playing, settings, tomorrow
from harness import Done, Stage, fault

if TYPE_CHECKING:
    from pathlib import Path


def written(stage: Stage, kind: str = "activity", **more: Any) -> Path:
    """The account's statement as a file."""
    file = stage.folder / "statement.xml"
    file.write_text(stage.sim.control.statement(kind, **more), encoding="utf-8")
    return file


def reconcile(stage: Stage, file: Path, *words: str) -> Done:
    return stage.run("reconcile", "--statement", str(file), *words)


def next_morning(stage: Stage, hour: int = 9, minute: int = 40) -> None:
    """After the first look at it: orders of the day before are over, whatever they did."""
    tomorrow(stage, hour, minute)


def the_trade(stage: Stage) -> dict[str, object]:
    (trade,) = stage.sql("SELECT * FROM trades")
    return trade


def cash_is_the_result(stage: Stage) -> None:
    assert stage.cash() == pytest.approx(1_000_000 + the_trade(stage)["final_pnl"], abs=1e-6)


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A day with an entry, an exit and a settlement, an hour and a half after its close."""
    with playing(tmp_path_factory.mktemp("traded")) as stage:
        enter(stage)
        stage.at("15:45")
        assert stage.run("monitor").code == 0
        stage.at("16:05")
        assert stage.run("settle").code == 0
        stage.at("17:30")
        yield stage


# --- a day that is the same in both ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["activity", "confirms"])
def test_a_day_that_went_as_the_ledger_says_agrees_to_the_cent_and_nothing_is_written(traded, kind):
    before = dump(traded)
    done = reconcile(traded, written(traded, kind))
    assert (done.code, done["differences"], done["unchecked"], done["supplied"]) == (0, [], [], []), done.out
    fills = traded.sql("SELECT count(*) AS n FROM executions WHERE superseded = 0")[0]["n"]
    agreed = done["agreed"]
    assert (agreed["trades"], agreed["executions"], agreed["commissions"]) == (1, fills, fills)
    assert done["statement"]["account"] == "SIM0000001"
    assert dump(traded) == before


def test_the_simulated_statements_own_lines_add_up_to_the_accounts_cash(traded):
    lines = re.findall(r'amount="([^"]+)" levelOfDetail="Currency"', traded.sim.control.statement())
    assert traded.cash() == pytest.approx(1_000_000 + sum(map(float, lines)), abs=1e-6)
    assert len(lines) > 2


def test_supplying_what_nothing_lacks_changes_nothing(traded):
    before = dump(traded, "system_state", "daily_summary")
    done = reconcile(traded, written(traded), "--supply", "--yes")
    assert (done.code, done["supplied"]) == (0, [])
    assert dump(traded, "system_state", "daily_summary") == before


def changed(file: Path, pattern: str, replacement: str) -> Path:
    """The statement with one of its executions changed."""
    lines = file.read_text(encoding="utf-8").splitlines()
    number = next(
        n for n, line in enumerate(lines) if 'transactionType="ExchTrade"' in line and '"EXECUTION"' in line
    )
    lines[number], count = re.subn(pattern, replacement, lines[number])
    assert count == 1
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r'ibCommission="-', 'ibCommission="-1', "the statement has"),
        (r'tradePrice="', 'tradePrice="9', "the statement has it"),
        (r'ibExecID="[0-9a-f]+\.', 'ibExecID="ffffffff.', "which the ledger does not have"),
        (r"<Trade [^\n]*/>", "", "the statement does not have execution"),
        (r'tradePrice="[^"]*"', 'tradePrice=""', "cannot be read: tradePrice is empty"),
        (r' quantity="[^"]*"', ' quantity="ten"', "cannot be read: quantity 'ten' is not a number"),
    ],
    ids=["commission", "price", "another execution", "an execution less", "no price", "no quantity"],
)
def test_a_figure_that_differs_is_named_and_needs_a_human(traded, pattern, replacement, said):
    before = dump(traded, "system_state")
    done = reconcile(traded, changed(written(traded), pattern, replacement))
    assert done.code == 6
    assert said in done.err
    (difference,) = [row["text"] for row in done["differences"] if said in row["text"]]
    if "cannot be read" in said:
        assert "by the ledger; the statement's row of execution " in difference
        assert not [text for text in done["unchecked"] if "cannot be read" in text], "it is told once"
    assert dump(traded, "system_state") == before


# --- what is no statement of this account ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (lambda text: text[: len(text) // 2], 2, "cut off"),
        (lambda text: "<html><body>Log in</body></html>", 2, "its root is <html>"),
        (lambda text: "", 2, "cut off"),
        (lambda text: "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + text, 2, "document type"),
        (lambda text: "<FlexStatementResponse><Status>Warn</Status><ErrorCode>1019</ErrorCode><ErrorMessage>Statement generation in progress.</ErrorMessage></FlexStatementResponse>", 2, "1019 Statement generation in progress"),
        (lambda text: text.replace("SIM0000001", "U1234567"), 5, "account SIM9999999, U1234567"),
    ],
    ids=["cut off", "a login page", "empty", "an entity", "an answer of the service", "another account"],
)  # fmt: skip
def test_what_is_no_statement_of_this_account_is_refused_in_one_line(traded, make, code, said):
    file = traded.folder / "other.xml"
    file.write_text(make(written(traded).read_text(encoding="utf-8")), encoding="utf-8")
    done = reconcile(traded, file)
    assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
    assert said in done.err
    assert "nothing was compared" in done.err.lower()


def test_a_file_that_cannot_be_read_is_wrong_use(traded):
    huge = traded.folder / "huge.xml"
    with huge.open("wb") as file:
        file.truncate(100_000_001)
    for path, said in (
        (traded.folder / "none.xml", "no file"),
        (traded.folder, "no file"),
        (huge, "larger than 100 MB"),
    ):
        done = reconcile(traded, path)
        assert (done.code, said in done.err, len(done.err.splitlines())) == (2, True, 1), done.err
    huge.unlink()


def test_the_words_of_the_command_ask_for_one_statement_and_for_consent(traded):
    assert traded.run("reconcile").code == 2
    assert traded.run("reconcile", "--statement", "a.xml", "--fetch").code == 2
    done = reconcile(traded, written(traded), "--supply")
    assert (done.code, "Add --yes" in done.err) == (2, True)


def test_at_a_terminal_supplying_asks_first(traded):
    file = written(traded)
    for answer, code in (("n\n", 2), ("y\n", 0)):
        main, side = pty.openpty()
        os.write(main, answer.encode())
        words = traded.command("reconcile", "--statement", str(file), "--supply", as_json=False)
        done = subprocess.run(
            words, stdin=side, capture_output=True, check=False, timeout=60, env=traded.environment()
        )
        os.close(main)
        os.close(side)
        assert done.returncode == code, done.stderr


def test_the_screen_says_what_agrees(traded):
    done = traded.run("reconcile", "--statement", str(written(traded)), as_json=False)
    assert done.code == 0
    assert "Ledger and statement agree." in done.out


# --- a trade that was lost from sight -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corrected", "references"),
    [(False, True), (True, True), (True, False)],
    ids=["as it was reported", "an execution corrected since", "and no references in the query"],
)
def test_a_trade_lost_from_sight_gets_its_executions_and_its_result_from_the_statement(
    tmp_path, corrected, references
):
    """Nothing ran after the entry: the fail-safe bought SPY back, SPX was settled in cash, and IB lists it no more."""
    with playing(tmp_path) as stage:
        if corrected:  # ten minutes later, when nobody listens
            bought = {"message": "execution", "symbol": "SPX"}
            stage.sim.control.script([fault("correction", when=bought, after=600, price_change=0.1)])
        enter(stage)
        next_morning(stage)
        lost = stage.run("monitor")
        assert lost.code == 6
        assert the_trade(stage)["state"] == "lost"
        for words in (["status"], ["status", "--offline"]):
            shown = stage.run(*words)
            (position,) = shown["positions"]
            assert (position["state"], position["may_be_held"]) == ("lost", False)
            assert (shown["status"]["open_positions"], shown["performance"]["active_positions"]) == (0, 0)
            assert (position["current_pnl"], shown["performance"]["unrealized_pnl"]) == (None, 0)
            assert "Trade 1 is not open any more: its calls are of" in " ".join(shown["notes"])
        day = str(the_trade(stage)["trade_date"])[:10]
        file = written(stage, since=day, until=day, references=references)
        before = dump(stage, "system_state")
        read = reconcile(stage, file)
        assert (read.code, dump(stage, "system_state")) == (6, before), "without --supply it only reads"
        assert "which the ledger does not have" in read.err

        done = reconcile(stage, file, "--supply", "--yes")
        assert (done.code, done["differences"]) == (0, []), done.err
        trade = the_trade(stage)
        replaced = stage.sql("SELECT exec_id FROM executions WHERE superseded = 1")
        assert len(replaced) == corrected, "the correction took the place of what the ledger had"
        assert (trade["state"], trade["status"], trade["provisional"]) == ("settled", "CLOSED", 0)
        cash_is_the_result(stage)
        sources = {
            (row["purpose"], row["source"])
            for row in stage.sql("SELECT purpose, source FROM executions WHERE superseded = 0")
        }
        assert ("f", "statement") in sources
        assert ("e", "api") in sources
        (summary,) = stage.sql("SELECT net_pnl, provisional FROM daily_summary WHERE date = ?", day)
        assert (summary["net_pnl"], summary["provisional"]) == (trade["final_pnl"], 0)
        (matter,) = stage.sql("SELECT * FROM matters WHERE key LIKE 'lost:%'")
        assert "statement" in matter["resolution"]
        again = reconcile(stage, file, "--supply", "--yes")
        assert (again.code, again["supplied"]) == (0, [])
        after = stage.run("monitor")
        assert (after.code, the_trade(stage)["state"]) == (0, "settled"), after.err


# --- settlements ------------------------------------------------------------------------------------------


@pytest.fixture
def worthless(tmp_path):
    """A spread whose calls all end worthless; no fail-safe rests at the broker."""
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        yield stage


def test_a_settlement_that_the_statement_confirms_is_final_by_it(worthless):
    stage = worthless
    stage.at("18:00")
    assert stage.run("settle")["provisional"] is True
    stage.at("19:00")
    file = written(stage)
    assert reconcile(stage, file).code == 0
    assert the_trade(stage)["state"] == "provisional", "reading makes nothing final"
    done = reconcile(stage, file, "--supply", "--yes")
    assert done.code == 0, done.err
    assert the_trade(stage)["state"] == "settled"
    assert [row["provisional"] for row in stage.sql("SELECT provisional FROM settlements")] == [0, 0]
    stages = stage.sql("SELECT difference FROM settlement_stages WHERE stage = 'statement'")
    assert [row["difference"] or 0 for row in stages] == [0, 0]
    cash_is_the_result(stage)


def test_shares_that_nobody_could_know_of_are_none_by_the_statement(worthless):
    """Nobody settled on the day, so that evening's shares are not known; the statement shows no assignment."""
    stage = worthless
    day = str(stage.day)
    next_morning(stage)
    assert "compare with the statement" in stage.run("monitor").err
    done = reconcile(stage, written(stage, since=day, until=day), "--supply", "--yes")
    assert done.code == 0, done.err
    after = stage.run("monitor")
    assert (after.code, the_trade(stage)["state"]) == (0, "settled"), after.err


def test_an_assignment_is_named_and_stays_a_matter_for_a_human(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False)
        enter(stage)
        stage.at("16:05")
        assert stage.run("settle").code == 6
        day = str(stage.day)
        next_morning(stage, 5, 0)
        file = written(stage, since=day, until=day)
        for words in ((), ("--supply", "--yes"), ()):
            done = reconcile(stage, file, *words)
            assert done.code == 6
            assert "10 of the -10 SPY calls" in done.err
            assert "sold 1000 shares" in done.err
        stage.at("09:40")
        assert stage.run("monitor").code == 6


def test_a_position_of_the_owner_in_the_same_contracts_is_no_difference(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        ids = [row["con_id"] for row in stage.sql("SELECT DISTINCT con_id FROM executions")]
        stage.sim.control.script([fault("foreign_fill", con_id=ids[0], side="BUY", quantity=3)])
        stage.sim.control.advance(1)
        stage.sim.control.script()
        stage.at("15:45")
        stage.run("monitor")
        stage.at("17:30")
        done = reconcile(stage, written(stage))
        assert (done["differences"], done["agreed"]["trades"]) == ([], 1), done.err


# --- what its human traded of a trade that was handed over ----------------------------------------------


def by_hand(stage: Stage, leg: str, side: str, quantity: int) -> None:
    (row,) = stage.sql("SELECT DISTINCT con_id FROM orders WHERE leg = ?", leg)
    stage.sim.control.script([fault("foreign_fill", con_id=row["con_id"], side=side, quantity=quantity)])
    stage.sim.control.script()
    stage.sim.control.advance(1)


@pytest.mark.parametrize("seen", [True, False], ids=["seen by a command", "while no command ran"])
def test_what_he_closed_by_hand_is_the_exit_to_the_cent_whether_or_not_a_command_saw_it(tmp_path, seen):
    with playing(tmp_path) as stage:
        enter(stage)
        stage.at("12:00")
        assert stage.run("hand-over", "1").code == 0
        by_hand(stage, "SPY", "BUY", 10)
        by_hand(stage, "SPX", "SELL", 1)
        day = str(stage.day)
        if seen:
            assert stage.run("monitor").code == 0
        next_morning(stage)
        assert stage.run("settle", "--date", day).code == (0 if seen else 6)
        file = written(stage, since=day, until=day)
        read = reconcile(stage, file)
        assert (read.code, len(read["differences"])) == ((0, 0) if seen else (6, 2)), read.err
        done = reconcile(stage, file, "--supply", "--yes")
        assert (done.code, done["differences"]) == (0, []), done.err
        assert done["agreed"]["executions"] == done["agreed"]["commissions"] == 4
        trade = the_trade(stage)
        assert (trade["state"], trade["exit_reason"], trade["provisional"]) == ("closed", "HANDED_OVER", 0)
        cash_is_the_result(stage)
        rows = stage.sql("SELECT source FROM executions WHERE purpose = 'h' AND superseded = 0")
        assert [row["source"] for row in rows] == ["api" if seen else "statement"] * 2
        assert stage.sql("SELECT * FROM matters WHERE resolved_at IS NULL AND key LIKE 'shares:%'") == []
        again = reconcile(stage, file, "--supply", "--yes")
        assert (again.code, again["supplied"]) == (0, [])


def test_an_execution_supplied_under_a_shorter_id_is_not_counted_again_when_the_api_lists_it(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        enter(stage)
        stage.at("12:00")
        late = fault("late_executions", seconds=604800, lasts="always")
        stage.sim.control.script([late, fault("withhold", messages=["execution"], lasts="always")])
        assert stage.run("close-all", "--yes", timeout=150).code == 6
        stage.sim.control.advance(1800)
        file = written(stage, "confirms")
        file.write_text(re.sub(r'(xecID="[0-9a-f.]+?)\.01"', r'\1"', file.read_text(encoding="utf-8")))
        assert len(reconcile(stage, file, "--supply", "--yes")["supplied"]) == 1
        stage.sim.control.script()
        done = stage.run("monitor", timeout=150)
        assert (done.code, the_trade(stage)["state"]) == (0, "closed"), done.err
        cash_is_the_result(stage)
        stood = stage.sql("SELECT exec_id FROM executions WHERE source = 'statement' AND superseded = 0")
        assert stood == []
