"""A matter is kept once for its key until evidence resolves it; an acknowledgement lasts as long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from samples import NOW, a_trade

LATER = NOW + timedelta(days=3)


def test_the_same_trouble_is_one_matter_from_its_first_day_on(ledger):
    trade = ledger.trades.create(a_trade())
    first = ledger.matters.raise_("expired:1", "the account shows 10 calls", trade.id, NOW)
    again = ledger.matters.raise_("expired:1", "the account shows 4 calls", trade.id, LATER)
    assert (again.id, again.since, again.last_seen) == (first.id, NOW, LATER)
    assert (again.text, again.trade_id) == ("the account shows 4 calls", trade.id)
    assert ledger.matters.open() == [again]


def test_what_evidence_ended_is_open_no_more_and_its_return_is_another_matter(ledger):
    first = ledger.matters.raise_("order:x", "how it ended is not known", None, NOW)
    assert ledger.matters.resolve("order:x", "the order is final", LATER)
    assert not ledger.matters.resolve("order:x", "the order is final", LATER)
    assert (ledger.matters.open(), ledger.matters.unresolved()) == ([], [])
    assert ledger.matters.raise_("order:x", "how it ended is not known", None, LATER).id != first.id


def test_an_acknowledged_matter_stays_acknowledged_while_it_is_found_again(ledger):
    matter = ledger.matters.raise_("lost:1", "compare", None, NOW)
    done = ledger.matters.acknowledge(matter.id, "booked", NOW)
    assert (done.is_open, done.note, done.acknowledged_at) == (False, "booked", NOW)
    assert not ledger.matters.raise_("lost:1", "compare", None, LATER).is_open
    assert ledger.matters.open() == []
    assert [found.id for found in ledger.matters.unresolved()] == [matter.id]


def test_only_an_open_matter_can_be_acknowledged(ledger):
    matter = ledger.matters.raise_("lost:1", "compare", None, NOW)
    ledger.matters.acknowledge(matter.id, None, NOW)
    for number in (matter.id, 99):
        with pytest.raises(KeyError):
            ledger.matters.acknowledge(number, None, NOW)


def test_when_and_whereto_an_alert_went_is_kept(ledger):
    matter = ledger.matters.raise_("lost:1", "compare", None, NOW)
    ledger.matters.alerted([matter.id], "mailto", LATER)
    (found,) = ledger.matters.open()
    assert (found.alerted_at, found.alerted_to) == (LATER, "mailto")
