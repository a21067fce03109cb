"""One row an execution for the tax return, with the result of each leg where it is realised. No tax advice.

SPX options are Section 1256 contracts (26 USC 1256: broad-based index options; Form 6781, 60 % long-term and
40 % short-term, however long they were held). SPY options are options on shares of a fund and are usually
treated as equity options, short-term (Form 8949); some argue otherwise. Legs that offset each other may be a
straddle (26 USC 1092).
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, LegName, Side, cents
from spxarb.core.order_words import Purpose  # noqa: TC001 -- likewise
from spxarb.core.results.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.core.records import Fill, Settlement, Trade

LONG_TERM = Decimal("0.6")
"""The part of a Section 1256 result that is long-term."""


class TaxEvent(StrEnum):
    """What a row is of."""

    EXECUTION = "execution"
    SETTLEMENT = "settlement"


@dataclass(frozen=True)
class TaxRow(Row):
    """One execution, or the settlement of a leg that expired. Dollars."""

    trade_id: int
    leg: LegName
    event: TaxEvent
    time: datetime
    """In New York."""
    time_utc: str
    exec_id: str | None
    """Null of a settlement."""
    account: str
    con_id: int
    local_symbol: str
    trading_class: str
    expiry: date | None
    strike: Decimal | None
    right: str | None
    multiplier: int
    side: Side
    """Of a settlement the side that ends the position."""
    quantity: Decimal
    price: Decimal | None
    """As filled; of a settlement the underlying's."""
    proceeds: Decimal
    """Cash before commission: received positive, paid negative."""
    commission: Decimal
    commission_estimated: bool
    """Whether the broker has not reported it yet."""
    purpose: Purpose | None
    """Null of a settlement."""
    section_1256: bool
    """SPX: yes. SPY: no."""
    realized_pnl: Decimal | None
    """What this row closes, less what it was opened for and both commissions, first in, first out; null of a
    row that opens."""
    provisional: bool
    """Whether a settlement may still change."""


@dataclass(frozen=True)
class TaxTotals:
    """The realised results of a year, dollars."""

    section_1256: Decimal = ZERO
    long_term: Decimal = ZERO
    """60 % of it."""
    short_term: Decimal = ZERO
    """The rest of it."""
    other: Decimal = ZERO
    """SPY options."""
    total: Decimal = ZERO


@dataclass
class _Lot:
    """What is open of one execution: contracts, and cash after commission for all of them."""

    quantity: Decimal
    cash: Decimal

    def take(self, quantity: Decimal) -> Decimal:
        """The cash of so many of its contracts, to the cent; the last ones take the rest."""
        part = self.cash if quantity == self.quantity else cents(self.cash * quantity / self.quantity)
        self.quantity -= quantity
        self.cash -= part
        return part


def tax_rows(
    trade: Trade, fills: Sequence[Fill], settlements: Iterable[Settlement], close: datetime
) -> list[TaxRow]:
    """The rows of one trade in order: its executions that stand, then what was settled, at the `close`."""
    lots: defaultdict[LegName, deque[_Lot]] = defaultdict(deque)
    rows = []
    for fill in fills:
        execution, contract = fill.execution, trade.contract(fill.leg)
        proceeds = -execution.price * fill.signed_quantity * contract.multiplier
        opens = execution.side is trade.opening_side(fill.leg)
        net = proceeds - fill.commission
        realized = None if opens else _realized(lots[fill.leg], execution.quantity, net)
        if opens:
            lots[fill.leg].append(_Lot(execution.quantity, net))
        rows.append(
            _row(
                trade,
                fill.leg,
                execution.time,
                event=TaxEvent.EXECUTION,
                exec_id=execution.exec_id,
                side=execution.side,
                quantity=execution.quantity,
                price=execution.price,
                proceeds=proceeds,
                commission=fill.commission,
                commission_estimated=fill.commission_estimated,
                purpose=fill.purpose,
                realized_pnl=realized,
                provisional=False,
            )
        )
    return rows + [_settled(trade, settled, lots[settled.leg], close) for settled in settlements]


def _settled(trade: Trade, settled: Settlement, lots: deque[_Lot], close: datetime) -> TaxRow:
    return _row(
        trade,
        settled.leg,
        close,
        event=TaxEvent.SETTLEMENT,
        exec_id=None,
        side=Side.SELL if settled.quantity > 0 else Side.BUY,
        quantity=abs(settled.quantity),
        price=settled.price,
        proceeds=settled.cash,
        commission=ZERO,
        commission_estimated=False,
        purpose=None,
        realized_pnl=_realized(lots, abs(settled.quantity), settled.cash),
        provisional=settled.provisional,
    )


def _row(trade: Trade, leg: LegName, time: datetime, **fields: object) -> TaxRow:
    contract = trade.contract(leg)
    return TaxRow(
        trade_id=trade.id,
        leg=leg,
        time=time,
        time_utc=time.astimezone(UTC).isoformat(),
        account=trade.account,
        con_id=contract.con_id,
        local_symbol=contract.local_symbol,
        trading_class=contract.trading_class or contract.symbol,
        expiry=contract.expiry,
        strike=contract.strike,
        right=contract.right,
        multiplier=contract.multiplier,
        section_1256=leg is LegName.SPX,
        **fields,  # type: ignore[arg-type]
    )


def _realized(lots: deque[_Lot], quantity: Decimal, net: Decimal) -> Decimal | None:
    """What closing `quantity` contracts for `net` dollars realises; None where less than that was open."""
    if sum((lot.quantity for lot in lots), start=ZERO) < quantity:
        return None
    total = net
    while quantity > 0:
        part = min(quantity, lots[0].quantity)
        total += lots[0].take(part)
        quantity -= part
        if not lots[0].quantity:
            lots.popleft()
    return total


def tax_doubts(rows: Iterable[TaxRow], unknown: Sequence[int]) -> list[str]:
    """What the sums may lack, or what may still change them; `unknown`: trades of unknown result."""
    found = []
    if unknown:
        ids = ", ".join(map(str, unknown))
        found.append(
            f"The result of trade {ids} is not known here: executions may be missing from the year's sums. "
            "The account's statement has them."
        )
    provisional = sum(1 for row in rows if row.provisional)
    if provisional:
        count = "One settlement is" if provisional == 1 else f"{provisional} settlements are"
        found.append(f"{count} provisional: the year's sums may still change.")
    return found


def tax_totals(rows: Iterable[TaxRow]) -> TaxTotals:
    """The sums of what is realised."""
    sums = {True: ZERO, False: ZERO}
    for row in rows:
        sums[row.section_1256] += row.realized_pnl or ZERO
    long_term = cents(sums[True] * LONG_TERM)
    return TaxTotals(sums[True], long_term, sums[True] - long_term, sums[False], sums[True] + sums[False])
