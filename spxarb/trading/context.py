"""What a job stands on: configuration, ledger, lock, log; and how every command ends.

No connection: that is `trading/connected.py`. A job ends in two steps. `JobContext.finish`, while it still
holds the lock, writes down what was decided and makes the result whole: its exit code is the one that wins
where several apply. `JobContext.end`, the last act, writes down the run's end and sends the one alert that
the run may send. Neither raises: what fails there is told beside the rest and lowers no exit code.
"""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from spxarb import interruption, logs
from spxarb.core import budgets
from spxarb.core.budgets import EXITS, PROOF_SECONDS
from spxarb.core.model import NEW_YORK
from spxarb.core.sentences import lower_first, sentence
from spxarb.errors import (
    PRECEDENCE,
    ConfigError,
    Exit,
    GatewayError,
    HumanNeededError,
    RefusedError,
    SpxarbError,
    as_failure,
    worst,
)
from spxarb.ledger.rows import known_moment
from spxarb.trading import bookkeeping, run_lines
from spxarb.trading.ledger_lock import ledger_lock
from spxarb.trading.limits_in_force import limits_of, stored_config
from spxarb.trading.other_ledgers import told_of
from spxarb.trading.waits import WaitClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from spxarb.broker.clock import Clock
    from spxarb.config.load import Config
    from spxarb.core.entry_check import Check
    from spxarb.core.fees import FeeSchedule
    from spxarb.core.going_live import Gate
    from spxarb.core.limits import Limits, PriceLimits
    from spxarb.core.records import Trade
    from spxarb.core.result import Mode, Result
    from spxarb.core.steps import Tactics
    from spxarb.ledger.elsewhere import OtherLedger
    from spxarb.ledger.ledger import Ledger
    from spxarb.trading.heard import Heard

T = TypeVar("T")
R = TypeVar("R", bound="Result")
log = logging.getLogger(__name__)

READ_ONLY_CLIENT_ID_OFFSET = 1
"""What only looks must not take the client id of a job that works: it uses the next one."""
GRACE_SECONDS = 3.0
"""How long a job that is ended may take to go by itself."""
SHORTEST_BUDGET = 120.0
"""A job's budget is not cut below this many seconds for the sake of the next exit."""
OBEYED_AT_ONCE = 3
"""The signal after which a job is not asked any more: it is ended where it stands."""
MEND_ROW = "Set the value right in the ledger, or `spxarb restore FILE` a backup"
WRITERS = frozenset({"enter", "monitor", "settle", "close-all", "hand-over"})
"""Verbs that bring the ledger up to date with the broker."""
READERS = frozenset({"log", "report", "status", "backup"})
"""Verbs that write nothing: no ledger, no row among the runs, no alert."""


@dataclass
class JobContext:
    """One command's surroundings.

    `problem`: why the configuration is invalid, empty when it is not. `clock`: the connection's, once there
    is one; `heard`: what the broker said over it. `alerts`: what will be sent when the command ends.
    `open_at_start`: trades that were open then. `failures`: what failed beside an exit and did not stop it
    (`beside`). `elsewhere`: other ledgers with open trades. `missed`: jobs that never ran. `daily`: what is
    told once a day. `sent`: something that changes something went to
    the broker. `stopping`: why an entry must be undone now.
    """

    command: str
    config: Config
    ledger: Ledger
    run_id: int
    problem: str = ""
    holds_lock: bool = False
    clock: Clock | None = None
    heard: Heard | None = None
    alerts: list[str] = field(default_factory=list)
    open_at_start: tuple[Trade, ...] = ()
    failures: list[SpxarbError] = field(default_factory=list)
    elsewhere: list[OtherLedger] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    daily: list[str] = field(default_factory=list)
    dry_run: bool = False
    sent: bool = False
    stopping: str = ""
    _signals: int = 0

    @cached_property
    def limits(self) -> Limits:
        """The configuration's numbers for decisions."""
        return limits_of(self.config)

    @cached_property
    def price_limits(self) -> PriceLimits:
        """What a price must be to be believed."""
        from spxarb.core.limits import PriceLimits  # noqa: PLC0415 -- likewise

        return PriceLimits(**dict(self.config.prices))

    @cached_property
    def fees(self) -> FeeSchedule:
        from spxarb.core.fees import FeeSchedule  # noqa: PLC0415 -- not needed while nothing is open

        return FeeSchedule(**dict(self.config.fees))

    @cached_property
    def live_gate(self) -> Gate | None:
        """What paper has shown of what a live entry waits for, once asked; None in other modes."""
        if self.config.trading.mode != "live":
            return None
        from spxarb.trading.going_live import live_gate  # noqa: PLC0415 -- only mode live has a gate

        return live_gate(self.config)

    @property
    def gate_check(self) -> Check | None:
        """The same as a check of an entry."""
        if self.live_gate is None:
            return None
        from spxarb.core.going_live import check  # noqa: PLC0415 -- likewise

        return check(self.live_gate)

    @cached_property
    def waits(self) -> WaitClock:
        """The clock of the job's own waits."""
        return WaitClock(self.config.wait_scale)

    @cached_property
    def tactics(self) -> Tactics:
        from spxarb.core.steps import Tactics  # noqa: PLC0415 -- not needed while nothing is open

        execution, own = self.config.execution, self.waits.own
        return Tactics(
            order_timeout=own(execution.order_timeout_seconds),
            attempts=execution.max_retry_attempts,
            use_limit_orders=execution.use_limit_orders,
            exit_rungs=execution.exit_rungs,
            rung_seconds=own(execution.exit_rung_seconds),
            market_exit=execution.market_exit,
            quote_timeout=own(execution.quote_timeout_seconds),
        )

    @contextmanager
    def locked(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the one lock of this ledger. Raises LockedError after `timeout` seconds, or `lock_wait`."""
        wait = self.lock_wait if timeout is None else timeout
        with ledger_lock(self.config.database_path(), command=f"spxarb {self.command}", timeout=wait):
            self.holds_lock = True
            yield

    def now(self) -> datetime:
        """The connection's clock, New York; without one the system's, in the sim mode the last time known.

        A simulated day is not the machine's: what is known of it is what the gateway told last, to whichever
        command, else the newest time in the ledger.
        """
        if self.clock is not None:
            return self.clock.now()
        if self.config.trading.mode == "sim":
            with suppress(RefusedError):
                known = self.ledger.looks.heard() or known_moment(self.ledger.state.row()["last_updated"])
                if known is not None:
                    return known
        return datetime.now(NEW_YORK)

    def hear_time(self, at: datetime) -> None:
        """The gateway told its time; in the sim mode no other clock knows it, so the ledger keeps it."""
        if self.config.trading.mode == "sim" and self.run_id:
            with suppress(Exception):  # what cannot be written down does not make the answer wrong
                self.ledger.looks.hear(self.run_id, at)

    @property
    def lock_wait(self) -> float:
        """Seconds to wait for another job: `execution.lock_timeout_seconds`, else longer than any may take.

        So a `monitor` due at the same second as an `enter` runs after it.
        """
        return budgets.lock_wait(self.config.execution, self._longest)

    @property
    def budget(self) -> float:
        """Seconds that this command may take at the most.

        One that exits nothing ends before the next exit that is due, if that leaves time to do its job.
        """
        longest, now = self._longest, self.now()
        if self.command in EXITS:
            return budgets.budget(self.command, longest)
        waiting = [(self.exit_at(trade) - now).total_seconds() for trade in self.ledger.trades.open()]
        return min([longest, *(seconds for seconds in waiting if seconds > SHORTEST_BUDGET)])

    @property
    def _longest(self) -> float:
        """Every wait that a command may meet, added up generously, in seconds."""
        return budgets.longest(self.config.execution, len(self.ledger.trades.open()), PROOF_SECONDS)

    def in_time(self, job: Coroutine[Any, Any, T], run: Callable[[Any], Any] | None = None) -> T:
        """Run a job to its end within the budget. Raises GatewayError when it takes longer.

        Each wait has an end of its own; this is for a gateway that drips. Raises Interrupted when a signal
        ended it. `run`: by which event loop; else by its own.
        """
        import asyncio  # noqa: PLC0415 -- only a job that connects needs it

        async def bounded() -> T:
            task = asyncio.current_task()
            assert task is not None

            def on_signal() -> bool:
                self._signals += 1
                task.get_loop().call_soon_threadsafe(self._on_signal, task)
                return self._signals < OBEYED_AT_ONCE

            with interruption.heard_by(on_signal):
                async with asyncio.timeout(self.budget):
                    return await job

        try:
            return run(bounded()) if run else asyncio.run(bounded())
        except asyncio.CancelledError:
            raise interruption.received() or interruption.Interrupted(signal.SIGTERM) from None
        except TimeoutError:
            raise GatewayError(
                f"`{self.command}` did not come to its end within {self.budget:.0f} s",
                mend="Look at the Gateway; `spxarb monitor` goes on where this ended",
            ) from None

    def note_sent(self) -> None:
        """Something that changes something at the broker is about to be sent."""
        self.sent = True

    def _on_signal(self, task: asyncio.Task[Any]) -> None:
        """End the job: at once, but an entry that has begun undoes that first, as for `stop`.

        Where trading was stopped already (`close-all` has waited for this job) it is too late for that. What
        an exit has begun is left as it is, its orders too: the next command goes on with it.
        """
        first = not self.stopping and self._signals == 1
        if first and self.command == "enter" and self.sent and self.ledger.state.is_trading():
            found = interruption.received()
            self.stopping = f"interrupted by {found.cause}" if found else "interrupted"
            log.warning("%s: what was begun is undone first; another signal ends it at once", self.stopping)
            task.get_loop().call_later(budgets.UNDO_SECONDS, task.cancel)
        elif not task.cancelling():
            task.cancel()

    def exit_at(self, trade: Trade) -> datetime:
        """When the trade's exit by time is due."""
        from spxarb.trading.market_calendar import timetable_of  # noqa: PLC0415 -- likewise

        return timetable_of(trade, self.config).exit_at

    @property
    def client_id_patience(self) -> float:
        """Seconds for which a client id in use is tried again: an exit that is due waits until it is free.

        In the sim mode the time is not known before the connection is made, so any exit may be due.
        """
        trades = [t for t in self.ledger.trades.open() if not (t.residual or t.handed_over)]
        unknown = self.command == "close-all" or (self.config.trading.mode == "sim" and self.clock is None)
        due = any(unknown or trade.exit_reason or self.now() >= self.exit_at(trade) for trade in trades)
        return self._longest * budgets.CLIENT_ID_SHARE if due and self.command in EXITS else 0.0

    def exit_limits(self, trade: Trade) -> Limits:
        """Limits for leaving: the configuration's, or with a broken one those stored with the trade."""
        return limits_of(stored_config(trade, self.config)) if self.problem else self.limits

    # --- the end ------------------------------------------------------------------------------

    def head(self, at: datetime | None = None) -> tuple[str, datetime, Mode]:
        """What every result begins with: the command, the time, the mode."""
        return self.command, at or self.now(), self.config.trading.mode

    def alert(self, text: str) -> None:
        """Have a human hear of something that is no failure, once the command has ended."""
        log.warning("%s", text)
        self.alerts.append(text)

    def finish(
        self,
        result: R,
        *,
        errors: Iterable[SpxarbError] = (),
        notes: Iterable[str] = (),
        decided: bool = False,
        dry_run: bool = False,
        daily_pnl: Callable[[], Decimal | None] | None = None,
    ) -> R:
        """The job's result made whole: written down where it was a decision, with its exit code and error.

        `errors`: what went wrong, each with its own exit code. `decided`: keep the result's own fields as a
        decision. `daily_pnl` gives the day's net result now, dollars: with it the row of `system_state` is
        brought up to date, but not by a dry run.
        """
        found, notes = [*errors, *self.failures], list(notes)
        self.failures = []
        if decided:
            run_lines.decided(self.command, {**result.own(), "notes": notes}, dry_run=dry_run)
            with self._failures_into(found):
                self._record_decision(result, [*result.notes, *notes], dry_run=dry_run)
        if daily_pnl is not None and not dry_run:
            with self._failures_into(found):
                most, day = self.config.risk_management.max_daily_loss, result.at.date()
                bookkeeping.refresh_state(self.ledger, day, result.at, daily_pnl(), most)
        trades = self.ledger.trades
        settled = (f"{row}." for row in trades.unreadable_settled())
        told = [*self.config.notes_of(self.command), *settled, *trades.misspelt.values()]
        told += [*self.ledger.orphans, *self.ledger.looks.warning()]
        found += self._unread_matters()
        found += self._met_unread() if self.holds_lock and not dry_run else []
        if self.clock is not None:  # it has connected: it tells what no human has dealt with yet
            keep = self.holds_lock and not dry_run
            with self._failures_into(found):
                found += self._warnings(result.at, keep=keep)
                told += self.heard.notes() if self.heard else []
            with self._failures_into(found):
                sentences = [result.error or "", *map(str, found)]
                found += self._open_matters(sentences, result.at, keep=keep)
        told += [*self._told_elsewhere(found, result.at), *filter(None, [self.ledger.note])]
        with self._failures_into(found):
            result = self._with_runs_of_the_day(result, told, dry_run=dry_run)
        if self.config.hollow and not self.problem:
            told.append(
                f"The configuration {self.config.source} holds no setting: the defaults are in force."
            )
        if self.problem:
            found.append(ConfigError(f"Went on with the limits stored with the trade: {self.problem}"))
        return replace(with_errors(result, found), notes=(*result.notes, *filter(None, notes), *told))

    def _with_runs_of_the_day(self, result: R, told: list[str], *, dry_run: bool) -> R:
        """The result with the runs of its day that are missing; what was not told yet joins `told`."""
        from spxarb.core.results.job import RunsOfDayResult  # noqa: PLC0415 -- not needed by every command

        if isinstance(result, RunsOfDayResult) and result.missing_runs is None:
            from spxarb.trading import day_runs  # noqa: PLC0415 -- likewise

            with suppress(Exception):  # null then: nobody knows, and nothing else stops for it
                missing, failing = day_runs.of_day(self.ledger, self.config, result.at.date(), self.now())
                result = replace(result, missing_runs=missing, failing_runs=failing)
        if self.run_id and not dry_run and self.config.notifications.missed_run:
            from spxarb.trading import missed_runs  # noqa: PLC0415 -- not needed by who only looks

            run = self.command, self.run_id
            self.missed += missed_runs.new(self.ledger, self.config, run, self.now(), self.open_at_start)
            told += self.missed
        return result

    def _told_elsewhere(self, found: list[SpxarbError], at: datetime) -> list[str]:
        """Open trades of other ledgers: sentences; into `found` goes what is due and nothing looks after.

        It is due by the clock of the machine or by that of the command: one of them may be simulated.
        """
        now, watches = max(at, datetime.now(NEW_YORK)), self.command in WRITERS or self.clock is not None
        told = [told_of(other, now, watches=watches) for other in self.elsewhere]
        self.daily += map(str, told)
        found += [one for one in told if isinstance(one, HumanNeededError)]
        return [str(one) for one in told if not isinstance(one, HumanNeededError)]

    def end(self, result: R) -> R:
        """Write down how the command ended; then let a human hear of it, if there is a reason to."""
        if not self.run_id:  # it only reads: whoever called it reads the answer
            return result
        failures: list[SpxarbError] = []
        with self._failures_into(failures):
            ended, code, error = datetime.now(NEW_YORK), result.exit_code, result.error
            self.ledger.runs.end(self.run_id, ended, code, error, day_of=self.now())
        result = with_errors(result, failures)
        alarming = result.exit_code == Exit.HUMAN or (
            result.exit_code in {Exit.BUG, Exit.REFUSED} and self.command in EXITS and self.open_at_start
        )
        rest = result.error or ""
        for text in self.daily:
            rest = " ".join(rest.replace(text, "").split())
        if self.config.notifications.email_enabled:
            from spxarb.trading import alerts  # noqa: PLC0415 -- only an alert needs it

            alerts.after(self, result, [rest if alarming else "", *self.alerts])
        return result

    def _open_matters(self, told: Iterable[str], at: datetime, *, keep: bool) -> list[HumanNeededError]:
        """The matters for a human that `told` does not name; `keep`: bring the ledger up to date first."""
        from spxarb.trading import matters  # noqa: PLC0415 -- not needed while nothing is open

        if keep:
            bookkeeping.refresh_figures(self.ledger)
            matters.review(self.ledger, at)
        told = list(told)
        warnings = matters.warnings_not_told(self.ledger, told)
        # A warning of the broker is told as it comes, and once a day while nobody has acknowledged it.
        self.daily += map(str, warnings)
        return [*warnings, *matters.not_told(self.ledger, told)]

    def _warnings(self, at: datetime, *, keep: bool) -> list[HumanNeededError]:
        """The broker's warnings about the account: kept as matters, else what they come to."""
        if self.heard is None or not self.heard.warnings():
            return []
        from spxarb.trading import matters  # noqa: PLC0415 -- likewise

        found = [matters.of_warning(message, at) for message in self.heard.warnings()]
        if keep:
            for finding in found:
                matters.needs_human(self.ledger, finding, at)
            return []  # told with all that are open
        known = {matter.key for matter in self.ledger.matters.open()}
        new = [f for f in matters.not_acknowledged(self.ledger, found) if f.key not in known]
        return [HumanNeededError(sentence(f.text), mend="Close positions or add funds") for f in new]

    def _record_decision(self, result: Result, notes: Sequence[str], *, dry_run: bool) -> None:
        fields = result.own()
        self.ledger.runs.add_decision(
            self.run_id,
            self.command,
            result.at,
            dry_run=dry_run,
            outcome=_text(fields.get("outcome")),
            would=_text(fields.get("would")),
            payload={**fields, "notes": [note for note in notes if note]},
        )

    @contextmanager
    def _failures_into(self, found: list[SpxarbError]) -> Iterator[None]:
        """Whatever fails in the block joins what was found; a bug leaves its traceback in the log.

        With something open, a verb that exits positions has a human hear of it.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- the result of what was done must not be lost
            if not isinstance(error, SpxarbError):
                logs.write_traceback(error)
            failure = as_failure(error)
            if self.command in EXITS and self.open_at_start and failure.exit_code in {Exit.BUG, Exit.REFUSED}:
                what = f"Not all could be read or written down: {lower_first(failure.what)}"
                failure = HumanNeededError(what, mend=failure.mend)
            found.append(failure)

    def beside(self) -> AbstractContextManager[None]:
        """For what must not stand in an exit's way: what fails in the block is told with the result."""
        return self._failures_into(self.failures)

    def _met_unread(self) -> list[SpxarbError]:
        """Trades of this job of which something could not be read, though they are closed or whole by now."""
        trades = self.ledger.trades
        told = set(trades.unreadable_open())  # by whoever compares
        rows = {**trades.unreadable, **trades.in_part, **trades.met}
        ours = trades.met.keys() | {trade.id for trade in self.open_at_start}
        return [
            HumanNeededError(f"{rows[number]}. What the broker shows has counted", mend=MEND_ROW)
            for number in sorted(ours & rows.keys())
            if str(rows[number]) not in told
        ]

    def _unread_matters(self) -> list[HumanNeededError]:
        """Matters for a human that cannot be read are none the less open."""
        return [
            HumanNeededError(f"A matter for a human cannot be read: {lower_first(why)}", mend=MEND_ROW)
            for why in sorted(self.ledger.matters.unread)
        ]


def with_errors(result: R, errors: Sequence[SpxarbError]) -> R:
    """The result with more errors: the exit code that wins, and every sentence, each once."""
    if not errors:
        return result
    code = result.exit_code
    if code in PRECEDENCE:  # else the command was interrupted, and that stays its code
        code = worst(code, *(error.exit_code for error in errors))
    sentences = dict.fromkeys([*([result.error] if result.error else []), *map(str, errors)])
    return replace(result, exit_code=code, error=" ".join(sentences))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
