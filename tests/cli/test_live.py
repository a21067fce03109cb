"""The screen that is drawn again and again: it survives trouble, and ends when nobody reads it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from spxarb.cli import live
from spxarb.cli.charts import pnl_chart
from spxarb.core.model import NEW_YORK
from spxarb.core.results.status import PnlPoint, RiskResult, StatusResult
from spxarb.core.risk import StressRow

AT = datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)


def look(**fields: object) -> StatusResult:
    return StatusResult("status", AT, "paper", **fields)


def looks(*results: StatusResult):
    """Each result in turn, then Ctrl-C."""
    given = iter(results)

    def once() -> tuple[StatusResult, float]:
        try:
            return next(given), 0.0
        except StopIteration:
            raise KeyboardInterrupt from None

    return once


def test_a_watch_draws_until_it_is_interrupted_and_ends_well(capsys):
    frames = look(notes=("one",)), look(exit_code=4, error="the gateway is gone"), look(notes=("three",))
    assert live.watch(looks(*frames)) == 0
    out, err = capsys.readouterr()
    assert out.index("one") < out.index("the gateway is gone") < out.index("three")
    assert err == ""


@pytest.mark.parametrize("code", [4, 6])
def test_a_gateway_that_is_not_there_yet_and_a_matter_for_a_human_end_no_watch(capsys, code):
    assert live.watch(looks(look(exit_code=code, error="what is wrong"), look(notes=("later",)))) == 0
    out, err = capsys.readouterr()
    assert out.index("what is wrong") < out.index("System Status") < out.index("later")
    assert err == ""


def test_a_watch_that_cannot_begin_fails_as_the_command_would(capsys):
    assert live.watch(lambda: (look(exit_code=3, error="no such key"), 0.0)) == 3
    assert capsys.readouterr() == ("", "spxarb status: no such key\n")


WATCH = """
from datetime import datetime
from spxarb.core.model import NEW_YORK
from spxarb.core.results.status import MarketResult, StatusResult
from spxarb.cli import live
from spxarb import interruption
made = StatusResult("status", datetime.now(NEW_YORK), "paper", market=MarketResult(spx_price=6797.4))
with interruption.handled():
    raise SystemExit(live.watch(lambda: (made, 30.0)))
"""


@pytest.fixture
def on_terminal():
    """A watch on a terminal of its own that has drawn its first frame: the process, the terminal, what came."""
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", WATCH], stdout=slave, stderr=slave, env=os.environ | {"TERM": "xterm"}
    )
    os.close(slave)
    seen = b""
    while b"6,797.40" not in seen:
        seen += os.read(master, 4096)
    yield running, master, seen
    with suppress(OSError):
        os.close(master)
    running.kill()
    running.wait()


def test_a_watch_on_a_terminal_leaves_the_last_screen_behind(on_terminal):
    running, master, seen = on_terminal
    running.send_signal(signal.SIGINT)
    with suppress(OSError):  # how a terminal says that its last program is gone
        while more := os.read(master, 4096):
            seen += more
    assert running.wait(timeout=60) == 0
    alternate, _, after = seen.rpartition(b"\x1b[?1049l")
    assert b"6,797.40" in alternate
    assert b"6,797.40" in after
    assert b"Traceback" not in seen


@pytest.mark.parametrize("signal_too", [True, False])
def test_a_watch_whose_terminal_is_closed_ends(on_terminal, signal_too):
    running, master, _ = on_terminal
    os.close(master)
    if signal_too:
        running.send_signal(signal.SIGHUP)
    assert running.wait(timeout=20) == 0


def test_a_watch_whose_reader_leaves_ends_without_a_word():
    running = subprocess.Popen(
        [sys.executable, "-c", WATCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stderr is not None
    while "6,797.40" not in running.stdout.readline():
        pass
    running.stdout.close()
    assert running.wait(timeout=20) == 0
    assert running.stderr.read() == ""
    running.stderr.close()


def points(*values: str) -> list[PnlPoint]:
    return [PnlPoint(AT + timedelta(minutes=5 * n), Decimal(value)) for n, value in enumerate(values)]


@pytest.mark.parametrize("width", [80, 120])
def test_the_line_of_the_day_has_its_least_its_greatest_and_its_times(width):
    drawn = pnl_chart(points("-1041.50", "0", "1408.19"), width, 10)
    assert len(drawn) == 10
    assert max(map(len, drawn)) <= width
    text = "\n".join(drawn)
    for told in ("P&L today", "-$1,041.50", "$0.00", "$1,408.19", "09:41", "09:51"):
        assert told in text


def test_nothing_is_drawn_of_a_single_mark_or_where_there_is_no_room():
    assert pnl_chart(points("10"), 80, 20) == []
    assert pnl_chart(points("10", "20"), 80, 5) == []


def test_a_day_on_which_nothing_moved_is_a_line_all_the_same():
    assert len(pnl_chart(points("0", "0"), 80, 8)) == 8


def test_the_tables_of_risk_stand_below_the_frame(capsys):
    row = StressRow(
        Decimal(-1), Decimal(6700), Decimal(668), Decimal(-10), Decimal(-20), Decimal(-30), Decimal(5)
    )
    assert live.watch(looks(look(risk=RiskResult((), (row,))))) == 0
    out, _ = capsys.readouterr()
    assert out.index("Recent Trades") < out.index("P&L of all that is open") < out.index("-20.00")
