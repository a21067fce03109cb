"""What a gateway lists beside what was asked for is no part of a chain."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from spxarb.broker.chains import by_strike, wanted
from spxarb.core.contracts import PENNY, TickRule

DAY = date(2026, 11, 24)
NICKEL = TickRule(((Decimal(0), Decimal("0.05")),))


def row(con_id=1, trading_class="SPXW", expiry="20261124", right="C", sec_type="OPT", strike=6800.0):
    contract = SimpleNamespace(
        conId=con_id, symbol="SPX", secType=sec_type, exchange="SMART", primaryExchange="", currency="USD",
        tradingClass=trading_class, localSymbol="", lastTradeDateOrContractMonth=expiry, strike=strike,
        right=right, multiplier="100",
    )  # fmt: skip
    return SimpleNamespace(contract=contract, marketRuleIds="7,7", validExchanges="SMART,CBOE")


OTHERS = [
    row(trading_class="SPX"),
    row(expiry="20261125"),
    row(right="P"),
    row(sec_type="IND"),
    row(con_id=2**40, trading_class="SPX"),  # no id at all: it spoils nothing that was not asked for
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_row_that_was_not_asked_for_is_left_out_whatever_it_holds(other):
    ours = row(strike=6805.0)
    assert wanted([other, ours], "SPXW", DAY, "C") == [ours]


def test_a_contract_has_the_ticks_of_its_market_rule_and_a_rule_that_nobody_asked_for_is_a_fault():
    (contract,), doubts = by_strike([row()], [], {7: NICKEL}, {})
    assert (contract.ticks, doubts) == (NICKEL, {})
    assert contract.ticks != PENNY
    with pytest.raises(KeyError):
        by_strike([row()], [], {}, {})
