"""The one alert of a run: what is in it, what the human has heard already, and what could not be told before.

The same trouble is told at most once an hour, where the ledger can remember that it was told; where it
cannot, once a run. What did not go out waits in the ledger's outbox for the next job. An outbox that is full,
or a ledger that cannot be written, keeps no alert of this run back.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from spxarb import notify
from spxarb.channels import channels
from spxarb.config.load import MODES
from spxarb.core.masking import masked_accounts
from spxarb.core.model import NEW_YORK
from spxarb.core.notices import (
    EVER,
    HUMAN_NEEDED,
    SUBJECTS,
    NoticeKind,
    failure,
    human_needed,
    missed_run,
    notices_of,
    subject,
    title_of,
)
from spxarb.errors import RefusedError
from spxarb.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spxarb.channels import Channel
    from spxarb.config.load import Config
    from spxarb.core.notices import Notice
    from spxarb.core.result import Result
    from spxarb.errors import SpxarbError
    from spxarb.ledger.outbox import Waiting

log = logging.getLogger(__name__)

TOO_OLD = timedelta(days=7)
"""What waited so long is told no more; the log has it."""
ROUNDS = 5
"""So often one sender looks for what came while it sent."""
SENDER = "send-alerts"
"""The verb that sends what waits, and has nothing of its own to tell."""
RETRYING = frozenset({"enter", "monitor", "settle", SENDER})
"""Jobs that send what waits, also with nothing of their own to tell. Who is at the terminal does not wait."""
REFUSED_TELLS = frozenset({"enter", "monitor", "settle"})
"""Jobs of timers: that one could not even begin is told, for nobody looks at its stderr."""
STILL_NEEDED = "Exit code 6: a human is still needed, see `spxarb log`."
_ORDER = tuple(kind.value for kind in NoticeKind)


class Ended(Protocol):
    """Of a command that has ended, what `JobContext` has: where it stands, and what it met."""

    config: Config
    ledger: Ledger
    run_id: int
    dry_run: bool
    daily: list[str]
    missed: list[str]

    def now(self) -> datetime: ...


def after(context: Ended, result: Result, alarms: Sequence[str]) -> None:
    """Tell a human of what a command did, and what failed.

    `alarms`: what needs a human, first what the command ended with, empty for nothing. A dry run tells what
    needs a human, and nothing else.
    """
    sentences = [text for text in dict.fromkeys(alarms) if text]
    notices = [*map(human_needed, sentences), *(human_needed(text, daily=True) for text in context.daily)]
    with suppress(Exception):  # what went well must not hide what did not
        own = [] if context.dry_run else notices_of(result)
        told = alarms[0] and context.config.notifications.human_needed
        notices += [notice for notice in own if not (told and notice.kind is NoticeKind.ERROR)]
    notices += map(missed_run, context.missed)
    notices.sort(key=lambda notice: _ORDER.index(notice.kind))  # trouble first
    command = f"{result.command} --dry-run" if context.dry_run else result.command
    run = context.run_id, context.now()
    send(context.config, context.ledger, (command, int(result.exit_code)), notices, run=run)


def refused(command: str, config: Config, error: SpxarbError) -> None:
    """Tell of a job of a timer that could not begin; the ledger remembers it, if it can. Never raises."""
    if command not in REFUSED_TELLS or not config.notifications.email_enabled:
        return
    called, notices = (command, int(error.exit_code)), [failure(str(error))]
    with ExitStack() as stack:
        ledger = None
        with suppress(Exception):
            ledger = _any_mode(config, stack)
        send(config, ledger, called, notices)


def send_waiting(config: Config) -> tuple[int, list[str]]:
    """Send what waits in the ledger: how many alerts it was, and why each of those that still wait does.

    Raises RefusedError where the ledger cannot be used.
    """
    path = config.database_path()
    if not (config.notifications.email_enabled and Ledger.exists(path)):
        return 0, []
    with Ledger.open(path, mode=config.trading.mode) as ledger:
        known: set[str] = set()
        for _ in range(
            ROUNDS
        ):  # systemd starts no second sender while one runs, whatever a job has left meanwhile
            if not {row.key for row in ledger.outbox.waiting()} - known:
                break
            known |= {row.key for row in ledger.outbox.waiting()}
            send(config, ledger, (SENDER, 0), [])
        return len(known), [row.failure for row in ledger.outbox.waiting() if row.key in known]


def _any_mode(config: Config, stack: ExitStack) -> Ledger | None:
    """The ledger of the configuration, whose mode may be what is wrong there; None: there is none."""
    path = config.database_path()
    if Ledger.exists(path):
        for mode in dict.fromkeys([config.trading.mode, *MODES]):
            with suppress(RefusedError):
                return stack.enter_context(Ledger.open(path, mode=mode))
    return None


def send(
    config: Config,
    ledger: Ledger | None,
    called: tuple[str, int],
    notices: Iterable[Notice],
    *,
    run: tuple[int, datetime] | None = None,
) -> None:
    """Send what was not told lately, and what waits in the outbox, as one alert, and remember it.

    `called`: the command and its exit code. `run`: the run's id, and the market's time. Never raises.
    """
    if not config.notifications.email_enabled:
        return
    try:
        _send(config, ledger, called, notices, run)
    except Exception:
        log.exception("the alert was not sent, or not written down: a bug in spxarb")


def _send(
    config: Config,
    ledger: Ledger | None,
    called: tuple[str, int],
    notices: Iterable[Notice],
    run: tuple[int, datetime] | None,
) -> None:
    notifications = config.notifications
    now, told = datetime.now(NEW_YORK), _told(ledger)
    new = {
        notice.key: notice
        for notice in notices
        if getattr(notifications, notice.kind.value)
        and any(_is_new(told.get(trouble), now, notice.silence) for trouble in notice.troubles)
    }
    leaves = config.alerts_in_outbox and called[0] != SENDER
    if leaves and ((not new and ledger) or _left_in_outbox(config, ledger, called, new, told, now, run)):
        return
    waiting = _waiting(ledger, now)
    late = [row for row in waiting if row.key not in new]
    if not new and not (late and called[0] in RETRYING):
        return
    ways = channels(config)
    names = frozenset(way.name for way in ways)
    message = _Message(called, tuple(new.values()), tuple(late), names, config.ib.account)
    texts = {name: text for name in names if (text := message.text_for(name))}
    failures = notify.deliver(ways, message.title, texts)
    if not ways:
        failures = {"nobody": "there is no address"}
        log.warning("the alert was not sent: there is no address")
    if ledger is not None:
        _remember(ledger, message, ways, failures, now, run, told, waiting)


def _left_in_outbox(
    config: Config,
    ledger: Ledger | None,
    called: tuple[str, int],
    new: Mapping[str, Notice],
    told: Mapping[str, str],
    now: datetime,
    run: tuple[int, datetime] | None,
) -> bool:
    """Leave what is new to `send-alerts`; False where the ledger does not take it: then it is sent here."""
    if ledger is None:
        return False
    message = _Message(called, tuple(new.values()), (), frozenset(), config.ib.account)
    try:
        for notice in message.new:
            ledger.outbox.put(notice.key, notice.kind.value, notice.text, now, [], LEFT, _ORDER)
    except Exception:  # noqa: BLE001 -- whatever it is, the alert must go out
        log.warning("the ledger does not take the alert: it is sent at once")
        return False
    with suppress(Exception):  # it cannot remember: the next run tells it again
        remembered = {key: at for key, at in told.items() if not _is_new(at, now, EVER)}
        ledger.runs.remember_alerts(remembered | dict.fromkeys(sorted(message.troubles), now.isoformat()))
        if run is not None:
            ledger.runs.add_alert(*run, message.title, message.whole, SENDER, LEFT)
    return True


LEFT = "it waits in the ledger for `spxarb send-alerts`"


@dataclass(frozen=True)
class _Message:
    """One alert: what is new, and what could not be told before."""

    called: tuple[str, int]
    new: tuple[Notice, ...]
    late: tuple[Waiting, ...]
    ways: frozenset[str]
    account: str | None

    @property
    def title(self) -> str:
        command, code = self.called
        if command == SENDER:
            return self._title_of_late
        if any(notice.kind is NoticeKind.HUMAN for notice in self.new):
            return title_of(command, code)
        return subject(command, list(self.new)) if self.new else f"spxarb {command}: what was not told before"

    @property
    def _title_of_late(self) -> str:
        """As the job itself would have called it, but that it may be of several."""
        kinds = [kind for kind in NoticeKind if kind.value in {row.kind for row in self.late}]
        if NoticeKind.HUMAN in kinds:
            return "spxarb: a human is needed now"
        return f"spxarb: {SUBJECTS[kinds[0]]}" if kinds else "spxarb"

    @property
    def text(self) -> str:
        """What is new, without a full account number: mail is read by others too.

        Good news of a run that ended with trouble which was told within the hour does not stand there alone.
        """
        kinds = {notice.kind for notice in self.new}
        quiet = kinds and NoticeKind.HUMAN not in kinds and self.called[1] == HUMAN_NEEDED
        lines = [STILL_NEEDED] * bool(quiet) + [notice.text for notice in self.new]
        return masked_accounts("\n".join(lines), self.account)

    @property
    def troubles(self) -> set[str]:
        return {trouble for notice in self.new for trouble in notice.troubles}

    def owed_by(self, row: Waiting) -> set[str]:
        """The ways that have yet to tell it: those that failed, or any where none of them is left."""
        return set(row.ways) & self.ways or set(self.ways)

    def text_for(self, way: str) -> str:
        """What goes that way."""
        return self._with(row for row in self.late if way in self.owed_by(row))

    @property
    def whole(self) -> str:
        return self._with(self.late)

    def _with(self, rows: Iterable[Waiting]) -> str:
        at = "At" if self.called[0] == SENDER else "Not sent at"
        late = "\n".join(f"{at} {row.created_at:%Y-%m-%d %H:%M}: {row.text}" for row in rows)
        return "\n".join(filter(None, [self.text, masked_accounts(late, self.account)]))


def _remember(
    ledger: Ledger,
    message: _Message,
    ways: Sequence[Channel],
    failures: Mapping[str, str],
    now: datetime,
    run: tuple[int, datetime] | None,
    told: Mapping[str, str],
    waiting: Sequence[Waiting],
) -> None:
    """Write down what was sent, and what waits. What cannot be written was told all the same."""
    names = ", ".join(way.name for way in ways)
    why = notify.why_not(failures, all_ways=len(failures) >= len(ways))
    if run is not None:
        with suppress(Exception):
            ledger.runs.add_alert(
                *run, message.title, message.whole, names, why and f"the alert was not sent: {why}"
            )
    kept: set[str] = set()  # what neither went out nor waits is told again by the next run
    with suppress(Exception):
        if len(failures) < max(len(ways), 1):
            kept = message.troubles
        _keep_what_failed(ledger, message, failures, now, waiting)
        kept = message.troubles
    if len(failures) < max(len(ways), 1):
        with suppress(Exception):
            text = " ".join(message.whole.split()).casefold()
            words = {m.id: masked_accounts(m.text, message.account) for m in ledger.matters.open()}
            named = [number for number, said in words.items() if said.casefold() in text]
            ledger.matters.alerted(named, names, now)
    remembered = {key: at for key, at in told.items() if not _is_new(at, now, EVER)}
    with suppress(Exception):  # it cannot remember: the next run tells it again
        ledger.runs.remember_alerts(remembered | dict.fromkeys(sorted(kept), now.isoformat()))


def _keep_what_failed(
    ledger: Ledger,
    message: _Message,
    failures: Mapping[str, str],
    now: datetime,
    waiting: Sequence[Waiting],
) -> None:
    """Bring the outbox up to date."""
    why = "; ".join(dict.fromkeys(failures.values()))
    fresh = {notice.key: notice for notice in message.new}
    for row in waiting:
        left = [name for name in (message.owed_by(row) or row.ways) if name in failures or not message.ways]
        if row.key in fresh:
            ledger.outbox.drop(row.id)
        elif left:
            ledger.outbox.put(row.key, row.kind, row.text, now, left, why, _ORDER)
        else:
            ledger.outbox.drop(row.id)
    if failures:
        for notice in message.new:
            ledger.outbox.put(notice.key, notice.kind.value, notice.text, now, list(failures), why, _ORDER)


def _waiting(ledger: Ledger | None, now: datetime) -> list[Waiting]:
    """What waits in the outbox and is not too old; that is dropped."""
    if ledger is None:
        return []
    with suppress(Exception):
        rows = ledger.outbox.waiting()
        old = [row for row in rows if now - row.created_at > TOO_OLD]
        for row in old:
            log.warning("never sent, and too old by now: %s", row.text)
        if old:
            ledger.outbox.drop(*(row.id for row in old))
        return [row for row in rows if row not in old]
    return []


def _told(ledger: Ledger | None) -> dict[str, str]:
    """Trouble -> when it was told last."""
    if ledger is None:
        return {}
    with suppress(Exception):
        return ledger.runs.alerts_sent()
    return {}


def _is_new(at: str | None, now: datetime, silence: timedelta) -> bool:
    if at is None:
        return True
    try:
        age = now - datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return True
    return not timedelta(0) <= age < silence
