"""From paper to live with the real commands: what opens the gate, what it stops, and what it never stops."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import check_of, failed, lonely, playing
from paper_evidence import keep, paper_ledger
from relay import free_port

from spxarb.core.gateway_claims import Sighting
from spxarb.core.live_facts import HOW
from spxarb.core.model import NEW_YORK
from spxarb.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Done, Stage

ACCOUNT = "U1234567"
CLOCK = Path(__file__).with_name("clock")
QUICK = {"second_look_seconds": 0.3}


def write(stage: Stage, *, account: str = ACCOUNT, mode: str = "live", **sections: dict[str, Any]) -> None:
    """The configuration of a live account whose paper ledger is beside its own."""
    live = {"paper_ledger": str(stage.folder / "paper.db"), **sections.pop("live", {})}
    trading = {"mode": mode, **sections.pop("trading", {})}
    execution = {"connect_timeout_seconds": 0.4, **sections.pop("execution", {})}
    stage.write_config(
        ib={"account": account}, live=live, trading=trading, execution=execution, prices=QUICK, **sections
    )


@pytest.fixture
def desk(tmp_path) -> Stage:
    """A live configuration without a gateway."""
    stage = lonely(tmp_path, free_port(), "live")
    write(stage)
    return stage


@pytest.fixture(scope="session")
def whole_ledger(tmp_path_factory) -> Path:
    """All of the evidence; made once, and copied."""
    stage = lonely(tmp_path_factory.mktemp("whole"), free_port(), "live")
    write(stage)
    return paper_ledger(stage.folder / "paper.db", stage.config, winners=50)


@pytest.fixture
def whole(whole_ledger) -> Callable[..., Path]:
    """Puts all of the evidence into a stage's folder, and what statements of SQL make of it."""

    def put(stage: Stage, *changes: str, path: Path | None = None) -> Path:
        path = path or stage.folder / "paper.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole_ledger, path)
        with closing(sqlite3.connect(path)) as db, db:
            for change in changes:
                db.execute(change)
        return path

    return put


def evidence(stage: Stage, **more: Any) -> Path:
    """A ledger with so much of the evidence."""
    path = stage.folder / "paper.db"
    path.unlink(missing_ok=True)
    return paper_ledger(path, stage.config, **more)


def a_run(day: str, command: str, code: int) -> str:
    """Another run of that day."""
    return (
        "INSERT INTO runs (command, arguments, started_at, exit_code, pid, version, machine) "
        f"SELECT '{command}', '[]', '{day}T13:00:00-05:00', {code}, 1, version, machine FROM runs LIMIT 1"
    )


def gate_of(stage: Stage) -> dict[str, Any]:
    done = stage.run("status", "--offline")
    assert done.code == 0, done.err
    return done["going_live"]


def lines(done: Done) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in done["checks"] if line["name"].startswith("live_")}


# --- what is missing --------------------------------------------------------------------------------------


ALONE = {
    "9 of 10 days on paper": "DELETE FROM runs WHERE command = 'settle' AND started_at LIKE '2026-01-08%'",
    "3 of 10 days on paper": a_run("2026-01-13", "monitor", 6),
    "0 of 10 days on paper": a_run("2026-01-16", "reconcile", 1),
    "1 fact not seen": "DELETE FROM gateway_facts WHERE name = 'commission'",
    "1 fact contradicted": "UPDATE gateway_facts SET evidence = 'contradicted' WHERE name = 'acknowledged'",
    "too few trades to tell": "UPDATE trades SET limits = '{}'",
    "claims refuted": "UPDATE trades SET final_pnl = -1100",
    "no usable paper ledger": "UPDATE meta SET value = 'U7654321' WHERE key = 'account'",
}


def test_it_is_open_when_every_item_is_there_and_shut_when_one_alone_is_not(desk, whole):
    whole(desk)
    assert gate_of(desk) == {"state": "open", "text": "10 days on paper"}
    for told, change in ALONE.items():
        whole(desk, change)
        found = gate_of(desk)
        assert found == {"state": "shut", "text": told}
    write(desk, live={"paper_days": 12})
    whole(desk)
    assert gate_of(desk)["text"] == "10 of 12 days on paper"


def test_a_paper_ledger_that_cannot_be_used_is_something_missing_and_no_failure(desk):
    path = desk.folder / "paper.db"
    for name, make in {
        "missing": lambda: None,
        "garbage": lambda: path.write_bytes(b"nothing" * 1000),
        "empty": lambda: path.write_bytes(b""),
        "a folder": path.mkdir,
        "of mode sim": lambda: Ledger.open(path, mode="sim").close(),
        "never connected": lambda: Ledger.open(path, mode="paper").close(),
        "another program's": lambda: of_another_program(path),
    }.items():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        make()
        found = gate_of(desk)
        assert found == {"state": "shut", "text": "no usable paper ledger"}, name


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE meta (key, value)")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE runs SET machine = 'another'", "no usable paper ledger"),
        ("UPDATE runs SET version = '0.0.9'", "0 of 10 days on paper"),
        ("UPDATE trades SET final_pnl = 'much' WHERE id = 1", "no usable paper ledger"),
        ("UPDATE gateway_facts SET evidence = 'perhaps'", "no usable paper ledger"),
        ("UPDATE runs SET started_at = 'once', market_time = NULL WHERE id = 1", "9 of 10 days on paper"),
    ],
)
def test_evidence_of_another_machine_or_version_or_that_cannot_be_read_is_missing(desk, whole, change, told):
    whole(desk, change)
    assert gate_of(desk) == {"state": "shut", "text": told}


def test_the_paper_ledger_of_the_same_state_folder_is_found_by_itself(desk, whole):
    write(desk, live={"paper_ledger": None})
    where = {"STATE_DIRECTORY": str(desk.folder / "state")}
    assert desk.run("status", "--offline", env=where)["going_live"]["state"] == "shut"
    whole(desk, path=desk.folder / "state" / "paper" / "trading.db")
    assert desk.run("status", "--offline", env=where)["going_live"]["state"] == "open"


def test_paper_days_are_never_fewer_than_ten_and_live_must_name_its_account(desk):
    write(desk, live={"paper_days": 9})
    done = desk.run("status", "--offline")
    assert (done.code, "live.paper_days" in done["error"]) == (3, True)
    desk.write_config(trading={"mode": "live"})
    assert "ib.account" in desk.run("status", "--offline")["error"]


# --- what is told -----------------------------------------------------------------------------------------


def test_doctor_shows_each_missing_item_with_how_to_get_it_and_the_advice_beside_the_figures(desk):
    evidence(desk, days=3, without=["no_bid", "commission"], winners=2, losers=1)
    done = desk.run("doctor")
    told = lines(done)
    assert [name for name, line in told.items() if line["ok"] is False] == [
        "live_paper_days", "live_win_rate", "live_average_profit", "live_facts",
    ]  # fmt: skip
    assert "3 of 10 trading days" in told["live_paper_days"]["message"]
    assert "7 more trading days" in told["live_paper_days"]["mend"]
    assert "measured 67 % in 3 trades" in told["live_win_rate"]["message"]
    assert "live.accept_too_few_trades" in told["live_win_rate"]["mend"]
    assert f"{len(HOW) - 2} of the {len(HOW)} facts" in told["live_facts"]["message"]
    for name, how in (("no_bid", "the last ten minutes"), ("commission", "SPXARB_WIRE_FOLDER")):
        assert name in told["live_facts"]["mend"]
        assert how in told["live_facts"]["mend"]
    assert (told["live_account"]["ok"], told["live_paper_ledger"]["ok"]) == (True, True)
    live = done["going_live"]
    missing = {one["name"]: one["how"] for one in live["requirements"] if one["standing"] != "met"}
    assert sorted(missing) == ["average_profit", "commission", "no_bid", "paper_days", "win_rate"]
    assert all(missing.values())
    advice = {one["name"]: (one["advised"], one["measured"], one["followed"]) for one in live["advice"]}
    assert advice == {
        "time_on_paper": ("2 to 4 weeks", "3 trading days", False),
        "win_rate": ("85 % or more", "67 % in 3: too few to tell", None),
        "average_profit": ("$500.00 or more", advice["average_profit"][1], None),
        "capital": ("$50,000.00 or more", None, None),
        "spreads_a_day": ("one at first", "2 by its default", False),
    }
    shown = " ".join(desk.run("doctor", as_json=False).out.split())
    assert "Live is shut: 3 of 10 days on paper" in shown
    assert "the document advises" in shown


def test_on_paper_doctor_tells_the_way_to_live_and_nothing_fails_by_it(desk):
    write(desk, mode="paper", account="DU1234567", storage={"database": str(desk.folder / "paper.db")})
    evidence(desk, days=3)
    told = lines(desk.run("doctor"))
    assert [name for name, line in told.items() if line["verdict"] == "failed"] == []
    assert (told["live_paper_days"]["verdict"], told["live_facts"]["verdict"]) == ("warning", "passed")
    assert "live_account" not in told
    assert gate_of(desk) == {"state": None, "text": None}


def test_status_tells_in_one_line_whether_it_is_open_or_shut(desk, whole):
    whole(desk, ALONE["3 of 10 days on paper"])
    for width in ("80", "120"):
        shown = desk.run("status", "--offline", as_json=False, env={"COLUMNS": width}).out
        (line,) = [line for line in shown.splitlines() if line.startswith("live")]
        assert line.split(maxsplit=2) == ["live", "SHUT", "3 of 10 days on paper"]
    whole(desk)
    shown = desk.run("status", "--offline", as_json=False).out
    assert "OPEN" in next(line for line in shown.splitlines() if line.startswith("live"))


def test_without_a_gateway_a_dry_run_tells_the_gate(desk):
    done = desk.run("enter", "--dry-run")
    check = check_of(done, "going_live")
    assert (done.code, check["ok"], check["value"][:2], check["limit"]) == (
        4, False, ["paper_ledger", "paper_days"], [],
    )  # fmt: skip


# --- facts ------------------------------------------------------------------------------------------------


def test_a_day_on_paper_counts_its_facts_at_any_credit_and_its_trades_under_live_limits_alone(tmp_path):
    """The real commands leave what the gate reads."""
    with playing(tmp_path, account="DU1234567", at="09:40") as stage:
        wires, ledger = stage.folder / "wires", stage.folder / "paper.db"
        on_paper = {"mode": "paper", "account": "DU1234567", "storage": {"database": str(ledger)}}
        slowly = {"connect_timeout_seconds": 5}
        write(stage, **on_paper, trading={"min_entry_credit": -200}, execution=slowly)
        stage.sim.control.speed(1)
        env = {"SPXARB_WIRE_FOLDER": str(wires)}
        assert run(stage, "enter", env=env)["outcome"] == "entered"
        stage.at("15:45")
        assert run(stage, "monitor", env=env)["positions"][0]["action"] == "closed"
        stage.at("16:05")
        assert run(stage, "settle", env=env).code == 0
    done = stage.run("doctor", "--facts", str(wires))
    assert f"Kept for going live in {ledger}: " in done["notes"][-1]
    seen = {fact["name"] for fact in done["facts"] if fact["evidence"] == "seen"}
    assert seen >= {"server_version", "acknowledged", "execution_reference", "commission", "good_after_form"}
    again = stage.run("doctor")  # still on paper: under its own limits the trade counts
    assert f"{len(seen & HOW.keys())} of the {len(HOW)} facts" in lines(again)["live_facts"]["message"]
    assert lines(again)["live_paper_days"]["message"].startswith("1 of 10 trading days")
    assert "in 1 trade under these limits" in lines(again)["live_win_rate"]["message"]
    write(stage, storage={"database": str(stage.folder / "live.db")})
    live = stage.run("doctor")
    assert "in 0 trades under these limits" in lines(live)["live_win_rate"]["message"]
    for same in ("live_facts", "live_paper_days"):
        assert lines(live)[same]["message"] == lines(again)[same]["message"]
    before = ledger.read_bytes()
    for file in wires.iterdir():
        file.write_text(file.read_text().replace('"mode": "paper"', '"mode": "sim"', 1))
    done = stage.run("doctor", "--facts", str(wires))
    assert done["notes"][-1].startswith("Nothing was kept for going live: this is a recording of mode sim")
    assert ledger.read_bytes() == before


def test_where_no_paper_ledger_is_none_is_made(desk, tmp_path):
    file = tmp_path / "wire.jsonl"
    head = '{"format": 1, "started": "2026-01-05T09:40:00-05:00", "program": "0.1.0", "mode": "paper"}\n'
    file.write_text(
        head + '{"t": 0, "connection": 1, "dir": "in", "name": "greeting", "fields": ["176", "x"]}\n'
    )
    done = desk.run("doctor", "--facts", str(file))
    assert (done.code, "there is no paper ledger at" in done["notes"][-1]) == (0, True)
    assert not (desk.folder / "paper.db").exists()


def test_a_contradiction_stays_until_another_version_bears_the_fact_out(desk, whole):
    path = whole(desk, "UPDATE gateway_facts SET evidence = 'contradicted' WHERE name = 'commission'")
    with Ledger.open(path, mode="paper") as ledger:
        keep(ledger, ["commission"], Sighting.SEEN, on="2026-01-06T09:40:00-05:00")
    assert gate_of(desk)["text"] == "1 fact contradicted"
    with Ledger.open(path, mode="paper") as ledger:
        keep(ledger, ["commission"], Sighting.SEEN, on="2026-01-06T09:40:00-05:00", server_version=178)
    assert gate_of(desk)["state"] == "open"


# --- a live day -------------------------------------------------------------------------------------------


def run(stage: Stage, *words: str, env: dict[str, str] | None = None, **more: Any) -> Done:
    """A command on a machine whose clock shows the gateway's time."""
    ahead = (stage.sim.control.time() - datetime.now(NEW_YORK)).total_seconds()
    clock = {"PYTHONPATH": str(CLOCK), "MACHINE_CLOCK_AHEAD": f"{ahead:.3f}"}
    return stage.run(*words, env={**clock, **(env or {})}, **more)


@contextmanager
def live_day(folder: Path, at: str = "09:40") -> Iterator[Stage]:
    with playing(folder, account=ACCOUNT, at=at) as stage:
        write(stage, execution={"connect_timeout_seconds": 5})
        stage.sim.control.speed(1)
        yield stage


def log_of(stage: Stage) -> str:
    return stage.folder.joinpath("trading.log").read_text()


def test_a_shut_gate_stops_the_entry_alone_and_an_open_one_lets_it_through(tmp_path):
    with live_day(tmp_path) as stage:
        assert run(stage, "start").code == 0
        shut = run(stage, "enter")
        assert (shut.code, shut["outcome"], shut["would"], failed(shut)) == (
            0,
            "skipped",
            "skip",
            ["going_live"],
        )
        dry = run(stage, "enter", "--dry-run")
        assert (dry.code, dry["would"], failed(dry)) == (0, "skip", ["going_live"])
        assert dry["prices"]["spx"] is not None, "it looks at everything all the same"
        assert dry["credit"]["net"] is not None
        assert stage.sim.control.book()["orders"] == []
        evidence(stage)  # without trades
        assert check_of(run(stage, "enter"), "going_live")["value"] == ["win_rate", "average_profit"]
        assert stage.sim.control.book()["orders"] == []
        write(stage, execution={"connect_timeout_seconds": 5}, live={"accept_too_few_trades": True})
        entered = run(stage, "enter")
        assert (entered.code, entered["outcome"], failed(entered)) == (0, "entered", []), entered.out
        told = f"accepted by live.accept_too_few_trades in {stage.config} (line "
        assert any(told in note for note in entered["notes"])
        assert told in log_of(stage)
        (row,) = stage.sql("SELECT payload FROM decisions WHERE outcome = 'entered'")
        assert told in row["payload"]
        warned = "trading.max_spreads_per_day is 2 by its default, and one spread a day at first is advised."
        assert any(warned in note for note in entered["notes"])
        assert warned in log_of(stage)
        shutil.rmtree(stage.folder / "backups", ignore_errors=True)
        (stage.folder / "paper.db").write_bytes(b"nothing" * 1000)  # from here on the gate is shut again
        again = run(stage, "enter")
        assert (again.code, failed(again)) == (0, ["going_live"])
        held = run(stage, "monitor")
        assert (held.code, held["positions"][0]["action"]) == (0, "held")
        stage.at("15:45")
        left = run(stage, "monitor")
        assert (left.code, left["positions"][0]["action"]) == (0, "closed")
        assert run(stage, "close-all", "--yes")["flat"] is True
        stage.at("16:05")
        assert run(stage, "settle").code == 0


def test_a_refuted_claim_stops_the_entry_also_with_the_setting_and_close_all_goes_on(tmp_path):
    with live_day(tmp_path) as stage:
        write(
            stage,
            execution={"connect_timeout_seconds": 5},
            live={"accept_too_few_trades": True},
            trading={"max_spreads_per_day": 1},
        )
        evidence(stage, losers=10)
        run(stage, "start")
        done = run(stage, "enter")
        assert (done["outcome"], failed(done)) == ("skipped", ["going_live"])
        assert "refuted: win_rate" in check_of(done, "going_live")["message"]
        assert not any("one spread a day" in note for note in done["notes"])
        done = run(stage, "close-all", "--yes")
        assert (done.code, done["flat"]) == (0, True)
