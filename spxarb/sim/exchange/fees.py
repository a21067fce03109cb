"""What a trade costs: the broker's commission and the fees that it passes on.

Rates in dollars. Sources: IB price pages (0.65 a contract, at least 1.00 an order; 0.005 a share); Cboe fee
schedule (SPX 0.45 from a premium of 1.00 on, 0.36 below; SPXW surcharge 0.13); ORF 0.028; OCC 0.025;
FINRA TAF 0.003 a contract sold; SEC section 31 20.60 a million sold; CAT 0.005. Index options pay none of the
last three. An exchange's fee for SPY varies from a rebate to 0.50; 0.30 is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spxarb.sim.market.instruments import Instrument

CENT = Decimal("0.01")
ZERO = Decimal(0)
_COMMISSION, _MINIMUM, _SHARE = Decimal("0.65"), Decimal("1.00"), Decimal("0.005")
_ORF, _OCC, _TAF, _CAT = Decimal("0.028"), Decimal("0.025"), Decimal("0.003"), Decimal("0.005")
_SPXW, _INDEX_HIGH, _INDEX_LOW = Decimal("0.13"), Decimal("0.45"), Decimal("0.36")
_EXCHANGE, _SECTION_31 = Decimal("0.30"), Decimal("0.0000206")


def cents(amount: Decimal) -> Decimal:
    """Rounded to the cent, half away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass
class Tally:
    """What one order has traded so far. Minimum and rounding are per order, not per partial fill."""

    contracts: int = 0
    exchange: Decimal = ZERO
    sold: Decimal = ZERO
    """Dollars of premium (or stock) sold."""
    sold_contracts: int = 0
    charged: Decimal = ZERO

    def charge(self, instrument: Instrument, side: str, quantity: int, price: Decimal) -> Decimal:
        """Count one fill; what it adds to the order's costs, dollars in whole cents."""
        self.contracts += quantity
        self.exchange += _exchange_fee(instrument, price) * quantity
        if side == "SELL":
            self.sold += price * quantity * instrument.shares
            self.sold_contracts += quantity
        before, self.charged = self.charged, self._total(instrument)
        return self.charged - before

    def _total(self, instrument: Instrument) -> Decimal:
        """The order's costs, each component rounded to the cent."""
        if instrument.sec_type == "STK":
            return cents(max(_MINIMUM, _SHARE * self.contracts)) + cents(_SECTION_31 * self.sold)
        parts = [max(_MINIMUM, _COMMISSION * self.contracts), self.exchange]
        parts += [_ORF * self.contracts, _OCC * self.contracts]
        if instrument.symbol == "SPY":
            parts += [_CAT * self.contracts, _TAF * self.sold_contracts, _SECTION_31 * self.sold]
        return sum(map(cents, parts), ZERO)


def _exchange_fee(instrument: Instrument, price: Decimal) -> Decimal:
    """Dollars per contract."""
    if instrument.sec_type != "OPT":
        return ZERO
    if instrument.symbol != "SPX":
        return _EXCHANGE
    weekly = _SPXW if instrument.trading_class == "SPXW" else ZERO
    return weekly + (_INDEX_HIGH if price >= 1 else _INDEX_LOW)


def estimate(instrument: Instrument, side: str, quantity: int, price: Decimal) -> Decimal:
    """What an order costs, dollars, when it fills completely at `price`."""
    return Tally().charge(instrument, side, quantity, price)
