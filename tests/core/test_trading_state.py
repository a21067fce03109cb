"""ACTIVE or STOPPED, by whom and why, over every case; and what goes on beside it."""

from __future__ import annotations

from datetime import datetime
from itertools import product

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.core.trading_state import (
    NEVER_STARTED,
    EndOfEntries,
    StillTrue,
    Switch,
    TradingResult,
    trading_state,
)

AT = datetime(2026, 2, 10, 10, 2, tzinfo=NEW_YORK)
SWITCHES = {
    "started": Switch(on=True, at=AT, by="spxarb start"),
    "stopped": Switch(on=False, reason="CPI day", at=AT, by="spxarb stop"),
    "began on": Switch(on=True),
    "began off": Switch(on=False),
}
FAILURES = EndOfEntries("10 jobs failed today", AT)
LOSS = EndOfEntries("the day's loss was $1,200.00")
TRADES = {"none": (0, 0), "ours": (2, 0), "one is a human's": (2, 1), "all are a human's": (1, 1)}


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("trades", TRADES)
def test_every_case_is_active_or_stopped_with_what_goes_on_beside_it(switch, trades):
    held, by_hand = TRADES[trades]
    for failures, loss, blackout in product((None, FAILURES), (None, LOSS), ("", "FOMC")):
        case = failures, loss, blackout
        found = trading_state(
            SWITCHES[switch],
            failures=failures,
            stopped_today=loss,
            blackout=blackout,
            open_trades=held,
            handed_over=by_hand,
        )
        may_enter = SWITCHES[switch].on and not (failures or loss or blackout)
        assert found.state == ("ACTIVE" if may_enter else "STOPPED"), case
        assert (StillTrue.FAILURES in found.beside) == (failures is not None), case
        assert (StillTrue.HANDED_OVER in found.beside) == (by_hand > 0), case
        assert (StillTrue.EXITS in found.beside) == (not may_enter and trades != "all are a human's"), case
        assert may_enter or (found.reason and (found.by or switch == "began off")), case


def test_a_humans_word_comes_first_then_what_only_a_human_ends_then_what_ends_with_the_day():
    every = {"failures": FAILURES, "stopped_today": LOSS, "blackout": "FOMC"}
    assert trading_state(SWITCHES["stopped"], **every) == TradingResult(
        "STOPPED", "CPI day", "spxarb stop", AT, (StillTrue.EXITS, StillTrue.FAILURES)
    )
    on = SWITCHES["started"]
    assert trading_state(on, **every).by == "failed jobs"
    assert trading_state(on, stopped_today=LOSS, blackout="FOMC").by == "the daily loss limit"
    found = trading_state(on, blackout="FOMC")
    assert (found.by, found.reason, found.since) == ("trading.blackout_file", "for today: FOMC", None)


def test_a_live_ledger_begins_stopped_and_says_how_to_start():
    assert trading_state(SWITCHES["began off"]).reason == NEVER_STARTED


def test_the_state_is_one_phrase():
    stopped = trading_state(SWITCHES["stopped"], failures=FAILURES)
    assert str(stopped) == (
        "STOPPED: CPI day (by spxarb stop since 2026-02-10 10:02; exits go on, off after failures)"
    )
    assert str(trading_state(SWITCHES["began on"])) == "ACTIVE"
    assert str(TradingResult()) == "not known"
