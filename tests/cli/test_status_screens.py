"""The dashboard at every width: nothing is cut, two spreads fit a small terminal, and trouble comes first."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from spxarb.cli import view
from spxarb.cli.layout import columns_of, lines
from spxarb.cli.screens import fitted, screen
from spxarb.cli.status_screens import Frame, live
from spxarb.core.distances import ExitDistances
from spxarb.core.greeks import GreekSource, PositionGreeks
from spxarb.core.model import NEW_YORK, ExitReason, LegName, TradeStatus
from spxarb.core.price_state import PriceState
from spxarb.core.results.rows import MatterRow
from spxarb.core.results.status import (
    AccountResult,
    ConnectionResult,
    FailsafeResult,
    LastPrices,
    LockResult,
    MarketResult,
    PathsResult,
    PerformanceResult,
    PositionExits,
    RiskResult,
    RoutineResult,
    SessionResult,
    StatusPosition,
    StatusResult,
    SystemResult,
    TradeResult,
    TradingResult,
)
from spxarb.core.risk import LegGreeks, StressRow
from spxarb.core.trades import TradeState

WIDTHS = [80, 100, 120]
DAY = date(2026, 2, 13)
ELLIPSIS = "…"


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


GREEKS = PositionGreeks(GreekSource.GATEWAY, -112.34, -1.0394, 1077.91, -106.38)


def position(number: int, **more: object) -> StatusPosition:
    made = StatusPosition(
        *(number, at("09:35:12"), Decimal(677), Decimal(6800), Decimal("1408.19"), Decimal("-1346.47")),
        TradeStatus.ACTIVE,
        GREEKS,
        spx_contracts=1,
        spy_contracts=10,
        strike_mismatch_points=Decimal("-14.66"),
        worst_case=Decimal("-1285.00"),
    )
    return replace(made, **more)


def exits(number: int) -> PositionExits:
    distances = ExitDistances(
        *(Decimal("687.00"), Decimal("10.12"), Decimal(1500), Decimal("1153.53"), at("15:45"), 18240.0, None)
    )
    return PositionExits(number, at("10:41"), distances, FailsafeResult(True, 10, 10, at("15:50"), "ref"))


def trade(number: int, **more: object) -> TradeResult:
    made = TradeResult(
        *(number, DAY, Decimal("1408.19"), Decimal("-1408.19"), ExitReason.ASSIGNMENT_RISK),
        *(TradeStatus.CLOSED, TradeState.CLOSED, at("09:35"), at("15:45")),
    )
    return replace(made, **more)


def open_trade(number: int) -> TradeResult:
    return trade(number, final_pnl=None, exit_reason=None, status=TradeStatus.ACTIVE, state=TradeState.OPEN)


def matter(number: int, text: str, trade_id: int | None = None) -> MatterRow:
    since = "2026-02-13T10:02:00-05:00"
    return MatterRow(number, f"exit:{number}", trade_id, text, since, since, *[None] * 6)


def full(**more: object) -> StatusResult:
    """Two spreads with four-digit sums, everything connected and known."""
    made = StatusResult(
        "status",
        at("10:41:05"),
        "paper",
        status=SystemResult(True, True, 2, 2),
        account=AccountResult(
            "DU1234567", *map(Decimal, ("1000408.19", "1000000", "873220.11", "3492880.44"))
        ),
        market=MarketResult(Decimal("681.22"), Decimal("6832.10"), Decimal("10.0292")),
        session=SessionResult(DAY, at("09:30"), at("16:00"), False, None, settle_at=at("16:05")),
        positions=(position(11), position(12)),
        market_prices=(PriceState("SPX", "live", False, 1.2), PriceState("SPY", "live", False, 0.4)),
        trades=(open_trade(12), open_trade(11)),
        performance=PerformanceResult(
            *map(Decimal, ("-1041.80", "-1346.47", "-2388.27", "10000")), False, 2, 2
        ),
        connection=ConnectionResult("127.0.0.1", 4002, 2, "DU1234567"),
        trading=TradingResult("ACTIVE"),
        routines=(
            RoutineResult(
                "enter",
                at("09:55"),
                "skipped: credit −$1,041.80 < $1,400.00 (10 of 11 passed)",
                0,
                None,
                at("09:35", DAY + timedelta(days=3)),
            ),
            RoutineResult("monitor", at("10:40"), "2 held", 0, None, at("10:45")),
            RoutineResult(
                "settle", at("16:05", DAY - timedelta(days=1)), "final, net −$1,041.80", 0, None, at("16:05")
            ),
        ),
        paths=PathsResult(
            "/home/trader/.local/state/spxarb/paper/trading.db", True, "/etc/spxarb/config.yaml"
        ),
        exits=(exits(11), exits(12)),
    )
    return replace(made, **more)


def drawn(result: StatusResult, width: int) -> list[str]:
    paper = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    paper.print(view.group(screen(result), width))
    assert isinstance(paper.file, io.StringIO)
    return [line.rstrip() for line in paper.file.getvalue().splitlines()]


def line_with(lines: list[str], text: str) -> str:
    return next(line for line in lines if text in line)


@pytest.mark.parametrize("width", WIDTHS)
def test_two_spreads_with_four_digit_sums_fit_a_small_terminal_uncut(width):
    lines = drawn(full(), width)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    text = "\n".join(lines)
    assert ELLIPSIS not in text
    for panel in (
        "System Status",
        "Account",
        "Daily P&L",
        "Market Prices",
        "Open Positions",
        "Recent Trades",
    ):
        assert panel in text
    for whole in (
        "$1,000,408.19", "$873,220.11", "$3,492,880.44", "−$1,041.80", "−$1,346.47", "−$2,388.27", "24% of",
        "$10,000.00", "6,832.10 live 1 s", "681.22 live 0 s", "10.0292", "#11 ACTIVE", "#12 ACTIVE", "SPY 677",
        "SPX 6800", "credit $1,408.19", "P&L −$1,346.47", "−$1,285.00", "assignment $10.12", "687.00",
        "loss $1,153.53", "5 h 04 min", "15:45", "mismatch −14.66", "fail-safe 10 from 15:50",
        "connected  127.0.0.1:4002  account DU***567  paper", "skipped: credit −$1,041.80 < $1,400.00 (10 of 11", "ACTIVE  lock free", "next 10:45", "next Mon 09:35",
        "Thu 16:05 final, net −$1,041.80", "/home/trader/.local/state/spxarb/paper/trading.db",
        "/etc/spxarb/config.yaml",
    ):  # fmt: skip
        assert any(whole in line for line in lines), whole


def test_a_wide_terminal_says_more_in_words():
    narrow, wide = ("\n".join(drawn(full(), width)) for width in (80, 120))
    for words in (
        "worst case",
        "delta −112.34 gamma −1.04 theta +1,077.91 vega −106.38",
        "entered 09:35:12",
    ):
        assert words in wide
        assert words not in narrow


@pytest.mark.parametrize("width", WIDTHS)
def test_whatever_goes_wrong_at_once_is_still_uncut(width):
    """The longest words of everything, all at once; a number or a word is never split."""
    bad = full(
        positions=(
            position(1011, status=TradeStatus.PENDING, state=TradeState.ENTERING, needs_human=True,
                     what="its entry is neither whole nor undone", entry_credit=None, current_pnl=None),
            position(1012, status=TradeStatus.ERROR, state=TradeState.LOST, needs_human=True,
                     what="how its orders ended is lost: only the statement knows"),
        ),
        exits=(
            replace(exits(1011), distances=replace(
                exits(1).distances, to_assignment=Decimal("-112.40"), to_loss_limit=Decimal("-1000.00"),
                brought_forward="brought forward from 15:50: 15 minutes before the close at 13:00")),
            replace(exits(1012), distances=None, failsafe=FailsafeResult(True, 0)),
        ),
        market_prices=(
            PriceState("SPX", "delayed and frozen", True, 1234.0), PriceState("SPY", None, False, None)
        ),
        trading=TradingResult("STOPPED", "the Federal Open Market Committee speaks at 14:00", "spxarb stop",
                              at("10:02", DAY - timedelta(days=40))),
        lock=LockResult(1234567, "spxarb close-all", "2026-02-13T10:41:01-05:00"),
        routines=(RoutineResult("monitor", at("10:20"), "NEEDS A HUMAN", 6, "what", at("10:45"), at("10:35")),),
        matters=(matter(7, "trade 1011: its entry is neither whole nor undone", 1011),),
        reconciliation=("the account does not hold 10 short SPY calls of trade 1012, and no execution says why",),
        performance=PerformanceResult(
            *map(Decimal, ("-11041.80", "-1346.47", "-12388.27", "10000")), True, 2, 2
        ),
        trades=tuple(trade(1012 - n, trade_date=date(2025, 12, 31) if n > 4 else DAY) for n in range(12)),
    )  # fmt: skip
    lines = drawn(bad, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert ELLIPSIS not in text
    first = text.index("NEEDS A HUMAN: Trade 1011: its entry is neither whole nor undone.")
    assert first < text.index("System Status")
    assert "spxarb ack 7." in " ".join(text.split())
    for whole in (
        "#1011 PENDING: NEEDS A HUMAN", "#1012 ERROR: NEEDS A HUMAN", "Its entry is neither whole nor undone.",
        "How its orders ended is lost: only the statement knows.", "NO FAIL-SAFE", "BREACHED $10,000.00",
        "STOPPED  since 2026-01-04 10:02", "by spxarb stop", "DID NOT RUN at 10:35",
        "process 1234567", "−$12,388.27", "assignment −$112.40", "loss −$1,000.00", "missing",
        "halted, delayed and frozen 1234 s", "2025-12-31 #1007 ASSIGNMENT_RISK −$1,408.19",
        "brought forward from 15:50: 15 minutes before the close at 13:00", "6,832.10", "681.22",
    ):  # fmt: skip
        assert any(whole in line for line in lines), whole
    assert sum(line.count("ASSIGNMENT_RISK") for line in lines) == 10


def test_an_ordinary_word_of_a_trade_says_nothing_of_a_human():
    text = "\n".join(drawn(full(), 80))
    assert "HUMAN" not in text
    expired = position(11, state=TradeState.EXPIRED, what="its calls have expired and are not settled yet")
    text = "\n".join(drawn(full(positions=(expired,)), 80))
    assert "Its calls have expired and are not settled yet." in text


def test_greeks_are_shown_only_where_the_configuration_wants_them():
    assert "Δ" in "\n".join(drawn(full(), 80))
    without = "\n".join(drawn(full(show_greeks=False), 80))
    assert "Δ" not in without
    assert "mismatch −14.66" in without


def test_what_was_marked_earlier_is_shown_with_its_age():
    old = [replace(one, as_of=at("10:40"), failsafe=FailsafeResult(True, None, 10)) for one in full().exits]
    states = (PriceState("SPX", "live", False, 1.0),)
    offline = full(
        status=SystemResult(True, False, 2, 2),
        account=AccountResult(),
        market=MarketResult(),
        market_prices=(),
        exits=tuple(old),
        last_prices=LastPrices(at("09:36"), Decimal("6832.10"), Decimal("681.22"), states),
    )
    lines = drawn(offline, 80)
    assert line_with(lines, "gateway").split()[1:3] == ["not", "asked"]
    assert "marked 10:40, 1 min ago" in line_with(lines, "Open Positions")
    assert any("marked 09:36, 1 h 05 min ago" in line for line in lines)
    assert any("fail-safe sent 10" in line for line in lines)
    assert len(lines) <= 24
    failed = drawn(replace(offline, exit_code=4, error="Nothing listens."), 80)
    assert line_with(failed, "gateway").split()[1:3] == ["NOT", "CONNECTED"]


def test_a_ledger_that_is_not_there_is_named_with_its_path():
    lines = drawn(
        full(paths=PathsResult("/nowhere/trading.db", False), positions=(), exits=(), trades=()), 80
    )
    assert line_with(lines, "ledger") == "ledger   /nowhere/trading.db  there is none"
    assert line_with(lines, "config").endswith("no file: the defaults")
    assert "Open Positions  none" in lines
    assert "Recent Trades  none" in lines


@pytest.mark.parametrize("height", [12, 18, 24, 30, 50])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_live_screen_is_never_higher_than_its_window_and_hides_no_trouble(width, height):
    error = "The account does not hold 10 short SPY calls of trade 12, and no execution says why. Look at it."
    result = full(
        exit_code=6, error=error, notes=("A note.",) * 3, trades=tuple(map(trade, range(30, 0, -1)))
    )
    lines = [
        "".join(t if isinstance(t, str) else t[0] for t in line)
        for line in live(result, Frame(width, height))
    ]
    assert len(lines) <= height
    text = " ".join(" ".join(lines).split())
    assert error in text
    assert "#11 ACTIVE" in text
    assert "#12 ACTIVE" in text
    if height >= 24:
        assert "more" not in lines[-1]
        assert "Daily P&L" in text
    chart = ["P&L today", *["x"] * 7]
    tall = live(result, Frame(width, height), chart)
    assert len(tall) <= height
    assert (["x"] in tall) is (height == 50)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "more", [{}, {"matters": (matter(1, "Sell 10 SPY."),), "notes": ("A note.",) * 3}], ids=["", "trouble"]
)
def test_what_has_no_room_leaves_by_whole_panels_and_is_named(width, more):
    result = full(trades=tuple(map(trade, range(30, 0, -1))), **more)
    shown = ["".join(text for text, _ in line) for line in lines(fitted(result, width, 23), width)]
    assert len(shown) <= 23
    text = " ".join(" ".join(shown).split())
    assert ("#11 ACTIVE" in text, "#12 ACTIVE" in text, "NEEDS A HUMAN" in text) == (True, True, bool(more))
    left = text[text.index("Not shown: ") :]
    assert left.endswith("With --full everything is.")
    for name, mark in {
        "ledger and configuration": "/etc/spxarb/config.yaml",
        "notes": "A note.",
        "account, daily P&L and prices": "buying power",
        "system": "gateway connected",
    }.items():
        assert (mark in text) is (name not in left and (bool(more) or name != "notes")), name


@pytest.mark.parametrize("width", WIDTHS)
def test_of_risk_the_stress_table_and_the_positions_stay(width):
    row = StressRow(*map(Decimal, ("-0.02", "6585.13", "656.60", "200.92", "227.94", "255.20", "816.38")))
    leg = LegGreeks(11, LegName.SPX, Decimal(1), GreekSource.GATEWAY, 0.16, 0.88, 0.0043, -9.86, 0.59)
    result = full(risk=RiskResult((leg,) * 4, (row,) * 7))
    shown = ["".join(text for text, _ in line) for line in lines(fitted(result, width, 23), width)]
    assert len(shown) <= 23
    text = " ".join(" ".join(shown).split())
    assert text.count("6,585.13") == 7
    assert ("#11 ACTIVE" in text and "#12 ACTIVE" in text) or "open positions" in text[
        text.index("Not shown: ") :
    ]
    assert "account, daily P&L and prices" in text[text.index("Not shown: ") :]


def test_an_exit_by_time_that_is_due_says_so():
    due = replace(exits(11), distances=replace(exits(11).distances, to_time_exit=0.0))
    for width, said in ((80, "time DUE (15:45)"), (120, "time DUE since 15:45")):
        assert said in "\n".join(drawn(full(exits=(due, exits(12))), width))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_path_is_broken_after_a_slash_and_a_long_reason_between_words(width):
    """No line is wider than the terminal counts it: a wide letter takes two of its columns."""
    ledger = "/srv" + "/a-folder-of-some-length" * 6 + "/trading.db"
    reason = "the Federal Open Market Committee speaks; " * 5 + "休暇" * 60
    result = full(
        paths=PathsResult(ledger, True, None), trading=TradingResult("STOPPED", reason, "spxarb stop")
    )
    lines = drawn(result, width)
    assert max(map(columns_of, lines)) <= width
    start = next(place for place, line in enumerate(lines) if line.startswith("ledger"))
    first, second = lines[start : start + 2]
    assert first.endswith("/")
    assert second.strip().startswith("a-folder-of-some-length")
    text = "".join("".join(lines).split())
    assert ledger in text
    assert "".join(reason.split()) in text


def test_two_spreads_and_a_prompt_fit_a_small_terminal_without_a_connection_too():
    """The marks' age and a fail-safe that was sent are told, and no greek gets a line of its own."""
    sent = FailsafeResult(None, None, 10, at("15:50"), "ref")
    small = position(
        1, greeks=PositionGreeks(GREEKS.source, -0.499, 0.002, -2.4, 0.41), strike_mismatch_points=1.05
    )
    result = full(
        status=SystemResult(True, None, 2, 2),
        positions=(small, replace(small, trade_id=2)),
        exits=(replace(exits(1), failsafe=sent), replace(exits(2), failsafe=sent)),
    )
    lines = drawn(result, 80)
    assert sum("fail-safe sent 10 from 15:50" in line and "Δ" in line for line in lines) == 2
    assert len(lines) <= 23, "\n".join(lines)


def test_a_difference_that_is_a_matter_already_is_told_once():
    told = "the account does not hold 10 short SPY calls of trade 12, and no execution says why"
    text = " ".join(" ".join(drawn(full(matters=(matter(7, told, 12),), reconciliation=(told,)), 80)).split())
    assert text.count("no execution says why") == 1
    assert "spxarb ack 7." in text
