"""The words of the program: sides, legs, why a trade ended; what a cent is, and where the clock stands.

Every command loads this one. Contracts and quotes are in `contracts`, what the broker keeps of them in
`broker_books`, what happens while an order works in `order_events`.

Prices are dollars per share or index points, money is dollars, both `Decimal`; a missing number is None
and never 0. Datetimes are aware, in America/New_York unless a name says otherwise.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
ZERO = Decimal(0)


def dec(value: float | str | Decimal) -> Decimal:
    """A Decimal that reads as the number prints: `dec(17.9) == Decimal("17.9")`."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def cents(value: Decimal) -> Decimal:
    """Dollars rounded to the cent, half to even."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class LegName(StrEnum):
    SPX = "SPX"
    SPY = "SPY"


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    ERROR = "ERROR"


class ExitReason(StrEnum):
    ASSIGNMENT_RISK = "ASSIGNMENT_RISK"
    TIME = "TIME"
    LOSS_LIMIT = "LOSS_LIMIT"
    EXPIRATION = "EXPIRATION"
    EMERGENCY = "EMERGENCY"
    DAILY_LOSS = "DAILY_LOSS"
    ENTRY_UNWOUND = "ENTRY_UNWOUND"
    HANDED_OVER = "HANDED_OVER"
