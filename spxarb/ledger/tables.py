"""The tables of a new ledger, as they are now; `python -m tools.docs` writes this file.

They are what the migrations of `migrations.py` make of an empty file, one after the other.
"""

VERSION = 17
"""So many migrations are in these tables."""
TABLES = (
    """\
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
    note TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'entering',
    handed_over_at TEXT,
    at_hand_over TEXT
)
""",
    """\
CREATE INDEX trades_by_date ON trades (trade_date)
""",
    """\
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
)
""",
    """\
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
)
""",
    """\
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
    created_at TEXT NOT NULL,
    overnight REAL
)
""",
    """\
CREATE INDEX orders_by_trade ON orders (trade_id, leg, purpose)
""",
    """\
CREATE INDEX orders_unproven ON orders (final) WHERE final = 0
""",
    """\
CREATE UNIQUE INDEX orders_by_id ON orders (client_id, order_id) WHERE order_id > 0
""",
    """\
CREATE TABLE order_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_ref TEXT NOT NULL REFERENCES orders (order_ref),
    at TEXT,
    step TEXT NOT NULL,
    limit_price REAL,
    detail TEXT NOT NULL DEFAULT ''
)
""",
    """\
CREATE INDEX order_steps_by_order ON order_steps (order_ref)
""",
    """\
CREATE TRIGGER order_steps_stay BEFORE UPDATE ON order_steps
BEGIN SELECT RAISE(ABORT, 'order_steps is append-only'); END
""",
    """\
CREATE TRIGGER order_steps_remain BEFORE DELETE ON order_steps
BEGIN SELECT RAISE(ABORT, 'order_steps is append-only'); END
""",
    """\
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
    superseded INTEGER NOT NULL DEFAULT 0,
    commission_estimate REAL,
    source TEXT NOT NULL DEFAULT 'api',
    own_order TEXT GENERATED ALWAYS AS (CASE WHEN purpose <> 'h' THEN order_ref END) VIRTUAL
        REFERENCES orders (order_ref)
)
""",
    """\
CREATE INDEX executions_by_trade ON executions (trade_id)
""",
    """\
CREATE INDEX executions_by_family ON executions (family)
""",
    """\
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
    pnl REAL,
    greeks_source TEXT,
    delta REAL,
    gamma REAL,
    theta REAL,
    vega REAL,
    spy_iv REAL,
    spx_iv REAL,
    states TEXT NOT NULL DEFAULT '[]'
)
""",
    """\
CREATE INDEX marks_by_trade ON marks (trade_id)
""",
    """\
CREATE TABLE day_marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    date TEXT NOT NULL,
    at TEXT NOT NULL,
    net_pnl REAL NOT NULL
)
""",
    """\
CREATE INDEX day_marks_by_date ON day_marks (date)
""",
    """\
CREATE TABLE baselines (
    date TEXT NOT NULL,
    account TEXT NOT NULL,
    spy_shares REAL NOT NULL,
    taken_at TEXT NOT NULL, spx_close REAL, spy_close REAL,
    PRIMARY KEY (date, account)
)
""",
    """\
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    exit_code INTEGER,
    error TEXT,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    account_seen TEXT,
    market_time TEXT,
    what_if_at TEXT,
    machine TEXT
)
""",
    """\
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
)
""",
    """\
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
)
""",
    """\
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
)
""",
    """\
CREATE UNIQUE INDEX matters_once ON matters (key) WHERE resolved_at IS NULL
""",
    """\
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
    """\
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
    """\
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER REFERENCES runs (id),
    at TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_to TEXT NOT NULL,
    failure TEXT
)
""",
    """\
CREATE INDEX alerts_by_time ON alerts (at)
""",
    """\
CREATE TABLE entry_stops (date TEXT PRIMARY KEY, at TEXT NOT NULL, reason TEXT NOT NULL)
""",
    """\
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ways TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    tried_at TEXT NOT NULL,
    failure TEXT NOT NULL
)
""",
    """\
CREATE TABLE gateway_facts (
    name TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    evidence TEXT NOT NULL,
    judged_by TEXT NOT NULL,
    what TEXT NOT NULL,
    times INTEGER NOT NULL,
    server_version INTEGER,
    kept_at TEXT NOT NULL,
    PRIMARY KEY (name, recorded_at, evidence, judged_by)
)
""",
)
