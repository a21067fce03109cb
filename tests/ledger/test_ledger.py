"""A ledger is for one mode and one account, and a transaction covers all of its parts."""

from __future__ import annotations

import pytest
from disk import contents, refused
from samples import NOW, a_fill, a_trade, record

from spxarb.errors import RefusedError
from spxarb.ledger.ledger import Ledger


def test_the_tag_is_made_once_and_tells_ledgers_apart(path, tmp_path):
    with Ledger.open(path, mode="paper") as ledger:
        tag = ledger.tag
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.tag == tag
    with Ledger.open(tmp_path / "other.db", mode="paper") as ledger:
        assert ledger.tag != tag
    assert len(tag) == 6
    assert set(tag) <= set("0123456789abcdef")


def test_a_ledger_is_for_one_mode(existing):
    before = contents(existing)
    refused(existing, "belongs to mode paper, not to live", mode="live")
    refused(existing, "belongs to mode paper, not to live", mode="live", read_only=True)
    assert contents(existing)[existing.name] == before[existing.name]


@pytest.mark.parametrize(("mode", "trading"), [("paper", 1), ("sim", 1), ("live", 0)])
def test_a_live_ledger_does_not_trade_until_start(path, mode, trading):
    with Ledger.open(path, mode=mode) as ledger:
        assert ledger._file.value("SELECT value FROM meta WHERE key = 'mode'") == mode
        assert ledger.state.is_trading() is bool(trading)
        assert ledger._file.rows("SELECT id, is_trading FROM system_state") == [
            {"id": 1, "is_trading": trading}
        ]


def test_a_ledger_is_for_one_account(path):
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.account is None
        ledger.bind_account("DU1")
        ledger.bind_account("DU1")
    with (
        Ledger.open(path, mode="paper") as ledger,
        pytest.raises(RefusedError, match="belongs to account DU1"),
    ):
        ledger.bind_account("DU2")
    with Ledger.open(path, mode="paper", read_only=True) as ledger:
        ledger.bind_account("DU1")
        with pytest.raises(RefusedError, match="not to DU2"):
            ledger.bind_account("DU2")


def test_of_two_accounts_at_once_the_first_one_stays(path):
    with Ledger.open(path, mode="paper") as one, Ledger.open(path, mode="paper") as two:
        one.bind_account("DU1")
        with pytest.raises(RefusedError):
            two.bind_account("DU2")
        assert two.account == "DU1"


def test_reading_does_not_bind(path):
    Ledger.open(path, mode="paper").close()
    with Ledger.open(path, mode="paper", read_only=True) as ledger:
        ledger.bind_account("DU1")
        assert ledger.account is None


def test_methods_that_write_join_the_open_transaction(ledger):
    def several():
        with ledger.write():
            trade = ledger.trades.create(a_trade())
            record(ledger, a_fill(trade))
            ledger.trades.update(trade.id, note="x")
            ledger.state.refresh(NOW, 1, None, 1)
            ledger.bind_account("DU1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        several()
    assert ledger.trades.between() == []
    assert ledger.fills.rows() == []
    assert ledger.account is None
    assert ledger.state.row()["open_positions"] == 0
