"""Cash and positions, exact to the cent.

At any time: cash + sum of bases - sum of realized gains = cash at the start. A basis is what a position
cost, commissions included; it is negative for a short one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.sim.exchange.fees import ZERO, cents

if TYPE_CHECKING:
    from spxarb.sim.market.instruments import Instrument


@dataclass
class LedgerPosition:
    """The position in one instrument; `quantity` is negative when short. Kept at 0 once it is closed."""

    instrument: Instrument
    quantity: int = 0
    basis: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def avg_cost(self) -> float:
        """Dollars a contract or share, positive for long and short."""
        return round(float(self.basis / self.quantity), 8) if self.quantity else 0.0


@dataclass(frozen=True)
class Expiry:
    """What became of an option's position at its expiry: `cash` dollars, `delivered` shares, or nothing."""

    instrument: Instrument
    quantity: int
    cash: Decimal
    delivered: bool = False


class AccountLedger:
    """The account's cash and positions. All amounts are whole cents."""

    def __init__(self, cash: Decimal) -> None:
        """Start with `cash` dollars and no position."""
        self.start = self.cash = cents(cash)
        self.positions: dict[int, LedgerPosition] = {}
        self.expiries: list[Expiry] = []

    def quantity(self, instrument: Instrument) -> int:
        """Contracts or shares held, negative when short."""
        position = self.positions.get(instrument.con_id)
        return position.quantity if position else 0

    @property
    def holds_options(self) -> bool:
        """True while an option is held that will settle."""
        return any(p.quantity and p.instrument.sec_type == "OPT" for p in self.positions.values())

    @property
    def realized(self) -> Decimal:
        """Realized gains so far, after commissions, dollars."""
        return sum((position.realized for position in self.positions.values()), ZERO)

    def trade(self, instrument: Instrument, quantity: int, price: Decimal, costs: Decimal) -> Decimal | None:
        """Buy `quantity` (sell when negative) at `price`, paying `costs` dollars.

        Gives the realized gain in dollars, None when nothing of a position was closed.
        """
        position = self.positions.setdefault(instrument.con_id, LedgerPosition(instrument))
        held = position.quantity
        closing = 0 if held * quantity >= 0 else min(abs(held), abs(quantity))
        closing_costs = cents(costs * closing / abs(quantity))
        sign = 1 if quantity > 0 else -1
        gain = self._close(position, closing, price, closing_costs) if closing else None
        opening = abs(quantity) - closing
        if opening:
            paid = cents(price * instrument.shares * opening * sign) + costs - closing_costs
            self.cash -= paid
            position.basis += paid
            position.quantity += sign * opening
        return gain

    def _close(self, position: LedgerPosition, count: int, price: Decimal, costs: Decimal) -> Decimal:
        """Take `count` out of a position; the last one takes the rest of the basis."""
        sign = 1 if position.quantity > 0 else -1
        received = cents(price * position.instrument.shares * count * sign) - costs
        basis = cents(position.basis * count / abs(position.quantity))
        gain = received - basis
        self.cash += received
        position.quantity -= sign * count
        position.basis -= basis
        position.realized += gain
        return gain

    def settle(self, instrument: Instrument, price: Decimal) -> None:
        """End a position at `price` without costs: cash settlement, or at 0 a worthless option."""
        quantity = self.quantity(instrument)
        if quantity:
            before = self.cash
            self.trade(instrument, -quantity, price, ZERO)
            self.expiries.append(Expiry(instrument, quantity, self.cash - before))

    def deliver(self, position: LedgerPosition, stock: Instrument) -> None:
        """Exercise an option: its shares at the strike, without costs."""
        option, quantity = position.instrument, position.quantity
        self.trade(option, -quantity, ZERO, ZERO)
        self.expiries.append(Expiry(option, quantity, ZERO, delivered=True))
        shares = quantity * option.multiplier * (1 if option.right == "C" else -1)
        self.trade(stock, shares, Decimal(repr(option.strike)), ZERO)
