"""When a command may end without a connection: after a trade the account is looked at again and again."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from samples import record

from spxarb.config.load import Config
from spxarb.core.broker_books import Execution
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, Trade
from spxarb.core.trades import TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.trading.context import JobContext
from spxarb.trading.quiet import all_quiet

D = Decimal
DAY = date(2026, 2, 10)
SPX = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6665), right="C", multiplier=100)
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(665), right="C", multiplier=100)


def at(clock: str, day: int = 10) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 2, day, hour, minute, tzinfo=NEW_YORK)


@pytest.fixture
def context(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as ledger:
        yield JobContext("monitor", Config(), ledger, 0)


def look(context: JobContext, moment: datetime) -> None:
    context.ledger.looks.add(context.ledger.runs.begin("monitor", [], moment), moment)


def closed_trade(context: JobContext) -> None:
    """One SPX call was bought and sold again, its commissions reported."""
    ledger = context.ledger
    trade = ledger.trades.create(Trade(0, DAY, TradeState.UNWOUND, "DU1", SPX, SPY, 1, 10))
    for number, side in enumerate((Side.BUY, Side.SELL)):
        ref = f"spxarb:4f1c:{trade.id}:SPX:e{number}"
        execution = Execution(
            f"{number}.01", ref, 1, 1, 9, 1, "SPX", side, D(1), D(20), at("09:36"), "DU1", commission=D(1)
        )  # fmt: skip
        record(
            ledger, Fill(execution, trade.id, LegName.SPX, Purpose.ENTRY, D(1), commission_estimated=False)
        )


def test_a_day_without_a_trade_is_looked_at_once(context):
    assert not all_quiet(context, at("09:35"))
    look(context, at("09:35"))
    assert all_quiet(context, at("15:55"))
    assert not all_quiet(context, at("09:35", day=11))


@pytest.mark.parametrize(("now", "quiet"), [("10:00", True), ("10:20", False)])
def test_a_day_that_traded_is_looked_at_again(context, now, quiet):
    closed_trade(context)
    look(context, at("09:45"))
    assert all_quiet(context, at(now)) is quiet


def test_the_day_after_a_trade_is_looked_at_once(context):
    closed_trade(context)
    look(context, at("09:35", day=11))
    assert all_quiet(context, at("15:55", day=11))


def test_a_look_of_which_the_mark_is_gone_is_none(context):
    look(context, at("09:35"))
    context.ledger.looks.mark.unlink()
    assert not all_quiet(context, at("09:36"))
