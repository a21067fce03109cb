"""The ledger's tables, version by version.

A published migration is never changed: a new one is appended. Each is one transaction (`schema.upgrade`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
_SETTLEMENT_STAGES = (
    "ALTER TABLE settlements RENAME TO old_settlements",
    """
    CREATE TABLE settlements (
        trade_id INTEGER NOT NULL REFERENCES trades (id),
        leg TEXT NOT NULL,
        quantity REAL NOT NULL,
        price REAL,
        cash REAL NOT NULL,
        source TEXT NOT NULL,
        at TEXT NOT NULL,
        provisional INTEGER NOT NULL,
        PRIMARY KEY (trade_id, leg)
    )
    """,
    "INSERT INTO settlements SELECT * FROM old_settlements",
    "DROP TABLE old_settlements",
    """
    CREATE TABLE settlement_stages (
        trade_id INTEGER NOT NULL REFERENCES trades (id),
        leg TEXT NOT NULL,
        stage TEXT NOT NULL,
        quantity REAL NOT NULL,
        price REAL,
        cash REAL NOT NULL,
        difference REAL,
        source TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (trade_id, leg, stage)
    )
    """,
    """
    INSERT INTO settlement_stages SELECT trade_id, leg,
        CASE source WHEN 'official SPX close' THEN 'official close' ELSE 'last print' END,
        quantity, price, cash, NULL, source, at FROM settlements
    """,
    "ALTER TABLE executions ADD COLUMN commission_estimate REAL",
    "UPDATE executions SET commission_estimate = commission WHERE commission_estimated = 1",
)

_ALERTS = """CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER REFERENCES runs (id),
    at TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_to TEXT NOT NULL,
    failure TEXT
)"""


_GATEWAY_FACTS = """CREATE TABLE gateway_facts (
    name TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    evidence TEXT NOT NULL,
    judged_by TEXT NOT NULL,
    what TEXT NOT NULL,
    times INTEGER NOT NULL,
    server_version INTEGER,
    kept_at TEXT NOT NULL,
    PRIMARY KEY (name, recorded_at, evidence, judged_by)
)"""
_OUTBOX = """CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ways TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    tried_at TEXT NOT NULL,
    failure TEXT NOT NULL
)"""


def first_tables(db: Database) -> None:
    """Version 1: the tables."""
    for script in (_TRADES, _DAYS, _ORDERS, _EXECUTIONS, _RUNS):
        _run(db, script)


def _run(db: Database, script: str) -> None:
    """Each statement, within the transaction at hand; a semicolon at the end of a line ends it."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)


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
    _run(db, _MATTERS)


def closing_prices(db: Database) -> None:
    """Version 6: the underlyings' last prices of an evening on which calls could not be settled yet."""
    db.execute("ALTER TABLE baselines ADD COLUMN spx_close REAL")
    db.execute("ALTER TABLE baselines ADD COLUMN spy_close REAL")


def looks(db: Database) -> None:
    """Version 7: when the account was last compared with the ledger, and the time that the gateway told."""
    db.execute("ALTER TABLE runs ADD COLUMN account_seen TEXT")
    db.execute("ALTER TABLE runs ADD COLUMN market_time TEXT")


def settlement_stages(db: Database) -> None:
    """Version 8: every figure of a settlement, stage by stage; the estimate of each fee beside the fee.

    A statement may tell cash without a price. What was estimated before a fee was reported is not known.
    """
    for statement in _SETTLEMENT_STAGES:
        db.execute(statement)


def sources_of_executions(db: Database) -> None:
    """Who told of an execution: the gateway, or the account's statement."""
    db.execute("ALTER TABLE executions ADD COLUMN source TEXT NOT NULL DEFAULT 'api'")


def hand_overs(db: Database) -> None:
    """When a human took a trade, and what others had done in its contracts by then; NULL: nobody did."""
    db.execute("ALTER TABLE trades ADD COLUMN handed_over_at TEXT")
    db.execute("ALTER TABLE trades ADD COLUMN at_hand_over TEXT")


def greeks_and_alerts(db: Database) -> None:
    """The greeks of a mark, dollars over both legs, with the volatilities behind them; alerts."""
    db.execute("ALTER TABLE marks ADD COLUMN greeks_source TEXT")
    for name in ("delta", "gamma", "theta", "vega", "spy_iv", "spx_iv"):
        db.execute(f"ALTER TABLE marks ADD COLUMN {name} REAL")
    db.execute(_ALERTS)
    db.execute("CREATE INDEX alerts_by_time ON alerts (at)")


def entry_limits(db: Database) -> None:
    """When a what-if order went out, and why no more is entered on a day."""
    db.execute("ALTER TABLE runs ADD COLUMN what_if_at TEXT")
    db.execute("CREATE TABLE entry_stops (date TEXT PRIMARY KEY, at TEXT NOT NULL, reason TEXT NOT NULL)")


def price_states(db: Database) -> None:
    """What the prices of a mark are worth: live or not, halted, how old."""
    db.execute("ALTER TABLE marks ADD COLUMN states TEXT NOT NULL DEFAULT '[]'")


def ledger_for_people(db: Database) -> None:
    """A trade's day with its time, which earlier versions left out; each execution points at its order.

    The time is that of the first order, which went out at once; without one that of the entry, else 00:00:00.
    """
    db.execute(
        """
        UPDATE trades SET trade_date = trade_date || ' ' || coalesce(
            (SELECT time(substr(min(created_at), 12, 8)) FROM orders
             WHERE trade_id = trades.id AND substr(created_at, 1, 10) = trade_date),
            CASE WHEN substr(entry_time, 1, 10) = trade_date THEN time(substr(entry_time, 12, 8)) END,
            '00:00:00')
        WHERE length(trade_date) = 10 AND trade_date IS date(trade_date)
        """
    )
    db.execute(
        """
        ALTER TABLE executions ADD COLUMN own_order TEXT
        GENERATED ALWAYS AS (CASE WHEN purpose <> 'h' THEN order_ref END) VIRTUAL
        REFERENCES orders (order_ref)
        """
    )


def outbox(db: Database) -> None:
    """Alerts that did not go out yet."""
    db.execute(_OUTBOX)


def evidence_for_live(db: Database) -> None:
    """On which machine a command ran (NULL: not known), and what recordings of the gateway said of it."""
    db.execute("ALTER TABLE runs ADD COLUMN machine TEXT")
    db.execute(_GATEWAY_FACTS)


def lock_by_the_whole_name(db: Database) -> None:
    """The lock has another name from here on: a version that knows the old one must not open this ledger."""


MIGRATIONS: list[Callable[[Database], None]] = [
    first_tables,
    overnight_positions,
    drop_flags,
    trade_states,
    matters,
    closing_prices,
    looks,
    settlement_stages,
    sources_of_executions,
    hand_overs,
    greeks_and_alerts,
    entry_limits,
    price_states,
    ledger_for_people,
    outbox,
    evidence_for_live,
    lock_by_the_whole_name,
]
"""The nth, counted from 1, turns version n - 1 into version n."""
