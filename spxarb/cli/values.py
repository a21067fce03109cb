"""The values that options take: words of a choice, days, times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from reprlib import repr  # noqa: A004 -- a short form of what may be a million digits
from typing import Annotated

import typer

LARGEST_ID = 2**63 - 1
"""Of a row in the ledger."""
MatterId = Annotated[
    int | None,
    typer.Argument(metavar="ID", max=LARGEST_ID, help="The matter; without it the open ones are listed."),
]
TradeId = Annotated[
    int, typer.Argument(metavar="TRADE", max=LARGEST_ID, help="Its number: `spxarb status` shows it.")
]


@dataclass(frozen=True)
class DaySpan:
    """The first and the last day of a period."""

    first: date
    last: date


class Table(StrEnum):
    """What `report --csv` can write."""

    TRADES = "trades"
    DAYS = "days"
    EXECUTIONS = "executions"
    SETTLEMENTS = "settlements"
    TAX = "tax"


class ClockMove(StrEnum):
    """What `sim` can tell a gateway that runs already."""

    SET_TIME = "set-time"
    STEP = "step"


class Margin(StrEnum):
    """The simulated broker's margin rules."""

    REG_T = "reg-t"
    PORTFOLIO = "portfolio"


def regimes(begun: str) -> list[tuple[str, str]]:
    """What the name of a kind of day may become, for a shell that asks; each with its sentence."""
    from spxarb.sim.server import regimes as known  # noqa: PLC0415 -- only this question needs it

    return [(name, says) for name, says in known().items() if name.startswith(begun)]


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{repr(text)} is not a date such as 2026-02-13") from None


def month(text: str) -> DaySpan:
    """The first and the last day of `2026-02`."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise typer.BadParameter(f"{repr(text)} is not a month such as 2026-02") from None
    return DaySpan(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def year(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) == 4 and text > "1900"):
        raise typer.BadParameter(f"{repr(text)} is not a year such as 2026")
    return int(text)


def dollars(text: str) -> Decimal:
    """An amount above 0, with or without a dollar sign and thousands separators."""
    try:
        value = Decimal(text.strip().removeprefix("$").replace(",", "").replace("_", ""))
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite() or not 1 <= value <= 10**12:
        raise typer.BadParameter(f"{repr(text)} is no amount of dollars such as 50000")
    return value


def clock_time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{repr(text)} is not a time such as 15:30") from None
