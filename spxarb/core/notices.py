"""What a human may want to hear of a command: entered, exited, failed, the day's result. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from spxarb.core.brief import brief_of, dollars, result_of, stopping_checks
from spxarb.core.plain import plain
from spxarb.core.sentences import sentence, sentences_of, trouble_of, upper_first

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.core.result import Result


class NoticeKind(StrEnum):
    """A key of `notifications` each; the one that matters most first."""

    HUMAN = "human_needed"
    ERROR = "error"
    MISSED = "missed_run"
    SKIPPED = "skipped_by_fault"
    EXIT = "exit"
    ENTRY = "entry"
    SUMMARY = "daily_summary"


SUBJECTS = {
    NoticeKind.ERROR: "it failed",
    NoticeKind.MISSED: "a run was missed",
    NoticeKind.SKIPPED: "no entry, by a fault",
    NoticeKind.EXIT: "a spread was exited",
    NoticeKind.ENTRY: "a spread was entered",
    NoticeKind.SUMMARY: "the day",
}
HOUR, A_DAY, EVER = timedelta(hours=1), timedelta(hours=20), timedelta(days=7)
"""For how long the same is not told again; a day is a bit less, so that timers of the same time tell it."""
FAULTS = frozenset(
    {
        *("market_data", "halted", "quote_age", "legs_apart", "index_price", "ratio_drift"),
        *("underlying_drift", "credit_plausible", "second_look", "margin"),
    }
)
"""Checks that fail by what is wrong with data, clock or answers, and not by what the market offers."""
OFFLINE = frozenset({"time_window", "trading_enabled", "going_live", "max_trades", "daily_loss"})
"""Checks that ledger and calendar answer: where one of them failed, no fault has prevented an entry."""
FAILED = frozenset({1, 3, 4, 5, 7})
"""Exit codes of a job that did not do its work; 6 is more than that, 2 and a signal are somebody's wish."""
HUMAN_NEEDED = 6
JOBS = frozenset({"enter", "monitor", "settle", "close-all", "hand-over"})


@dataclass(frozen=True)
class Notice:
    """One thing to tell; `key` is the same for the same, which is told once in `silence`."""

    kind: NoticeKind
    text: str
    key: str
    silence: timedelta = HOUR

    @property
    def troubles(self) -> frozenset[str]:
        """What of it may have been told already, each by itself.

        A text has a sentence for each trouble: where one of them ends, the rest is no new one.
        """
        if self.kind is NoticeKind.HUMAN:
            return frozenset(map(trouble_of, sentences_of(self.text)))
        return frozenset({self.key})


def human_needed(text: str, *, daily: bool = False) -> Notice:
    """Of what must be looked at; `daily`: it is told once a day."""
    return Notice(NoticeKind.HUMAN, text, trouble_of(text), A_DAY if daily else HOUR)


def missed_run(text: str) -> Notice:
    return Notice(NoticeKind.MISSED, text, text, EVER)


def failure(text: str) -> Notice:
    """Of a job that failed; that another job fails by the same is the same trouble."""
    return Notice(NoticeKind.ERROR, text, f"failed: {trouble_of(text)}")


def notices_of(result: Result) -> list[Notice]:
    """What happened, as far as it is good to know; what needs a human comes from elsewhere."""
    fields = plain(result.own())
    found = _OF[result.command](result, fields) if result.command in _OF else []
    if result.command in JOBS and int(result.exit_code) in FAILED:
        found.append(failure(result.error or f"Exit code {result.exit_code}."))
    return found


def subject(command: str, notices: list[Notice]) -> str:
    """The subject of an alert that needs nobody at once."""
    kinds = [kind for kind in NoticeKind if kind in {notice.kind for notice in notices}]
    told = SUBJECTS.get(kinds[0]) if kinds else None
    return f"spxarb {command}: {told}" if told else f"spxarb {command}"


def title_of(command: str, exit_code: int) -> str:
    """The subject of an alert of what must be looked at."""
    return f"spxarb {command}{': a human is needed now' if exit_code == HUMAN_NEEDED else ''}"


def _enter(result: Result, fields: Mapping[str, Any]) -> list[Notice]:
    words = upper_first(brief_of("enter", {**fields, "notes": result.notes}, dry_run=False))
    trade = fields.get("trade_id")
    match fields.get("outcome"):
        case "entered":
            return [Notice(NoticeKind.ENTRY, f"{words}.", f"entry {trade}", EVER)]
        case "aborted":
            return [Notice(NoticeKind.ENTRY, f"{words}.", f"entry {trade}", EVER)]
        case "skipped" if int(result.exit_code) == 0 and _prevented(fields["checks"]):
            text = sentence(words)
            return [Notice(NoticeKind.SKIPPED, text, trouble_of(text))]
    return []


def _prevented(checks: list[dict[str, Any]]) -> bool:
    """Whether a fault prevented an entry that ledger and calendar allowed."""
    stopping = {str(check.get("name")): check for check in stopping_checks(checks)}
    unknown = any(check.get("ok") is None for check in stopping.values())
    return not OFFLINE & stopping.keys() and (unknown or bool(FAULTS & stopping.keys()))


def _managed(_: Result, fields: Mapping[str, Any]) -> list[Notice]:
    found = []
    for position in fields.get("positions") or []:
        if position.get("action") == "closed":
            trade, why = position.get("trade_id"), position.get("exit_reason")
            residual = ", ".join(map(str, position.get("residual") or []))
            rest = f"; {residual} left to cash settlement" if residual else ""
            text = f"Exited trade {trade} ({why}), P&L {dollars(result_of(position))}{rest}."
            found.append(Notice(NoticeKind.EXIT, text, f"exit {trade}", EVER))
    return found


def _settle(result: Result, fields: Mapping[str, Any]) -> list[Notice]:
    summary = fields.get("summary") or {}
    if summary.get("date") != result.at.date().isoformat() or fields.get("session_over") is False:
        return []  # an earlier day, or one that goes on: a timer fires for half-days on every day
    text = f"{summary['date']}: {brief_of('settle', fields, dry_run=False)}."
    return [Notice(NoticeKind.SUMMARY, text, f"day {text}", EVER)]


_OF = {"enter": _enter, "monitor": _managed, "close-all": _managed, "settle": _settle}
