"""`reconcile`: the ledger against the account's statement; `--supply` writes into it what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.broker.flex import MOST_BYTES, FlexFileError, read_statements
from spxarb.config.trusted import Trust, read
from spxarb.core.results.reconcile import Agreement, DifferenceRow, ReconcileResult, StatementRead
from spxarb.core.sentences import sentence
from spxarb.core.sessions import next_trading_day
from spxarb.core.statement import merged
from spxarb.errors import ConfigError, HumanNeededError, RefusedError, UsageError
from spxarb.trading import bookkeeping
from spxarb.trading.market_calendar import closures_around
from spxarb.trading.statement_supply import compare_with_ledger, supply

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from spxarb.core.statement import Statement
    from spxarb.core.statement_findings import StatementComparison
    from spxarb.trading.context import JobContext

FETCH_SECONDS = 180.0
"""How long a statement may take to come: large ones are made in a minute or two."""
PAUSE_SECONDS = 5.0
"""Between two tries; the service takes ten requests a minute."""
SERVICE = "Flex web service"


def run(context: JobContext, *, file: Path | None, supplying: bool) -> ReconcileResult:
    """Compare with the statement in `file`; None: with the one that the Flex web service makes.

    Raises UsageError for a file that is no statement, RefusedError for one of another account, ConfigError
    and GatewayError when it cannot be fetched, LockedError when something is to be written.
    """
    data = _fetched(context) if file is None else _read(file)
    source = SERVICE if file is None else str(file)
    statement = _of_our_account(context, _parsed(data, source))

    def following(day: date) -> date:
        return next_trading_day(day, closed=closures_around(day, context.config).closed)

    if not supplying:
        trades, found = compare_with_ledger(context.ledger, statement, following)
        return _finish(context, statement, source, trades, found)
    with context.locked():
        ledger = context.ledger
        _, lacking = compare_with_ledger(ledger, statement, following)
        told = supply(ledger, statement, lacking, context.now())
        trades, found = compare_with_ledger(ledger, statement, following)
        return _finish(context, statement, source, trades, found, told)


def _read(file: Path) -> bytes:
    """The file's content. Raises UsageError when it cannot be read, is no file, or is too large."""
    try:
        if not file.is_file():
            raise UsageError(f"{file} is no file; nothing was compared")
        found = read(file, Trust.ANYBODY, MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}; nothing was compared") from None
    if found.cut:
        most = MOST_BYTES // 10**6
        raise UsageError(f"{file} is larger than {most} MB; nothing was compared. Choose a shorter period")
    return found.raw


def _fetched(context: JobContext) -> bytes:
    access = context.config.flex
    if access is None:
        raise ConfigError(
            "No token and query of the Flex web service are known",
            risk="Nothing was compared",
            mend="Set SPXARB_FLEX_TOKEN and SPXARB_FLEX_QUERY_ID, or give a file with --statement",
        )
    if access.exposed_in is not None:
        raise ConfigError(
            f"{access.exposed_in} holds the token of the Flex web service, and every user of this machine "
            "can read it",
            risk="Nothing was fetched",
            mend=f"chmod 600 {access.exposed_in}, and make a new token",
        )
    from spxarb.broker.flex_service import fetch_statement  # noqa: PLC0415 -- ib_insync comes with it

    waits = context.waits
    return fetch_statement(
        access.token.get_secret_value(),
        access.query_id,
        waits.real(FETCH_SECONDS),
        waits.real(PAUSE_SECONDS),
    )


def _parsed(data: bytes, source: str) -> list[Statement]:
    try:
        return read_statements(data)
    except FlexFileError as error:
        raise UsageError(f"{source} is no Flex statement: {error}; nothing was compared") from None


def _of_our_account(context: JobContext, statements: list[Statement]) -> Statement:
    """The statement of the ledger's account; parts of it are one. Raises RefusedError when there is none."""
    own = context.ledger.account or context.config.ib.account or statements[0].account
    parts = [statement for statement in statements if statement.account == own]
    if parts:
        return merged(parts)
    accounts = ", ".join(sorted({statement.account or "no account" for statement in statements}))
    raise RefusedError(
        f"The statement is of account {accounts}, and the ledger of {own}",
        risk="Nothing was compared",
        mend="Give the statement of that account",
    )


def _finish(
    context: JobContext,
    statement: Statement,
    source: str,
    trades: int,
    found: StatementComparison,
    told: list[str] | None = None,
) -> ReconcileResult:
    now = context.now()
    result = ReconcileResult(
        *context.head(now),
        statement=StatementRead.of(statement, source),
        agreed=Agreement.of(trades, found),
        differences=tuple(map(DifferenceRow.of, found.differences)),
        unchecked=tuple(found.unchecked),
        supplied=tuple(told or ()),
    )
    supplying = told is not None
    errors = _errors(found, supplying=supplying)
    if not supplying:
        return context.finish(result, errors=errors)
    return context.finish(
        result, errors=errors, daily_pnl=lambda: bookkeeping.pnl_known(context.ledger, now.date())
    )


def _errors(found: StatementComparison, *, supplying: bool) -> list[HumanNeededError]:
    """What a human must know: ledger and statement disagree."""
    rows = [row for row in found.differences if row.needs_human]
    if not rows:
        return []
    mend = "Look at the account at the broker"
    if not supplying and any(row.can_be_supplied for row in rows):
        mend = "`spxarb reconcile --supply` writes what the ledger lacks"
    return [HumanNeededError(" ".join(sentence(row.text) for row in rows), mend=mend)]
