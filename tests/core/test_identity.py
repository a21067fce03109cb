"""Whose is an execution or an order: by reference, else permanent id, else client id and order id."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from spxarb.core.broker_books import BrokerOrder, Execution, OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.identity import OrderIndex
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderRecord

DAY = date(2026, 2, 10)
NOON = datetime(2026, 2, 10, 12, 0, tzinfo=NEW_YORK)
SPY = Contract(7, "SPY", "OPT", expiry=DAY, strike=Decimal(694), right="C", multiplier=100)
REF = "spxarb:4f1c:1:SPY:x1"

ORDER = OrderRecord(
    ticket=OrderTicket(REF, SPY, Side.BUY, 10, Decimal("1.20")),
    trade_id=1,
    leg=LegName.SPY,
    purpose=Purpose.EXIT,
    attempt=1,
    client_id=1,
    order_id=55,
    created_at=NOON,
    perm_id=9001,
)
FILL = Execution(
    exec_id="0000e0d5.1.01.01",
    order_ref=REF,
    order_id=55,
    client_id=1,
    perm_id=9001,
    con_id=7,
    symbol="SPY",
    side=Side.BUY,
    quantity=Decimal(10),
    price=Decimal("1.20"),
    time=NOON + timedelta(seconds=1),
)
ROW = BrokerOrder(REF, 55, 1, 9001, 7, "SPY", Side.BUY, Decimal(10), Decimal("1.20"), "Submitted")


def owner(execution, *records):
    found = OrderIndex(records or (ORDER,)).of_execution(execution)
    return found and found.ref


def test_a_reference_of_ours_is_enough_whatever_the_ids():
    assert owner(replace(FILL, perm_id=0, order_id=0, client_id=9)) == REF


@pytest.mark.parametrize("ref", ["my own order", "spxarb:beef:1:SPY:x1", "spxarb:4f1c:1:SPY:x2"])
def test_a_reference_of_others_makes_it_theirs_though_every_id_is_ours(ref):
    assert owner(replace(FILL, order_ref=ref)) is None


def test_without_a_reference_the_permanent_id_decides():
    assert owner(replace(FILL, order_ref="", order_id=0, client_id=0)) == REF


def test_without_reference_and_permanent_id_client_and_order_id_decide():
    assert owner(replace(FILL, order_ref=""), replace(ORDER, perm_id=0)) == REF
    assert owner(replace(FILL, order_ref="", perm_id=0)) == REF


@pytest.mark.parametrize(
    "change",
    [
        {"perm_id": 9002},
        {"client_id": 2},
        {"order_id": 56, "perm_id": 0},
        {"con_id": 8},
        {"side": Side.SELL},
        {"time": NOON - timedelta(minutes=5), "perm_id": 0},
        {"time": NOON - timedelta(days=1), "perm_id": 0},
        {"time": NOON + timedelta(days=1), "perm_id": 0},
    ],
    ids=str,
)
def test_a_stale_or_foreign_id_never_makes_foreign_ours(change):
    """Another permanent id under our order id; another client; another contract, side or day."""
    record = replace(ORDER, perm_id=0) if "client_id" in change else ORDER
    assert owner(replace(FILL, order_ref="", **change), record) is None


@pytest.mark.parametrize(("client_id", "order_id"), [(0, -1), (0, 0), (1, 0), (1, -1)])
def test_a_liquidation_and_a_manual_order_are_never_ours(client_id, order_id):
    """IB liquidates under client id 0 and order id -1; manual orders have order id 0."""
    record = replace(ORDER, client_id=client_id, order_id=order_id, perm_id=0)
    fill = replace(FILL, order_ref="", perm_id=4711, client_id=client_id, order_id=order_id)
    assert owner(fill, record) is None


def test_of_two_orders_under_one_id_the_newest_is_meant():
    older = replace(ORDER, perm_id=0, created_at=NOON - timedelta(hours=1))
    newer = replace(
        older, ticket=replace(ORDER.ticket, order_ref="spxarb:4f1c:1:SPY:x9"), created_at=NOON, attempt=9
    )
    assert owner(replace(FILL, order_ref="", perm_id=0), older, newer) == "spxarb:4f1c:1:SPY:x9"


def test_a_row_of_the_order_lists_is_matched_the_same_way():
    index = OrderIndex([ORDER])
    assert index.of_order(ROW, DAY) is ORDER
    assert index.of_order(replace(ROW, order_ref=""), DAY) is ORDER
    assert index.of_order(replace(ROW, order_ref="", perm_id=0), DAY) is ORDER
    assert index.of_order(replace(ROW, order_ref="", perm_id=0), DAY + timedelta(days=1)) is None
    assert index.of_order(replace(ROW, order_ref="", perm_id=1), DAY) is None
    assert index.of_order(replace(ROW, order_ref="theirs"), DAY) is None


def test_completed_orders_have_order_id_0_and_are_found_by_their_permanent_id():
    """IBKR lists completed orders under order id 0 (ib_insync#559)."""
    index = OrderIndex([ORDER])
    assert index.of_order(replace(ROW, order_id=0, order_ref=""), DAY) is ORDER
    assert index.of_order(replace(ROW, order_id=0, order_ref="", perm_id=0), DAY) is None
