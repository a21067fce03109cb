"""A ledger of many days, written without a gateway: trades, marks, decisions, runs that failed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from closed_spreads import SPX, SPY, a_trade

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.model import NEW_YORK, LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, Mark, OrderRecord
from spxarb.core.sessions import STORED_TIMETABLE, session_times, stored_day
from spxarb.core.trades import TradeState
from spxarb.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.core.model import ExitReason
    from spxarb.core.records import Trade

FEE = dec("5.82")


def at(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK)


@dataclass
class Days:
    """Writes days into an open ledger."""

    ledger: Ledger
    orders: int = 0

    def ran(self, command: str, moment: datetime, *, code: int = 0, error: str | None = None) -> int:
        run_id = self.ledger.runs.begin(command, [], moment)
        self.ledger.runs.end(run_id, moment + timedelta(seconds=20), code, error)
        return run_id

    def skipped(
        self, day: date, *failed: str, net: float = -41.8, minute: int = 35, dry_run: bool = False
    ) -> None:
        """An attempt that these checks stopped."""
        moment = at(day, 9, minute)
        payload = {
            "checks": [{"name": name, "ok": False, "message": "no"} for name in failed],
            "credit": {"gross": net + 12, "commissions": 12, "net": net},
        }
        run_id = self.ran("enter", moment)
        self.ledger.runs.add_decision(
            run_id, "enter", moment, dry_run=dry_run, outcome="dry_run" if dry_run else "skipped", would="skip",
            payload=payload,
        )  # fmt: skip

    def traded(self, day: date, *, spy_out: str = "0.80", hand: bool = False, **fields: object) -> Trade:
        """Sold 10 SPY at 2.24, bought SPX at 18.20; SPX sold again at 5.60, SPY bought back at `spy_out`."""
        hours = session_times(
            day, early=(), entry_time=time(9, 35), entry_cutoff=time(10, 0), exit_check_time=time(15, 45)
        )
        number = 10 * day.toordinal()
        spx, spy = (replace(call, expiry=day, con_id=number + place) for place, call in enumerate((SPX, SPY)))
        entered, left = at(day, 9, 36), at(day, 15, 45)
        trade = a_trade(
            trade_date=day, spx=spx, spy=spy, state=TradeState.ENTERING, entry_time=entered, exit_time=None,
            exit_reason=None, final_pnl=None, limits={STORED_TIMETABLE: stored_day(hours)},
            handed_over_at=entered if hand else None,
        )  # fmt: skip
        trade = self.ledger.trades.create(replace(trade, handed_over_at=None))
        self.filled(trade, LegName.SPX, Purpose.ENTRY, Side.BUY, 1, "18.20", entered)
        self.filled(trade, LegName.SPY, Purpose.ENTRY, Side.SELL, 10, "2.24", entered)
        out = dec(spy_out)
        self.ledger.trades.add_mark(
            Mark(
                trade.id, left - timedelta(seconds=3), dec("677.87"), dec("6799.00"), out - dec("0.02"), out,
                dec("5.60"), dec("5.80"), None,
            )
        )  # fmt: skip
        leaving = Purpose.BY_HAND if hand else Purpose.EXIT
        self.filled(trade, LegName.SPY, leaving, Side.BUY, 10, spy_out, left)
        self.filled(trade, LegName.SPX, leaving, Side.SELL, 1, "5.60", left)
        credit, cost = 2240 - 1820 - 2 * FEE, out * 1000 - 560 + 2 * FEE
        reason: ExitReason | str = "HANDED_OVER" if hand else "TIME"
        given = {"exit_reason": reason, "final_pnl": credit - cost, **fields}
        return self.ledger.trades.move(
            trade.id, given.pop("state", TradeState.CLOSED), entry_credit=credit, exit_cost=cost, exit_time=left,
            entry_filled=True, commissions=4 * FEE, commissions_estimated=False,
            handed_over_at=entered if hand else None, **given,
        )  # fmt: skip

    def filled(
        self,
        trade: Trade,
        leg: LegName,
        purpose: Purpose,
        side: Side,
        quantity: int,
        price: str,
        moment: datetime,
    ) -> None:
        self.orders += 1
        number, contract = self.orders, trade.contract(leg)
        ref = (
            f"spxarb:{self.ledger.tag}:{trade.id}:{leg}:{purpose}1" if purpose is not Purpose.BY_HAND else ""
        )
        if ref:
            ticket = OrderTicket(ref, contract, side, quantity, dec(price))
            self.ledger.orders.intend(OrderRecord(ticket, trade.id, leg, purpose, 1, 1, number, moment))
        execution = Execution(
            f"0000e0d5.{number:08x}.01.01", ref, number, 1, 900 + number, contract.con_id, str(leg), side,
            dec(quantity), dec(price), moment, "DU1", commission=FEE,
        )  # fmt: skip
        self.ledger.fills.record(
            Fill(execution, trade.id, leg, purpose, FEE, commission_estimated=False, commission_estimate=FEE)
        )


def written(path: Path, mode: str = "paper") -> Days:
    """To be closed by its user: `days.ledger.close()`."""
    return Days(Ledger.open(path, mode=mode))
