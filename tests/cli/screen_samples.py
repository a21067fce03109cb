"""Results with the longest of everything: four-digit and negative sums, the longest reasons and statuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from spxarb.core.checks import ENTRY_CHECKS, MARGIN, SECOND_LOOK
from spxarb.core.entry_check import Check
from spxarb.core.entry_view import PriceSource
from spxarb.core.events import EventKind, Explained
from spxarb.core.fees import FeeComparison
from spxarb.core.going_live import Advice
from spxarb.core.greeks import GreekSource, PositionGreeks
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side, TradeStatus
from spxarb.core.price_state import PriceState
from spxarb.core.result import Result, result_type
from spxarb.core.results.actions import Action
from spxarb.core.results.config import ConfigFiles, SettingRow
from spxarb.core.results.doctor import DoctorLine, DoctorMargin, MarginFigures
from spxarb.core.results.enter import EntryCredit, EntryLeg, EntryOutcome, EntryPrices, Verdict
from spxarb.core.results.going_live import LiveReadiness
from spxarb.core.results.hand_over import EndedOrder, HandedLeg
from spxarb.core.results.log import LogEntry
from spxarb.core.results.positions import ManagedPosition
from spxarb.core.results.reconcile import Agreement, DifferenceRow, StatementRead
from spxarb.core.results.report_rows import DayRow, SettlementRow, TradeRow
from spxarb.core.results.rows import MatterRow
from spxarb.core.results.status import (
    AccountResult,
    MarketResult,
    PerformanceResult,
    PositionPrices,
    SessionResult,
    StatusPosition,
    SystemResult,
    TradeResult,
)
from spxarb.core.results.timers import TimerRow, UnitRow, UnitState
from spxarb.core.results.watchdog import AlarmRow
from spxarb.core.run_gaps import FailingRuns, MissingRuns
from spxarb.core.statement import StatementKind
from spxarb.core.statement_findings import Claim
from spxarb.core.statistics import statistics
from spxarb.core.strategy import Risk
from spxarb.core.trades import TradeState
from spxarb.core.trading_state import StillTrue, TradingResult

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = datetime(2026, 12, 29, 15, 45, 59, tzinfo=NEW_YORK)
DAY = date(2026, 12, 29)
FOLDER = "/var/lib/spxarb/paper/"


def longest(words: Sequence[Any]) -> Any:
    return max(words, key=len)


REASON: ExitReason = longest(list(ExitReason))
STATUS: TradeStatus = longest(list(TradeStatus))
SUMS = tuple(map(Decimal, ("-1234.56", "9876.54")))


def made(command: str, **fields: Any) -> Result:
    return result_type(command)(command, AT, "paper", **fields)


# --- enter ----------------------------------------------------------------------------------------

SENTENCES = {
    "time_window": "It is 11:20:59 in New York, outside the entry window 09:35-10:00.",
    "trading_enabled": "Trading is stopped: the account was funded less than was thought, see the mail of Monday.",
    "daily_loss": (
        "The day's net result is -$1,234.56, a loss of more than the limit of $1,000.00; "
        "entries are stopped for today."
    ),
    "market_data": (
        "The SPX index has no last price; the SPY stock has no bid; the SPX call is delayed, not live; "
        "the SPY call is crossed."
    ),
    "index_price": (
        "SPX by put-call parity of 5 strikes is 6797.3625 within 0.1234; the index print is 12.345 away, more "
        "than 2; the ratio last measured x SPY is 10.678 away, more than 5; the mismatch of the strikes may be "
        "off by 2.30, more than 2."
    ),
    "net_credit": (
        "The spread would bring -$1,234.56 net of $11.79 commissions, less than $1,400.00, as configured."
    ),
}
MEASURED = {
    "time_window": "11:20:59",
    "net_credit": Decimal("-1234.56"),
    "tracking_ratio": Decimal("10.031234"),
    "credit_plausible": Decimal("-1234.56"),
}
NAMES = (*ENTRY_CHECKS, SECOND_LOOK, MARGIN)


def checks(failing: Sequence[str], unknown: Sequence[str] = (SECOND_LOOK, MARGIN)) -> tuple[Check, ...]:
    return tuple(
        Check(
            name,
            None if name in unknown else name not in failing,
            MEASURED.get(name, Decimal("1.2345")),
            1400,
            SENTENCES.get(name, "Not asked, because another check failed already."),
        )
        for name in NAMES
    )


LEGS = tuple(
    EntryLeg(name, kind, DAY, Decimal(strike), "C", side, quantity, bid, bid, bid)
    for name, kind, strike, side, quantity, bid in (
        (LegName.SPX, "SPXW", "6797.5", Side.BUY, 10, Decimal("1017.80")),
        (LegName.SPY, "SPY", "677.5", Side.SELL, 100, Decimal("102.21")),
    )
)
PRICES = EntryPrices(
    Decimal("677.52"),
    Decimal("6797.36"),
    Decimal("10.0328"),
    PriceSource.PARITY,
    Decimal("10.12"),
    Decimal("6797.31"),
)
RISK = Risk(
    Decimal("-109.70"),
    Decimal("-1650.58"),
    Decimal("-1518.00"),
    mismatch_uncertainty=Decimal("10.31"),
)
CREDIT = EntryCredit(Decimal("-1222.77"), Decimal("1011.79"), Decimal("-1234.56"))
PASSING = checks(())


def entry(outcome: EntryOutcome | None, answers: tuple[Check, ...], **fields: Any) -> Result:
    would = Verdict.ENTER if all(check.ok is not False for check in answers) else Verdict.SKIP
    shown = {"legs": LEGS, "prices": PRICES, "credit": CREDIT, "risk": RISK, **fields}
    return made("enter", outcome=outcome, would=would, checks=answers, **shown)


# --- positions ------------------------------------------------------------------------------------


def managed(trade: int, pnl: Decimal | None, action: Action, *residual: LegName) -> ManagedPosition:
    reason = None if action is Action.HELD else REASON
    strikes = Decimal("677.5"), Decimal("6797.5")
    return ManagedPosition(trade, AT, *strikes, Decimal("-1234.56"), pnl, STATUS, reason, action, residual)


POSITIONS = (
    managed(1001, Decimal("-1234.56"), Action.FAILED),
    managed(1002, Decimal("9876.54"), Action.CLOSED, LegName.SPX),
)
HELD = (managed(1001, SUMS[0], Action.HELD), managed(1002, None, Action.HELD))
WOULD = (managed(1001, SUMS[0], Action.WOULD_CLOSE), managed(1002, SUMS[1], Action.WOULD_CLOSE))
DIFFERENCE = "the account shows -10 SPY 2026-12-29 677.5 C where the ledger has -100: 90 contracts were bought by others"

# --- rows -----------------------------------------------------------------------------------------


def trade_row(number: int, pnl: float | None) -> TradeRow:
    blank = dict.fromkeys(TradeRow.columns())
    told = {
        "id": number,
        "trade_date": "2026-12-29 09:35:00",
        "spy_strike": 677.5,
        "spx_strike": 6797.5,
        "entry_credit": -1234.56,
        "exit_cost": 9876.54,
        "exit_reason": REASON,
        "final_pnl": pnl,
        "commissions": 1023.58,
        "status": STATUS,
    }
    return TradeRow.of({**blank, **told})


TRADES = (trade_row(1001, -1234.56), trade_row(1002, 9876.54))
SUMMARY = DayRow(1, "2026-12-29", 12, 10, 12, -1234.56, 1023.58, -9876.54, 1234.56)
SETTLEMENTS = tuple(
    SettlementRow(
        1001, leg, "provisional", -100.0, 6797.36, -1234.56, 9876.54, "closing price", AT.isoformat()
    )
    for leg in LegName
)
MATTERS = tuple(
    MatterRow(
        **{
            **dict.fromkeys(MatterRow.columns()),
            "id": number,
            "since": AT.isoformat(),
            "text": f"Trade {number}: 100 SPY calls are short without their hedge since 15:45:59, and nobody knows why",
        }
    )
    for number in (101, 102)
)

# --- status ---------------------------------------------------------------------------------------

GREEKS = PositionGreeks(GreekSource.OWN, -1234.56, -0.1234, 1234.56, -1234.56)
STATE = PriceState("the SPY call", "delayed and frozen", halted=False, age_seconds=1234.5)

SAMPLES: dict[str, Result] = {
    "enter, entered": entry(EntryOutcome.ENTERED, checks((), ()), trade_id=1001),
    "enter, no credit": entry(EntryOutcome.SKIPPED, checks(["net_credit"])),
    "enter, all fails": entry(EntryOutcome.SKIPPED, checks(NAMES[:-2])),
    "enter, silence": entry(EntryOutcome.SKIPPED, checks(["market_data"], NAMES[5:])),
    "enter, undone": entry(EntryOutcome.ABORTED, checks((), ()), trade_id=1001),
    "enter, dry": entry(EntryOutcome.DRY_RUN, PASSING),
    "enter, dry and late": entry(EntryOutcome.DRY_RUN, checks(["time_window", "net_credit"])),
    "enter, no gateway": entry(
        None,
        checks(["time_window"], NAMES[4:]),
        legs=(),
        prices=EntryPrices(),
        credit=EntryCredit(),
        risk=Risk(),
    ),
    "monitor, held": made("monitor", positions=HELD, asked_broker=True),
    "monitor, exits": made(
        "monitor", positions=POSITIONS, asked_broker=True, reconciliation=(DIFFERENCE, DIFFERENCE)
    ),
    "monitor, quiet": made(
        "monitor", notes=("Nothing is open in the ledger /var/lib/spxarb/paper/trading.db.",)
    ),
    "close-all": made("close-all", positions=POSITIONS, flat=False, asked_broker=True),
    "close-all, not borne out": made(
        "close-all", positions=POSITIONS, flat=True, asked_broker=True, reconciliation=(DIFFERENCE,)
    ),
    "close-all, dry": made("close-all", positions=WOULD, flat=False, asked_broker=True),
    "settle": made("settle", trades=TRADES, settlements=SETTLEMENTS, summary=SUMMARY),
    "start": made("start", is_trading=True, reason="the margin was raised after Monday's call"),
    "stop": made(
        "stop",
        is_trading=False,
        reason="the margin was raised after Monday's call",
        trading=TradingResult(
            "STOPPED",
            "the margin was raised after Monday's call",
            "spxarb close-all",
            AT,
            tuple(StillTrue),
        ),
    ),
    "watchdog": made(
        "watchdog",
        ledger=f"{FOLDER}trading.db",
        ledger_read=True,
        watching=True,
        open=("trade 1001 (handed over: yours to close)", "an order of trade 1002", "matter 12"),
        last_monitor=AT,
        last_settle=AT,
        minutes=10,
        alarms=(
            AlarmRow("monitor", "No `monitor` has succeeded for 25 minutes, and trade 1001 is open.", True),
            AlarmRow("ledger", SENTENCES["market_data"], False),
        ),
    ),
    "status": made(
        "status",
        status=SystemResult(is_trading=False, is_connected=True, open_positions=2, trades_today=2),
        account=AccountResult("DU1234567", *[Decimal("1234567.89")] * 4),
        market=MarketResult(Decimal("677.52"), Decimal("6797.36"), Decimal("10.0328")),
        session=SessionResult(DAY, AT, AT, True, "half-day", AT, AT, AT, AT, "The broker closes at 13:00"),
        positions=tuple(
            StatusPosition(number, AT, Decimal("677.5"), Decimal("6797.5"), *SUMS, STATUS, GREEKS)
            for number in (1001, 1002)
        ),
        market_prices=(STATE,),
        prices=(PositionPrices(1001, (STATE, STATE)),),
        trades=tuple(
            TradeResult(number, DAY, *SUMS, REASON, STATUS, TradeState.CLOSED, AT, AT)
            for number in (1001, 1002)
        ),
        performance=PerformanceResult(*SUMS, SUMS[0], Decimal(1000), True, 12, 12),
        matters=MATTERS,
    ),
    "config": made(
        "config",
        settings=(
            SettingRow("trading.min_entry_credit", Decimal(1400), "environment", "MIN_ENTRY_CREDIT"),
            SettingRow("storage.database", FOLDER + "trading.db", "yaml", FOLDER + "config.yaml (line 12)"),
            SettingRow("SPXARB_NOTIFY_URL", "***", "dotenv", "SPXARB_NOTIFY_URL in /etc/spxarb/.env"),
        ),
        files=ConfigFiles(FOLDER + "config.yaml", "--config", FOLDER + ".env", FOLDER + "trading.db"),
        problems=("dashboard.port (line 31): 99999 is not a whole number from 1 to 65535",),
    ),
    "backup": made(
        "backup",
        file=FOLDER + "backups/paper-2026-12-29T16-06-01.tar.gz",
        bytes=1234567,
        digest="5f" * 32,
        contents=("trading.db", "config.yaml", ".env", "trading.log", "manifest.json"),
        left_out=("SPXARB_NOTIFY_URL (.env)", "notifications.smtp_password_file"),
        deleted=(FOLDER + "backups/paper-2026-09-29T16-06-01.tar.gz",),
    ),
    "restore": made(
        "restore",
        file=FOLDER + "backups/paper-2026-12-29T16-06-01.tar.gz",
        restored=True,
        ledger=FOLDER + "trading.db",
        kept=FOLDER + "trading.db.before-2026-12-29T16-06-01",
        made_at=AT,
        digest="5f" * 32,
        digest_matches=True,
        same_as_ledger=False,
        open_trades=(1001, 1002),
    ),
    "timers": made(
        "timers",
        action="status",
        scheduler="systemd",
        user=False,
        folder="/etc/systemd/system",
        timers=tuple(
            TimerRow(f"spxarb-{name}.timer", "spxarb monitor", True, False, False, AT, AT, (AT, AT, AT))
            for name in ("enter", "monitor", "settle", "watchdog", "alerts")
        ),
        units=(UnitRow("/etc/systemd/system/spxarb-watchdog.service", longest(list(UnitState))),),
        disagreements=("spxarb-enter.timer fires 09:35 to 09:55, 5 times a day, and not from 09:45 on.",),
    ),
    "timers install": made(
        "timers",
        action="install",
        scheduler="systemd",
        user=True,
        dry_run=True,
        folder="/home/somebody/.config/systemd/user",
        timers=(TimerRow("spxarb-watchdog.timer", "spxarb watchdog", True, due=(AT, AT, AT)),),
        units=(
            UnitRow(
                "/home/somebody/.config/systemd/user/spxarb-watchdog.service",
                longest(list(UnitState)),
                "replaced, the old kept as spxarb-watchdog.service.bak",
                "[Service]\nType=oneshot\n",
            ),
        ),
    ),
    "send-alerts": made("send-alerts", waited=50, sent=50),
    "report": made(
        "report",
        trades=TRADES,
        days=(SUMMARY, replace(SUMMARY, date="2026-12-28")),
        settlements=SETTLEMENTS,
        statistics=statistics([*SUMS, *SUMS]),
        fees=FeeComparison(1234, Decimal("1234.56"), Decimal("9876.54"), Decimal("-8641.98")),
        matters=MATTERS,
    ),
    "report --explain": made(
        "report",
        explained=DAY,
        explanation=tuple(
            Explained(AT.isoformat(), kind, SENTENCES["index_price"], {}) for kind in EventKind
        ),
    ),
    "log": made(
        "log",
        missing_runs=(MissingRuns("monitor", AT, AT, 77),),
        failing_runs=(FailingRuns("close-all", AT, 77, AT),),
        day=DAY,
        entries=(
            LogEntry(
                AT.isoformat(),
                1001,
                "close-all",
                True,
                "2 would_close, 1 failed",
                "2 would be closed, 1 could not be: credit -$1,234.56 < $1,400.00 (10 of 17 passed)",
                SENTENCES["market_data"],
                {},
                6,
                SENTENCES["net_credit"],
            ),
        ),
    ),
    "reconcile": made(
        "reconcile",
        statement=StatementRead("statement.xml", StatementKind.ACTIVITY, "U1234567", DAY, DAY),
        agreed=Agreement(12, 1234, 1234, 12),
        differences=tuple(
            DifferenceRow(Claim.COMMISSION, 1001, DIFFERENCE, *SUMS, can_be_supplied=True, needs_human=True)
            for _ in range(2)
        ),
        unchecked=(DIFFERENCE,),
        supplied=(DIFFERENCE,),
    ),
    "doctor": made(
        "doctor",
        checks=tuple(
            DoctorLine(name, ok, SENTENCES["market_data"], "Subscribe to the market data of SPX and SPY")
            for name, ok in (("configuration", True), ("market data subscription", False), ("clock", None))
        ),
        margin=DoctorMargin(
            True,
            "EUR",
            *[Decimal("1234567.89")] * 6,
            rules="reg-t",
            if_assigned=Decimal("1234567.89"),
            parts=tuple(
                MarginFigures(
                    part, "100 SPY calls short", *[Decimal("123456.78"), None], *[Decimal("9876.54")] * 2
                )
                for part in ("short", "long", "both")
            ),
            explained=(SENTENCES["index_price"],),
        ),
        going_live=LiveReadiness(
            "shut",
            "3 of 10 days on paper; 14 facts not seen; too few trades to tell: win_rate, average_profit",
            advice=(
                Advice("win_rate", "85 % or more", "67 % in 1234: too few to tell", None),
                Advice("capital", "$50,000.00 or more", "$1,234,567.89", True),
                Advice("spreads_a_day", "one at first", "2 by /etc/spxarb/config.yaml (line 123)", False),
            ),
        ),
    ),
    "ack": made("ack", matters=MATTERS),
    "hand-over": made(
        "hand-over",
        trade_id=1001,
        legs=tuple(
            HandedLeg(name, kind, DAY, Decimal("6797.5"), "C", quantity)
            for name, kind, quantity in ((LegName.SPX, "SPXW", 10), (LegName.SPY, "SPY", -100))
        ),
        orders=(EndedOrder("spxarb:1a2b3c4d:1001:SPY:f12", Side.BUY, LegName.SPY, 100, Decimal(100), False),),
    ),
    "record": made(
        "record", file="/home/trader/days/2026-12-29.csv.gz", rows=1234567, lines=100, left_out=12
    ),
    "sim": made("sim", host="127.0.0.1", port=14002, control_port=50123, market="a synthetic day, rich-spy"),
    "demo": made("demo", trades=TRADES, days=(SUMMARY,), settlements=SETTLEMENTS),
}
"""By name: the command, and what is special of it. Every command has one."""
TALL = frozenset(
    {
        "report",
        "report --explain",
        "timers install",
        "doctor",
        "config",
        "status",
        "enter, all fails",
        "reconcile",
    }
)
"""Those that may be taller than 24 lines: what they list is longer than a screen."""
