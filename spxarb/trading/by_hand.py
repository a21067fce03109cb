"""What humans traded of the trades that they took, as fills of those trades."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.by_hand import counted, taken_legs
from spxarb.core.fees import commission_share
from spxarb.core.model import ZERO, cents
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.core.by_hand import Counted
    from spxarb.core.fees import FeeSchedule
    from spxarb.core.identity import OrderIndex
    from spxarb.ledger.ledger import Ledger


def fills_by_hand(
    ledger: Ledger, snapshot: BrokerSnapshot, orders: Callable[[], OrderIndex], fees: FeeSchedule
) -> list[Fill]:
    """The day's executions of others, as `orders` tell them, as far as they count to trades handed over.

    Commissions are estimated until they are reported; of an execution that counts in part, that part.
    """
    trades = ledger.trades.handed_over(snapshot.time.date())
    if not trades:
        return []
    legs = [leg for trade in trades for leg in taken_legs(trade, ledger.fills.of_trade(trade.id))]
    index = orders()
    others = [row for row in snapshot.todays_executions if index.of_execution(row) is None]
    return [_fill(ledger, one, fees) for one in counted(legs, others)]


def _fill(ledger: Ledger, one: Counted, fees: FeeSchedule) -> Fill:
    row, quantity = one.execution, one.quantity
    share = replace(row, exec_id=one.exec_id, quantity=quantity)
    commission: Decimal | None = None
    if not quantity:
        commission = ZERO
    elif row.commission is not None:
        commission = cents(row.commission * quantity / row.quantity)
    known = commission if commission is not None else ledger.fills.reported_fee(share.family)
    if known is None:
        known = commission_share(fees, one.leg.leg, row.side, 0, quantity, row.price)
    return Fill(share, one.leg.trade_id, one.leg.leg, Purpose.BY_HAND, known, commission is None)
