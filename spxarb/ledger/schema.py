"""The ledger's tables, and the migrations from older versions of them.

Each migration is one transaction; an existing ledger is copied beside itself before the first one. A
published migration is never changed: a new one is appended.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.ledger.rows import to_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils.db import Database

# Three tables begin with the columns that users' own SQL may rely on; the columns after them may change.
_TRADES = """
CREATE TABLE trades (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: order references name it
    trade_date TEXT NOT NULL,
    spy_price REAL,
    spx_price REAL,
    spy_strike REAL,
    spx_strike REAL,
    spy_entry_bid REAL,
    spy_entry_ask REAL,
    spx_entry_bid REAL,
    spx_entry_ask REAL,
    entry_credit REAL,
    entry_time TEXT,
    entry_filled INTEGER NOT NULL DEFAULT 0,
    spy_exit_price REAL,
    spx_exit_price REAL,
    exit_cost REAL,
    exit_time TEXT,
    exit_reason TEXT,
    final_pnl REAL,
    commissions REAL,
    status TEXT NOT NULL,
    account TEXT NOT NULL,
    spx_contract TEXT NOT NULL,
    spy_contract TEXT NOT NULL,
    spx_contracts INTEGER NOT NULL,
    spy_contracts INTEGER NOT NULL,
    commissions_estimated INTEGER NOT NULL DEFAULT 1,
    provisional INTEGER NOT NULL DEFAULT 0,
    residual TEXT NOT NULL DEFAULT '[]',
    ratio REAL,
    strike_mismatch REAL,
    edge REAL,
    worst_case REAL,
    limits TEXT NOT NULL DEFAULT '{}',
    note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX trades_by_date ON trades (trade_date);
"""
_DAYS = """
CREATE TABLE daily_summary (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    date TEXT NOT NULL UNIQUE,
    trades_count INTEGER,
    winning_trades INTEGER,
    losing_trades INTEGER,
    total_pnl REAL,
    total_commissions REAL,
    net_pnl REAL,
    max_drawdown REAL,
    provisional INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE system_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_updated TEXT,
    is_trading INTEGER NOT NULL,
    open_positions INTEGER NOT NULL DEFAULT 0,
    daily_pnl REAL,
    trades_today INTEGER NOT NULL DEFAULT 0,
    errors_today INTEGER NOT NULL DEFAULT 0,
    trading_reason TEXT NOT NULL DEFAULT '',
    trading_set_at TEXT
);
"""
_ORDERS = """
CREATE TABLE orders (
    order_ref TEXT PRIMARY KEY,
    trade_id INTEGER NOT NULL REFERENCES trades (id),
    leg TEXT NOT NULL,
    purpose TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    con_id INTEGER NOT NULL,
    contract TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    limit_price REAL,
    tif TEXT NOT NULL,
    good_after TEXT,
    client_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    perm_id INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT '',
    final INTEGER NOT NULL DEFAULT 0,
    filled REAL,
    created_at TEXT NOT NULL
);
CREATE INDEX orders_by_trade ON orders (trade_id, leg, purpose);
CREATE INDEX orders_unproven ON orders (final) WHERE final = 0;
CREATE UNIQUE INDEX orders_by_id ON orders (client_id, order_id) WHERE order_id > 0;
CREATE TABLE order_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_ref TEXT NOT NULL REFERENCES orders (order_ref),
    at TEXT,
    step TEXT NOT NULL,
    limit_price REAL,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX order_steps_by_order ON order_steps (order_ref);
CREATE TRIGGER order_steps_stay BEFORE UPDATE ON order_steps
BEGIN SELECT RAISE(ABORT, 'order_steps is append-only'); END;
CREATE TRIGGER order_steps_remain BEFORE DELETE ON order_steps
BEGIN SELECT RAISE(ABORT, 'order_steps is append-only'); END;
"""
_EXECUTIONS = """
CREATE TABLE executions (
    exec_id TEXT PRIMARY KEY,
    trade_id INTEGER NOT NULL REFERENCES trades (id),
    leg TEXT NOT NULL,
    order_ref TEXT NOT NULL,
    time TEXT NOT NULL,
    account TEXT NOT NULL,
    con_id INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity REAL NOT NULL,
    price REAL NOT NULL,
    commission REAL NOT NULL,
    commission_estimated INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    family TEXT NOT NULL,
    sec_type TEXT NOT NULL,
    client_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    perm_id INTEGER NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX executions_by_trade ON executions (trade_id);
CREATE INDEX executions_by_family ON executions (family);
CREATE TABLE settlements (
    trade_id INTEGER NOT NULL REFERENCES trades (id),
    leg TEXT NOT NULL,
    quantity REAL NOT NULL,
    price REAL NOT NULL,
    cash REAL NOT NULL,
    source TEXT NOT NULL,
    at TEXT NOT NULL,
    provisional INTEGER NOT NULL,
    PRIMARY KEY (trade_id, leg)
);
CREATE TABLE marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trade_id INTEGER NOT NULL REFERENCES trades (id),
    at TEXT NOT NULL,
    spy REAL,
    spx REAL,
    spy_bid REAL,
    spy_ask REAL,
    spx_bid REAL,
    spx_ask REAL,
    pnl REAL
);
CREATE INDEX marks_by_trade ON marks (trade_id);
CREATE TABLE day_marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    date TEXT NOT NULL,
    at TEXT NOT NULL,
    net_pnl REAL NOT NULL
);
CREATE INDEX day_marks_by_date ON day_marks (date);
CREATE TABLE baselines (
    date TEXT NOT NULL,
    account TEXT NOT NULL,
    spy_shares REAL NOT NULL,
    taken_at TEXT NOT NULL,
    PRIMARY KEY (date, account)
);
"""
_RUNS = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    exit_code INTEGER,
    error TEXT,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL
);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER REFERENCES runs (id),
    command TEXT NOT NULL,
    at TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    outcome TEXT,
    would TEXT,
    checks TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE flags (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL DEFAULT 1,
    reason TEXT NOT NULL DEFAULT '',
    set_at TEXT NOT NULL
);
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
"""

_MATTERS = """
CREATE TABLE matters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    trade_id INTEGER REFERENCES trades (id),
    text TEXT NOT NULL,
    since TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    alerted_at TEXT,
    alerted_to TEXT,
    resolved_at TEXT,
    resolution TEXT,
    acknowledged_at TEXT,
    note TEXT
);
CREATE UNIQUE INDEX matters_once ON matters (key) WHERE resolved_at IS NULL;
"""


def first_tables(db: Database) -> None:
    """Version 1: the tables."""
    for script in (_TRADES, _DAYS, _ORDERS, _EXECUTIONS, _RUNS):
        db.executescript(script)


def overnight_positions(db: Database) -> None:
    """Version 2: what the account held overnight in an order's contract; NULL: not known."""
    db.execute("ALTER TABLE orders ADD COLUMN overnight REAL")


def drop_flags(db: Database) -> None:
    """Version 3: without `flags`, which no command ever used."""
    db.execute("DROP TABLE flags")


def trade_states(db: Database) -> None:
    """Version 4: where a trade stands in one word, told from what versions 1 to 3 kept in several columns."""
    db.execute("ALTER TABLE trades ADD COLUMN state TEXT NOT NULL DEFAULT 'entering'")
    db.execute(
        """
        UPDATE trades SET state = CASE
            WHEN status = 'CLOSED' AND provisional = 1 THEN 'provisional'
            WHEN status = 'CLOSED' AND id IN (SELECT trade_id FROM settlements) THEN 'settled'
            WHEN status = 'CLOSED' AND exit_reason = 'ENTRY_UNWOUND' THEN 'unwound'
            WHEN status = 'CLOSED' THEN 'closed'
            WHEN status = 'ERROR' AND id IN (SELECT trade_id FROM orders WHERE status = 'lost sight')
                THEN 'lost'
            WHEN status = 'ERROR' AND entry_filled = 0 THEN 'entry unproven'
            WHEN status = 'ERROR' THEN 'unproven'
            WHEN residual <> '[]' THEN 'residual'
            WHEN status = 'PENDING' THEN 'entering'
            WHEN exit_reason IS NOT NULL THEN 'exiting'
            ELSE 'open' END
        """
    )
    db.execute("UPDATE trades SET status = 'ACTIVE' WHERE state = 'residual'")


def matters(db: Database) -> None:
    """Version 5: what needs a human, until it is resolved or acknowledged."""
    db.executescript(_MATTERS)


def closing_prices(db: Database) -> None:
    """Version 6: the underlyings' last prices of an evening on which calls could not be settled yet."""
    db.execute("ALTER TABLE baselines ADD COLUMN spx_close REAL")
    db.execute("ALTER TABLE baselines ADD COLUMN spy_close REAL")


def looks(db: Database) -> None:
    """Version 7: when the account was last compared with the ledger, and the time that the gateway told."""
    db.execute("ALTER TABLE runs ADD COLUMN account_seen TEXT")
    db.execute("ALTER TABLE runs ADD COLUMN market_time TEXT")


def price_states(db: Database) -> None:
    """What the prices of a mark are worth: live or not, halted, how old."""
    db.execute("ALTER TABLE marks ADD COLUMN states TEXT NOT NULL DEFAULT '[]'")


MIGRATIONS: list[Callable[[Database], None]] = [
    first_tables,
    overnight_positions,
    drop_flags,
    trade_states,
    matters,
    closing_prices,
    looks,
    price_states,
]
"""The nth, counted from 1, turns version n - 1 into version n."""


def newest_version() -> int:
    return len(MIGRATIONS)


def read_meta(db: Database) -> dict[str, str]:
    """The ledger's own facts; empty for a new file, or one of another program."""
    columns = {row[1] for row in db.execute("PRAGMA table_info(meta)").fetchall()}
    if not columns >= {"key", "value"}:
        return {}
    return dict(db.execute("SELECT key, value FROM meta").fetchall())


def version_of(meta: dict[str, str]) -> int:
    """0 for a file without tables. Raises ValueError for what is not a number."""
    return int(meta.get("schema_version", "0"))


def upgrade(db: Database, path: Path, mode: str) -> None:
    """Bring the ledger to this version; an empty file becomes a ledger.

    Another process may be doing the same: each step reads the version again once it may write.
    """
    copied = False
    while version_of(read_meta(db)) < newest_version():
        with immediate(db):
            done = version_of(read_meta(db))
            if done >= newest_version():
                return
            with contextlib.nullcontext() if copied or done == 0 else _saved(path, done):
                MIGRATIONS[done](db)
            if done == 0:
                _write_facts(db, mode)
            put_meta(db, "schema_version", str(done + 1))
        copied = True


@contextmanager
def immediate(db: Database) -> Iterator[None]:
    """One transaction that holds the write lock from its beginning; any exception rolls it back."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise


def put_meta(db: Database, key: str, value: str) -> None:
    db.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )


def copy_to(path: Path, target: Path) -> None:
    """A consistent copy of what is committed at `path`, as a new file, readable by its owner only.

    Read through a connection of its own: over one with an open transaction it would wait for itself for ever.
    Raises FileExistsError, OSError.
    """
    new_file(target)
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except BaseException:
        target.unlink()
        raise


def new_file(path: Path) -> None:
    """Make an empty file, 0600. No descriptor: closing one would drop this process's locks on the file."""
    os.mknod(path, 0o600)


@contextmanager
def _saved(path: Path, version: int) -> Iterator[None]:
    """A copy beside the ledger before the block; removed again when the block raises, and is rolled back."""
    backup = _backup_path(path, version)
    copy_to(path, backup)
    try:
        yield
    except BaseException:
        backup.unlink()
        raise


def _write_facts(db: Database, mode: str) -> None:
    """A new ledger's own facts. A live one does not trade until `start`."""
    now = to_moment(datetime.now(NEW_YORK))
    for key, value in {"mode": mode, "tag": secrets.token_hex(3), "created_at": now}.items():
        put_meta(db, key, value)
    db.execute("INSERT INTO system_state (id, is_trading) VALUES (1, ?)", [int(mode != "live")])


def _backup_path(path: Path, version: int) -> Path:
    """A name that is free: `trading.db.v1-20260213T160500.bak`."""
    stem = f"{path.name}.v{version}-{datetime.now(NEW_YORK):%Y%m%dT%H%M%S}"
    names = (f"{stem}{extra}.bak" for extra in ("", *(f"-{number}" for number in range(2, 100))))
    return next(backup for backup in map(path.with_name, names) if not backup.exists())
