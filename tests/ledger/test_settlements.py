"""One settlement a trade and leg."""

from __future__ import annotations

import dataclasses

from samples import NOW, D, a_trade

from spxarb.core.model import (
    LegName,
)
from spxarb.core.records import Settlement


def test_a_final_settlement_replaces_a_provisional_one_and_never_the_other_way(ledger):
    trade = ledger.trades.create(a_trade())
    first = Settlement(trade.id, LegName.SPX, D(1), D("6840.12"), D("512.00"), "last price", NOW)
    final = dataclasses.replace(first, price=D("6840.20"), cash=D("520.00"), provisional=False)
    other = dataclasses.replace(first, leg=LegName.SPY, quantity=D(-10))
    assert ledger.settlements.record(first)
    assert not ledger.settlements.record(first)
    assert ledger.settlements.record(other)
    assert ledger.settlements.record(final)
    assert not ledger.settlements.record(first)
    assert ledger.settlements.of_trade(trade.id) == [final, other]
    assert ledger.settlements.of_trade(99) == []


def test_settlements_made_anew_take_the_place_of_all_that_the_trade_had(ledger):
    trade, neighbour = ledger.trades.create(a_trade()), ledger.trades.create(a_trade())
    spx = Settlement(trade.id, LegName.SPX, D(1), D("6840.12"), D("512.00"), "last price", NOW)
    spy = dataclasses.replace(spx, leg=LegName.SPY, quantity=D(-10))
    other = dataclasses.replace(spx, trade_id=neighbour.id)
    for settlement in (spx, spy, other):
        ledger.settlements.record(settlement)
    ledger.settlements.replace(trade.id, [spx])
    assert ledger.settlements.of_trade(trade.id) == [spx]
    ledger.settlements.replace(trade.id, [])
    assert ledger.settlements.of_trade(trade.id) == []
    assert ledger.settlements.of_trade(neighbour.id) == [other]
