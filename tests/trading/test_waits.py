"""The clock of the program's own waits: faster in a simulation, and consistent with itself."""

from __future__ import annotations

import asyncio
import time

import pytest

from spxarb.config.load import Config, load, salvage
from spxarb.core.orders import ABSENCE_SECONDS
from spxarb.errors import ConfigError
from spxarb.ledger.ledger import Ledger
from spxarb.trading.context import JobContext
from spxarb.trading.waits import WaitClock


def test_without_the_switch_its_seconds_are_real_ones():
    waits = WaitClock()
    assert time.monotonic() <= waits.now() <= time.monotonic()
    assert (waits.real(5.0), waits.own(5.0)) == (5.0, 5.0)


def test_a_wait_that_takes_less_is_as_long_as_ever_by_its_own_clock():
    """So that two snapshots on both sides of it lie as far apart as the proof of an absence demands."""
    waits = WaitClock(0.01)
    real, began = time.monotonic(), waits.now()
    asyncio.run(waits.sleep(ABSENCE_SECONDS))
    own = waits.now() - began
    assert own >= ABSENCE_SECONDS
    assert own > 10 * (time.monotonic() - real)


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_what_is_configured_in_seconds_takes_so_many_real_ones(tmp_path, seconds):
    config = Config(wait_scale=0.1)
    execution = config.execution.model_copy(
        update={
            "order_timeout_seconds": seconds,
            "exit_rung_seconds": seconds,
            "quote_timeout_seconds": seconds,
        }
    )
    with Ledger.open(tmp_path / "trading.db", mode="paper") as ledger:
        context = JobContext("monitor", config.model_copy(update={"execution": execution}), ledger, 0)
        tactics, waits = context.tactics, context.waits
    own = (tactics.order_timeout, tactics.rung_seconds, tactics.quote_timeout)
    assert [waits.real(wait) for wait in own] == pytest.approx([seconds] * 3)


def test_the_switch_is_for_the_simulated_gateway(tmp_path):
    assert load(environ={"TRADING_MODE": "sim", "SPXARB_WAIT_SCALE": "0.1"}).wait_scale == 0.1
    assert load(environ={"TRADING_MODE": "sim"}).wait_scale == 1


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_in_every_other_mode_it_is_refused_and_nothing_is_shortened(mode):
    environ = {"TRADING_MODE": mode, "IB_ACCOUNT": "U1", "SPXARB_WAIT_SCALE": "0.1"}
    with pytest.raises(ConfigError, match=f"SPXARB_WAIT_SCALE is for trading.mode sim alone, not for {mode}"):
        load(environ=environ)
    assert salvage(environ=environ).wait_scale == 1


@pytest.mark.parametrize("text", ["0", "-0.1", "1.1", "nan", "inf", "fast", "true"])
def test_what_is_no_part_of_a_second_is_refused(text):
    environ = {"TRADING_MODE": "sim", "SPXARB_WAIT_SCALE": text}
    with pytest.raises(ConfigError, match=r"SPXARB_WAIT_SCALE: .* is not a number above 0 and at most 1"):
        load(environ=environ)
    assert salvage(environ=environ).wait_scale == 1


def test_a_file_beside_the_configuration_cannot_shorten_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TRADING_MODE=sim\nSPXARB_WAIT_SCALE=0.1\n")
    assert load(environ={}).wait_scale == 1
