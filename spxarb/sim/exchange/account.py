"""The account: its value, its margin, and what an order would do to both."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from spxarb.sim.exchange import fees
from spxarb.sim.exchange.margin import RULES, Exposure
from spxarb.sim.exchange.orders import Holding, WhatIf, dec
from spxarb.sim.market import pricing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from spxarb.sim.exchange.ledger import AccountLedger
    from spxarb.sim.exchange.orders import Ticket
    from spxarb.sim.market.instruments import Instrument, Market

ASSUMED_VOLATILITY = 0.15
"""Yearly volatility for portfolio margin where the market has none."""
_POWER = {"reg-t": 4.0, "portfolio": 6.67}
"""Buying power per dollar of available funds."""


class Standing(NamedTuple):
    """Dollars: net liquidation value, equity with loan value, initial and maintenance margin."""

    worth: float
    equity: float
    initial: float
    maintenance: float


class Account:
    """Values of one account at a moment; the ledger holds its cash and positions."""

    def __init__(self, name: str, market: Market, ledger: AccountLedger, margin: str) -> None:
        """Margin by the rules named `margin`. Raises ValueError for an unknown name."""
        if margin not in RULES:
            raise ValueError(f"unknown margin rules {margin!r}; known: {', '.join(RULES)}")
        self.name = name
        self._market = market
        self._ledger = ledger
        self._margin = margin
        self._day_began = self._equity_before = float(ledger.start)

    def new_day(self, now: datetime) -> None:
        """From now on the daily profit counts from the present net liquidation value."""
        self._day_began, self._equity_before, _, _ = self.standing(now)

    def mark(self, instrument: Instrument, now: datetime) -> float:
        """The mark, dollars per share or index points: the mid, else the last price, else 0."""
        quote = self._market.quote(instrument.con_id, now)
        if quote.bid is not None and quote.ask is not None:
            return round((quote.bid + quote.ask) / 2, 4)
        return quote.last or 0.0

    def standing(self, now: datetime, traded: Ticket | None = None) -> Standing:
        """Value and requirements now; with `traded` as if that order had filled completely, costs paid."""
        held = {p.instrument: p.quantity for p in self._ledger.positions.values() if p.quantity}
        cash = float(self._ledger.cash)
        if traded is not None:
            price = self._expected_price(traded, now)
            instrument, quantity = traded.instrument, traded.sign * traded.quantity
            costs = fees.estimate(instrument, traded.side, traded.quantity, dec(price))
            cash -= quantity * price * instrument.shares + float(costs)
            held[instrument] = held.get(instrument, 0) + quantity
        return self._standing(now, cash, held)

    def _standing(self, now: datetime, cash: float, held: Mapping[Instrument, int]) -> Standing:
        marks = {item: self.mark(item, now) for item in held}
        values = {item: quantity * marks[item] * item.shares for item, quantity in held.items()}
        worth = cash + sum(values.values())
        # Long options have no loan value under Regulation T, and short ones count in the requirement.
        stock = sum(value for item, value in values.items() if item.sec_type != "OPT")
        equity = worth if self._margin == "portfolio" else cash + stock
        exposures = [
            Exposure(item, quantity, marks[item], self._under(item, now), self._deviation(item, now))
            for item, quantity in held.items()
            if quantity
        ]
        initial, maintenance = RULES[self._margin](exposures)
        return Standing(*(round(value, 2) for value in (worth, equity, initial, maintenance)))

    def _under(self, item: Instrument, now: datetime) -> float:
        return self._market.quote(item.under_con_id or item.con_id, now).last or item.strike

    def _deviation(self, item: Instrument, now: datetime) -> float:
        """Standard deviation of the log price until expiry; days beyond today count as whole ones."""
        if item.expiry is None:
            return 0.0
        volatility = self._market.quote(item.con_id, now).iv or ASSUMED_VOLATILITY
        market = self._market
        elapsed = (now - market.open) / (market.close - market.open)
        days = max(0.0, 1 - pricing.variance_share(elapsed) + (item.expiry - market.day).days)
        return volatility * sqrt(days / pricing.TRADING_DAYS)

    def _expected_price(self, ticket: Ticket, now: datetime) -> float:
        """Where an order would fill: at the market when its limit reaches it, else at the limit."""
        quote = self._market.quote(ticket.instrument.con_id, now)
        touch = quote.ask if ticket.side == "BUY" else quote.bid
        if ticket.limit is None:
            return touch or quote.last or 0.0
        if touch is None:
            return ticket.limit
        return min(ticket.limit, touch) if ticket.side == "BUY" else max(ticket.limit, touch)

    def refusal(self, ticket: Ticket, now: datetime) -> str:
        """Why an order is refused: it would leave too little equity; '' when it is not.

        An order that makes a shortfall no worse passes, and so does one that only buys back a short position.
        """
        held = self._ledger.quantity(ticket.instrument)
        if ticket.side == "BUY" and -held >= ticket.quantity:
            return ""
        before, after = self.standing(now), self.standing(now, ticket)
        lacking = after.initial - after.equity
        if lacking <= max(0.0, before.initial - before.equity):
            return ""
        return (
            "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
            f"[{after.equity:.2f} USD] MUST EXCEED THE INITIAL MARGIN [{after.initial:.2f} USD]"
        )

    def what_if(self, ticket: Ticket, now: datetime) -> WhatIf:
        """Margins before, by and after an order."""
        before, after = self.standing(now), self.standing(now, ticket)
        price = dec(self._expected_price(ticket, now))
        costs = float(fees.estimate(ticket.instrument, ticket.side, ticket.quantity, price))
        return WhatIf(
            init_before=before.initial,
            maint_before=before.maintenance,
            elv_before=before.equity,
            init_change=round(after.initial - before.initial, 2),
            maint_change=round(after.maintenance - before.maintenance, 2),
            elv_change=round(after.equity - before.equity, 2),
            init_after=after.initial,
            maint_after=after.maintenance,
            elv_after=after.equity,
            commission=costs,
            min_commission=costs,
            max_commission=costs,
            warning=self.refusal(ticket, now),
        )

    def holding(self, instrument: Instrument, now: datetime) -> Holding | None:
        """The position in one instrument, at quantity 0 once it is closed; None when there never was one."""
        position = self._ledger.positions.get(instrument.con_id)
        if position is None:
            return None
        mark = self.mark(instrument, now)
        value = position.quantity * mark * instrument.shares
        return Holding(
            instrument,
            position.quantity,
            position.avg_cost,
            mark,
            round(value, 2),
            round(value - float(position.basis), 2),
            float(position.realized),
        )

    def holdings(self, now: datetime) -> list[Holding]:
        """Every position, closed ones too."""
        found = (self.holding(position.instrument, now) for position in self._ledger.positions.values())
        return [holding for holding in found if holding is not None]

    def pnl(self, now: datetime) -> tuple[float, float, float]:
        """Dollars: profit of the day, unrealized of open positions, realized of closed ones."""
        unrealized = sum(holding.unrealized for holding in self.holdings(now) if holding.quantity)
        daily = self.standing(now).worth - self._day_began
        return round(daily, 2), round(unrealized, 2), float(self._ledger.realized)

    def _after_expiration(self, now: datetime) -> tuple[float, float]:
        """Maintenance margin and excess once today's options have expired as they stand, dollars.

        Calls and puts in the money become shares at their strike, those on the index cash. Both are 0 while
        nothing expires (as an account was seen that held none).
        """
        held = {p.instrument: p.quantity for p in self._ledger.positions.values() if p.quantity}
        expiring = [item for item in held if item.expiry == now.date()]
        if not expiring:
            return 0.0, 0.0
        cash = float(self._ledger.cash)
        for item in expiring:
            quantity, sign = held.pop(item), 1 if item.right == "C" else -1
            inside = sign * (self._under(item, now) - item.strike)
            if inside <= 0:
                continue
            if item.symbol == "SPX":
                cash += quantity * inside * item.shares
                continue
            (stock,) = self._market.find(item.symbol, "STK")
            held[stock] = held.get(stock, 0) + sign * quantity * item.shares
            cash -= sign * quantity * item.strike * item.shares
        _, equity, _, maintenance = self._standing(now, cash, held)
        return maintenance, round(equity - maintenance, 2)

    def values(self, now: datetime) -> dict[str, str]:
        """The account values by their tags, as text for the wire."""
        worth, equity, initial, maintenance = self.standing(now)
        margin_after, excess_after = self._after_expiration(now)
        _, unrealized, realized = self.pnl(now)
        funds, excess = equity - initial, equity - maintenance
        gross = sum(abs(holding.market_value) for holding in self.holdings(now))
        money = {
            "NetLiquidation": worth,
            "TotalCashValue": self._ledger.cash,
            "SettledCash": self._ledger.cash,
            "AvailableFunds": funds,
            "ExcessLiquidity": excess,
            "InitMarginReq": initial,
            "MaintMarginReq": maintenance,
            "FullAvailableFunds": funds,
            "FullExcessLiquidity": excess,
            "FullInitMarginReq": initial,
            "FullMaintMarginReq": maintenance,
            "LookAheadAvailableFunds": funds,
            "LookAheadExcessLiquidity": excess,
            "LookAheadInitMarginReq": initial,
            "LookAheadMaintMarginReq": maintenance,
            "BuyingPower": max(0.0, funds) * _POWER[self._margin],
            "EquityWithLoanValue": equity,
            "PreviousDayEquityWithLoanValue": self._equity_before,
            "PostExpirationMargin": margin_after,
            "PostExpirationExcess": excess_after,
            "GrossPositionValue": gross,
            "UnrealizedPnL": unrealized,
            "RealizedPnL": realized,
        }
        return {
            "AccountReady": "true",
            "AccountType": "INDIVIDUAL",
            "AccountCode": self.name,
            **{tag: f"{amount:.2f}" for tag, amount in money.items()},
            "Cushion": f"{excess / worth if worth > 0 else 0.0:.6f}",
            "DayTradesRemaining": "-1",
            "Currency": "USD",
        }
