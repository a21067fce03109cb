"""`record` as a process: what it writes is played back as it was, whatever happens on the way."""

import csv
import gzip
import io
import signal
import stat
import time
from contextlib import contextmanager
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from harness import Stage, read_object

from spxarb.sim.control import RunningSim
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, option

NEW_YORK = ZoneInfo("America/New_York")
DAY = "2026-02-10"
CLASSES = {"SPX": "SPXW", "SPY": "SPY"}


@pytest.fixture
def stage(tmp_path):
    """A gateway at 09:35 of a synthetic day whose clock stands still, and a configuration."""
    with RunningSim(date=DAY, regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path, sim)
        made.write_config()
        yield made


def rows_of(path):
    """The rows of a recording as it is on the disk, header checked."""
    raw = path.read_bytes() if path.exists() else b""
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text)))


def con_id(row):
    if row["kind"] == "und":
        return {"SPX": SPX_ID, "SPY": SPY_ID}[row["symbol"]]
    day = date.fromisoformat(row["expiry"])
    return option(CLASSES[row["symbol"]], day, float(row["strike"]), row["right"]).con_id


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def reached(path, moment):
    """Whether a row of this moment is on the disk."""
    return any(datetime.fromisoformat(row["t"]) == moment for row in rows_of(path))


@contextmanager
def recording(stage, path, *words, strikes=2):
    """The recorder at work, from its first rows on; the test ends it."""
    process = stage.start("record", "--output", str(path), "--strikes", str(strikes), *words)
    try:
        before = len(rows_of(path))
        until(lambda: len(rows_of(path)) > before or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process, number=signal.SIGINT):
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    return read_object(out)


@pytest.mark.parametrize("name", ["day.csv", "day.csv.gz"])
def test_a_recorded_day_is_played_back_with_the_quotes_that_were_there(stage, name):
    path, truth = stage.folder / name, {}
    with recording(stage, path) as process:
        lines = {con_id(row) for row in rows_of(path)}
        for minute in range(5):
            moment = stage.at(f"09:{35 + minute}")
            until(lambda now=moment: reached(path, now))
            for line in lines:
                quote = stage.sim.control.quote(line)
                truth[moment, line] = [quote["bid"], quote["ask"], quote["last"]]
        told = end(process)
    assert (told["ended_by"], told["lines"], told["rows"]) == ("interrupted", 22, len(rows_of(path)))
    assert (told["left_out"], told["reconnects"], stat.S_IMODE(path.stat().st_mode)) == (0, 0, 0o600)
    assert len(lines) == 22
    assert {row["src"] for row in rows_of(path)} == {"sim"}
    with RunningSim(day=path, at="09:35", speed=0) as replay:
        for (moment, line), prices in truth.items():
            replay.control.set_time(max(moment, replay.control.time()))
            quote = replay.control.quote(line)
            assert [quote["bid"], quote["ask"], quote["last"]] == prices, (moment, line)


def test_a_line_is_written_once_a_minute_and_only_when_it_changed(stage):
    path = stage.folder / "day.csv"
    with recording(stage, path) as process:
        for second in (10, 20, 30, 40, 50):
            stage.at(f"09:35:{second}")
        stage.at("09:36")
        until(lambda: reached(path, stage.sim.control.time()))
        assert {row["t"][11:19] for row in rows_of(path)} == {"09:35:00", "09:36:00"}
        end(process)
    seen = {}
    for row in rows_of(path):
        line = con_id(row)
        assert seen.get(line) != (row["bid"], row["ask"], row["last"])
        seen[line] = row["bid"], row["ask"], row["last"]


def test_a_kill_loses_at_most_the_last_minute_and_the_file_is_gone_on_with(stage):
    path = stage.folder / "day.csv.gz"
    with recording(stage, path) as process:
        moment = stage.at("09:36")
        until(lambda: reached(path, moment))
        process.kill()
        process.wait()
    kept = rows_of(path)
    with recording(stage, path) as process:
        moment = stage.at("09:38")
        until(lambda: reached(path, moment))
        end(process, signal.SIGTERM)
    assert rows_of(path)[: len(kept)] == kept
    with RunningSim(day=path, at="09:38", speed=0) as replay:
        assert replay.control.quote(SPX_ID)["last"] == stage.sim.control.quote(SPX_ID)["last"]


def test_a_lost_link_is_made_anew_and_the_recording_goes_on(stage):
    path = stage.folder / "day.csv"
    with recording(stage, path) as process:
        assert stage.sim.control.ask("drop", client_id=3)["connections"] == 1
        until(
            lambda: stage.sim.control.ask("say", client_id=3, fields=[4, 2, -1, 2104, "here", ""])[
                "connections"
            ]
        )
        moment = stage.at("09:37")
        until(lambda: reached(path, moment))
        told = end(process)
    assert told["reconnects"] == 1
    assert any("made anew" in note for note in told["notes"])


def test_a_gateway_that_stays_away_ends_it_with_4_and_what_there_is_stays(stage):
    path = stage.folder / "day.csv"
    with recording(stage, path, "--reconnect", "1") as process:
        stage.sim.control.stop()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, read_object(out)["ended_by"], err.count("\n")) == (4, "gateway", 1)
    assert "is in" in err
    assert read_object(out)["rows"] == len(rows_of(path)) > 0


def test_it_waits_for_the_open_and_ends_by_itself_at_the_close(tmp_path):
    with RunningSim(date=DAY, at="09:20", speed=0) as sim:
        stage, path = Stage(tmp_path, sim), tmp_path / "day.csv"
        stage.write_config()
        process = stage.start("record", "--output", str(path), "--strikes", "1")
        try:
            until(
                lambda: sim.control.ask("say", client_id=3, fields=[4, 2, -1, 2104, "here", ""])[
                    "connections"
                ]
            )
            for clock in ("09:29", "09:31"):
                moment = stage.at(clock)
            until(lambda: reached(path, moment))
            stage.at("16:00:01")
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert (process.returncode, err, read_object(out)["ended_by"]) == (0, "", "close")
        assert min(row["t"][11:16] for row in rows_of(path)) == "09:31"
        done = stage.run("record", "--output", str(tmp_path / "late.csv"))
        assert (done.code, (tmp_path / "late.csv").exists()) == (5, False)


def test_it_ends_at_its_time_and_after_its_seconds(stage):
    path = stage.folder / "day.csv"
    with recording(stage, path, "--until", "09:40") as process:
        stage.at("09:40")
        out, _ = process.communicate(timeout=20)
        assert (process.returncode, read_object(out)["ended_by"]) == (0, "time")
    done = stage.run(
        "record", "--output", str(stage.folder / "short.csv"), "--seconds", "1", "--strikes", "1"
    )
    assert (done.code, done["ended_by"], done["rows"]) == (0, "time", 14)


def test_strikes_beyond_the_market_data_lines_are_left_out_and_named(stage):
    done = stage.run("record", "--output", str(stage.folder / "day.csv"), "--seconds", "1", "--strikes", "12")
    assert (done.code, done["lines"], done["left_out"]) == (0, 90, 12)
    (note,) = (note for note in done["notes"] if note.startswith("left out"))
    assert ("SPXW" in note, "SPY" in note) == (True, True)


def test_it_orders_nothing_and_disturbs_no_other_job(stage):
    path = stage.folder / "day.csv"
    with recording(stage, path) as process:
        assert stage.run("status")["account"]["net_liquidation"] is not None
        assert stage.run("enter").code in {0, 5}
        orders = len(stage.sim.control.book()["orders"])
        stage.at("09:36")
        end(process)
    assert len(stage.sim.control.book()["orders"]) == orders


@pytest.mark.parametrize(
    "words", [["--output", "day.txt"], ["--output", "nowhere/day.csv"], ["--output", "a.csv", "--every", "0"]]
)
def test_what_cannot_be_is_refused_with_2(stage, words):
    assert stage.run("record", *words).code == 2


def test_a_file_that_is_something_else_is_not_overwritten(stage):
    path = stage.folder / "mine.csv"
    path.write_text("my,own\n")
    assert stage.run("record", "--output", str(path)).code == 5
    assert path.read_text() == "my,own\n"


def test_on_a_paper_account_it_samples_by_the_clock_without_being_woken(tmp_path):
    with RunningSim(date=DAY, regime="rich-spy", at="09:35:30", speed=1, account="DU1234567") as sim:
        stage, path = Stage(tmp_path, sim), tmp_path / "day.csv"
        stage.write_config(trading={"mode": "paper"})
        words = ["--every", "2", "--seconds", "9", "--strikes", "1"]
        done = stage.run("record", "--output", str(path), *words)
    assert (done.code, done["ended_by"]) == (0, "time")
    moments = sorted({datetime.fromisoformat(row["t"]) for row in rows_of(path)})
    assert 3 <= len(moments) <= 6
    assert {row["src"] for row in rows_of(path)} == {"ib"}
