"""The values that options take: words of a choice, days, times."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum

import typer


class Table(StrEnum):
    """What `report --csv` can write."""

    TRADES = "trades"
    DAYS = "days"
    EXECUTIONS = "executions"
    SETTLEMENTS = "settlements"


class ClockMove(StrEnum):
    """What `sim` can tell a gateway that runs already."""

    SET_TIME = "set-time"
    STEP = "step"


class Margin(StrEnum):
    """The simulated broker's margin rules."""

    REG_T = "reg-t"
    PORTFOLIO = "portfolio"


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2026-02-13") from None


def clock_time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 15:30") from None
