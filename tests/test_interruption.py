"""Signals: whatever they break off, the command ends by the signal and not by what that left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from spxarb import interruption
from spxarb.cli import calls
from spxarb.cli.calls import Call, confirm, interruptible
from spxarb.errors import HumanNeededError

STORM = """
import json, signal
from spxarb import interruption, logs

found = {}

def once(number):
    interruption.begin()
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + (number % 400) * 1e-6)
        logs.write_to_stderr("x")
    finally:
        interruption.end()

signal.signal(signal.SIGALRM, interruption._on_signal)
for number in range(20_000):
    try:
        once(number)
    except interruption.Interrupted:
        found["signal"] = found.get("signal", 0) + 1
    except Exception as error:
        found[repr(error)] = found.get(repr(error), 0) + 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps(found))
"""


def test_a_signal_amid_the_writing_to_stderr_is_that_signal_and_no_bug():
    done = subprocess.run([sys.executable, "-c", STORM], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout).keys() == {"signal"}


def half_taken(*_, **__):
    """As a signal in the library's own lock ends: what releases it finds that it was never taken."""
    lock = threading.Lock()
    try:
        raise interruption.Interrupted(15)
    finally:
        lock.release()


def alarm(*_):
    try:
        raise interruption.Interrupted(15)
    finally:
        raise HumanNeededError("one call is short")


def broken(*_, **__):
    raise RuntimeError("a bug")


CALL = Call("status", None, as_json=True, arguments=())


@pytest.mark.parametrize(("job", "code"), [(half_taken, 143), (alarm, 6), (broken, 1)])
def test_what_fails_because_a_signal_broke_it_off_is_the_signal_and_an_alarm_stays_one(job, code):
    assert interruptible(CALL, job, sandbox=True).exit_code == code


def test_an_alarm_of_what_a_signal_ended_outlives_a_failure_to_tidy_up(monkeypatch):
    @contextmanager
    def context(*_, **__):
        try:
            yield
        finally:
            raise OSError("the lock cannot be let go")

    told = calls._nothing(CALL, "sim", 6, "one call is short")
    monkeypatch.setattr(calls, "_interrupted", lambda *_: told)
    monkeypatch.setattr(calls, "_context", context)
    result = interruptible(CALL, half_taken)
    assert result.exit_code == 6
    assert result.error.startswith("one call is short")
    assert "let go" in result.error


def test_a_question_that_a_signal_broke_off_changes_nothing(monkeypatch, capfd):
    monkeypatch.setattr("spxarb.cli.view.ask", half_taken)
    assert confirm("Close everything?", "close-all") == 143
    assert capfd.readouterr().err.endswith("interrupted by SIGTERM; nothing was changed.\n")


def test_a_question_that_fails_by_itself_is_a_bug(monkeypatch):
    monkeypatch.setattr("spxarb.cli.view.ask", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        confirm("Close everything?", "close-all")


def test_an_error_that_is_its_own_context_is_no_signal():
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__context__, second.__context__ = second, first
    assert interruption.behind(first) is None
