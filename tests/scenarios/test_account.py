"""The account decides: what the ledger holds is believed only as far as the account bears it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SPX, SPY = {"sec_type": "OPT", "symbol": "SPX"}, {"sec_type": "OPT", "symbol": "SPY"}


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    """One spread, entered at 09:35, held at noon; no fail-safe that would act beside the claims."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        stage.at("12:00")
        yield stage


def calls(stage: Stage) -> dict[str, float]:
    """What the account holds of each class of calls."""
    return {name: quantity for (name, _), quantity in stage.positions().items()}


def others(stage: Stage, what: str, con: str, side: str, quantity: int) -> None:
    """Somebody else trades our contract, or a position of it moves with no execution to tell why."""
    contract = stage.sql(f"SELECT {con}_con_id AS id FROM trades")[0]["id"]
    stage.script([fault(what, side=side, quantity=quantity, con_id=contract)])


def our_orders(stage: Stage) -> int:
    return len([row for row in stage.sim.control.book()["orders"] if row["order_ref"].startswith("spxarb:")])
