"""What `watchdog` shows: its verdict, what is open, and who looked after it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, Block, Line, Pairs, moment, words

if TYPE_CHECKING:
    from spxarb.cli.blocks import Cell
    from spxarb.core.results.watchdog import AlarmRow, WatchdogResult

NEVER = "never"


def watchdog(result: WatchdogResult) -> list[Block]:
    """The verdict first."""
    if result.alarms:
        verdict = [Line(f"{alarm.text}{_told(alarm)}", BAD) for alarm in result.alarms]
    elif result.open:
        verdict = [Line("What is open is looked after.", GOOD)]
    elif result.open is None:  # a note says why
        verdict = []
    else:
        verdict = [Line("Nothing is open.", GOOD)]
    rows: list[tuple[str, Cell]] = [
        (
            "open",
            ", ".join(result.open) if result.open else words(None) if result.open is None else "nothing",
        ),
        ("last monitor", moment(result.last_monitor, "%Y-%m-%d %H:%M") if result.last_monitor else NEVER),
        ("last settle", moment(result.last_settle, "%Y-%m-%d %H:%M") if result.last_settle else NEVER),
        ("SPY options trade", words(result.watching)),
        ("ledger", words(result.ledger)),
    ]
    return [*verdict, Pairs("", rows)]


def _told(alarm: AlarmRow) -> str:
    return {True: " An alert was sent.", False: " The alert was not sent.", None: ""}[alarm.told]
