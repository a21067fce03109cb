"""What a human was not told, seen from outside: in the ledger's rows and in the broker's own account."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from spxarb.sim.market.instruments import SPY_ID

if TYPE_CHECKING:
    from harness import Stage

HUMAN = 6
LOOKERS = ("enter", "monitor", "close-all", "settle", "hand-over")
EXITS = {"monitor", "close-all"}
CLOSE_HOUR = 16


def untold(stage: Stage) -> list[str]:
    """Every break of laws 13, 14 and 15 after the last command that looked at the account; empty when all is well.

    To be asked when no command was cut off since that one began: the next one has to tell what it left.
    """
    ended = f"SELECT * FROM runs WHERE command IN {LOOKERS} AND ended_at IS NOT NULL AND arguments NOT LIKE '%dry-run%'"
    run = next(iter(stage.sql(f"{ended} ORDER BY ended_at DESC, id DESC LIMIT 1")), None)
    if run is None:
        return []
    matters = stage.sql("SELECT * FROM matters")
    quiet = run["exit_code"] == 0
    return [
        *(_account_differs(stage, matters) if quiet else []),
        *_matters_forgotten(matters, quiet=quiet),
        *(_exits_passed_over(stage, run) if run["command"] in EXITS else []),
    ]


def _account_differs(stage: Stage, matters: list[dict[str, Any]]) -> list[str]:
    """Law 13: the command ended with 0, and the account holds something else than the ledger says.

    Contracts of a trade of which a human has acknowledged a matter are his. After the close SPX calls vanish at an
    hour of the broker's own, but SPY calls that are there, and shares that nobody bought, must have been told.
    """
    excused = [row for row in matters if row["acknowledged_at"] and not row["key"].startswith("warning:")]
    if any(row["trade_id"] is None for row in excused):
        return []
    his = {row["trade_id"] for row in excused}
    account = _account_without_others(stage)
    ledger: Counter[int] = Counter()
    legs: dict[int, str] = {}
    by_us = (
        "SELECT con_id, leg, trade_id, side, quantity FROM executions WHERE superseded = 0 AND purpose <> 'h'"
    )
    for row in stage.sql(by_us):
        if row["trade_id"] in his:
            legs[row["con_id"]] = "his"
        ledger[row["con_id"]] += int(row["quantity"]) * (1 if row["side"] == "BUY" else -1)
        legs.setdefault(row["con_id"], row["leg"])
    if stage.sim.control.time().hour >= CLOSE_HOUR:
        found = [
            f"exit 0 after the close, and the account holds {account[con_id]:+d} SPY calls of ours ({con_id})"
            for con_id, leg in legs.items()
            if leg == "SPY" and account[con_id]
        ]
    else:
        found = [
            f"exit 0, and the account holds {account[con_id]:+d} of contract {con_id}, the ledger {ledger[con_id]:+d}"
            for con_id, leg in legs.items()
            if leg != "his" and _is_of_today(stage, con_id) and account[con_id] != ledger[con_id]
        ]
    shares = sum(quantity for con_id, quantity in account.items() if con_id == SPY_ID)
    return found + (
        [f"exit 0, and the account holds {shares:+d} SPY shares that nobody bought"]
        if shares and not his
        else []
    )


def _is_of_today(stage: Stage, con_id: int) -> bool:
    """Calls of an earlier day are settled by now, or are a matter."""
    rows = stage.sql("SELECT max(created_at) AS last FROM orders WHERE con_id = ?", con_id)
    return bool(rows[0]["last"]) and rows[0]["last"][:10] == f"{stage.sim.control.time():%Y-%m-%d}"


def _account_without_others(stage: Stage) -> Counter[int]:
    """Contracts and shares by contract id, without what orders of others traded."""
    book = stage.sim.control.book()
    account: Counter[int] = Counter()
    for row in book["positions"]:
        account[row["con_id"]] += int(row["quantity"])
    for fill in book["fills"]:
        if not fill["order_ref"].startswith("spxarb:"):
            account[fill["con_id"]] -= int(fill["shares"]) * (1 if fill["side"] == "BOT" else -1)
    return account


def _matters_forgotten(matters: list[dict[str, Any]], *, quiet: bool) -> list[str]:
    """Law 14: a matter is never removed, and while one is open no command ends with 0."""
    open_ = [row for row in matters if row["resolved_at"] is None and row["acknowledged_at"] is None]
    numbers = sorted(row["id"] for row in matters)
    gone = [] if numbers == list(range(1, len(numbers) + 1)) else [f"of the matters only {numbers} are left"]
    return gone + [f"exit 0 with a matter open: {row['text']}" for row in open_ if quiet]


def _exits_passed_over(stage: Stage, run: dict[str, Any]) -> list[str]:
    """Law 15: a spread whose exit has begun is closed, or the command ended with 6."""
    if run["exit_code"] in {HUMAN, 7}:  # 7: another job works on it
        return []
    due = stage.sql(
        "SELECT id, state FROM trades WHERE status <> 'CLOSED' AND state <> 'residual' "
        "AND ((handed_over_at IS NULL AND exit_reason IS NOT NULL) "
        "OR (? = 'close-all' AND (handed_over_at IS NULL OR ?)))",
        run["command"],
        stage.sim.control.time().hour < CLOSE_HOUR,
    )
    return [
        f"`{run['command']}` ended with {run['exit_code']}, and the exit of trade {row['id']} ({row['state']}) is due"
        for row in due
    ]
