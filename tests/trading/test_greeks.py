"""Which trades have a risk that a table of what-ifs can tell."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from spxarb.config.load import Config
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK
from spxarb.core.records import Trade
from spxarb.core.trades import TradeState
from spxarb.trading.greeks import at_risk

DAY = date(2026, 2, 10)
CLOSE = datetime(2026, 2, 10, 16, tzinfo=NEW_YORK)
SPX, SPY = (Contract(n, symbol, "OPT", expiry=DAY) for n, symbol in ((1, "SPX"), (2, "SPY")))


@pytest.mark.parametrize("state", [state for state in TradeState if state.is_open])
def test_a_trade_is_at_risk_while_its_calls_trade_and_the_broker_tells_of_it(state):
    trade = Trade(1, DAY, state, "DU1", SPX, SPY, 1, 10)
    assert at_risk(trade, CLOSE.replace(hour=15, minute=59), Config()) == (state is not TradeState.LOST)
    assert not at_risk(trade, CLOSE, Config())
    assert not at_risk(trade, CLOSE.replace(day=11, hour=10), Config())
