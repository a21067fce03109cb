"""A command's surroundings: how long it may take, and what it is told when that was not enough."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest

from spxarb.config.load import Config
from spxarb.core.model import NEW_YORK
from spxarb.errors import GatewayError
from spxarb.ledger.ledger import Ledger
from spxarb.trading import context as environment
from spxarb.trading.context import JobContext
from spxarb.trading.limits_in_force import limits_of

HURRY = {
    "order_timeout_seconds": 0.01,
    "max_retry_attempts": 0,
    "quote_timeout_seconds": 0.01,
    "connect_timeout_seconds": 0.01,
    "question_timeout_seconds": 0.01,
    "exit_rung_seconds": 0.01,
}


@pytest.fixture
def env(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PROOF_SECONDS", 0.05)
    config = Config()
    execution = config.execution.model_copy(update=HURRY)
    with Ledger.open(tmp_path / "trading.db", mode="paper") as store:
        run_id = store.runs.begin("monitor", [], datetime.now(NEW_YORK))
        yield JobContext("monitor", config.model_copy(update={"execution": execution}), store, run_id)


def test_a_job_that_never_ends_is_ended_at_its_budget_and_told_as_the_gateways_failure(env):
    async def drips() -> None:
        while True:  # noqa: ASYNC110 -- it is what must be ended
            await asyncio.sleep(0.01)

    with pytest.raises(GatewayError, match="`monitor` did not come to its end within"):
        env.in_time(drips())


def test_a_job_in_time_gives_its_result(env):
    async def quick() -> int:
        return 7

    assert env.in_time(quick()) == 7


def test_the_budget_is_longer_than_all_waits_of_the_defaults_and_the_lock_waits_longer_still(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as store:
        env = JobContext("monitor", Config(), store, 0)
        e = env.config.execution
        entering = 2 * (1 + e.max_retry_attempts) * e.order_timeout_seconds
        leaving = 2 * (e.exit_rungs * e.exit_rung_seconds + e.order_timeout_seconds)
        assert entering + leaving < env.budget < env.lock_wait


def test_the_limits_are_the_configurations_numbers():
    limits = limits_of(Config())
    assert (limits.min_entry_credit, limits.max_daily_loss) == (Decimal(400), Decimal(1000))
