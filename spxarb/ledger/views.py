"""Views for people: a row a trade, a day, a decision and an order, in readable columns; New York's today.

They are made anew after the last migration of every version of the tables, so that none of them stands in
the way of a table that is rebuilt. Nothing of the program reads them.

Times are New York's, `2026-03-09 09:35:00` without an offset: the same form on both sides of a clock change,
which a program that reads columns of one type needs. In trading hours no such time exists twice.
The newest row comes first.
"""

# ruff: noqa: S608 -- every word of the SQL is ours

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils.db import Database


def new_york(now: str) -> str:
    """An SQL expression: New York's time at `now`, itself SQL for a moment in UTC.

    By the rule in force since 2007 (15 U.S.C. 260a): from 02:00 on the second Sunday of March until 02:00 on
    the first of November, which are 07:00 and 06:00 UTC. SQLite knows no time zones.
    """
    begins = f"datetime(strftime('%Y', {now}) || '-03-08', 'weekday 0', '+7 hours')"
    ends = f"datetime(strftime('%Y', {now}) || '-11-01', 'weekday 0', '+6 hours')"
    summer = f"datetime({now}) >= {begins} AND datetime({now}) < {ends}"
    return f"datetime({now}, CASE WHEN {summer} THEN '-4 hours' ELSE '-5 hours' END)"


def _clock(moment: str) -> str:
    """A stored moment, which has New York's offset, without it and without fractions of a second."""
    return f"replace(substr({moment}, 1, 19), 'T', ' ')"


def _yes(flag: str) -> str:
    return f"CASE {flag} WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END"


def _of_payload(path: str) -> str:
    """A value of a decision's payload; NULL where something else has written there what is no JSON."""
    return f"CASE WHEN json_valid(d.payload) THEN json_extract(d.payload, '$.{path}') END"


def _fill_price(leg: str) -> str:
    """The average price at which the leg was entered."""
    return (
        "(SELECT round(sum(e.price * e.quantity) / sum(e.quantity), 4) FROM executions AS e "
        f"WHERE e.trade_id = t.id AND e.leg = '{leg}' AND e.purpose = 'e' AND e.superseded = 0)"
    )


_CHECKS = "json_each(CASE WHEN json_valid(d.checks) THEN d.checks ELSE '[]' END) AS c"


def _count_of_checks(ok: int) -> str:
    """How many checks of an attempt to enter passed, or failed; NULL of any other command."""
    counted = f"(SELECT count(*) FROM {_CHECKS} WHERE json_extract(c.value, '$.ok') = {ok})"
    return f"CASE d.command WHEN 'enter' THEN {counted} END"


VIEWS = {
    "v_today": f"""
        SELECT date(now) AS today, now FROM (SELECT coalesce(
            (SELECT {_clock("market_time")} FROM runs
             WHERE market_time IS NOT NULL AND (SELECT value FROM meta WHERE key = 'mode') = 'sim'
             ORDER BY id DESC LIMIT 1),
            {new_york("'now'")}) AS now)
        """,
    "v_trades": f"""
        SELECT t.id, t.trade_date, t.status, t.state,
            {_clock("t.entry_time")} AS entered_at,
            {_clock("t.exit_time")} AS exited_at,
            CAST(round((julianday(t.exit_time) - julianday(t.entry_time)) * 1440) AS INTEGER) AS minutes_held,
            t.exit_reason,
            t.spx_strike, t.spy_strike, round(t.strike_mismatch, 2) AS mismatch_points,
            t.spx_contracts, t.spy_contracts,
            {_fill_price("SPX")} AS spx_entry_price, {_fill_price("SPY")} AS spy_entry_price,
            t.spx_exit_price, t.spy_exit_price,
            round(t.entry_credit, 2) AS entry_credit, round(t.exit_cost, 2) AS exit_cost,
            round(t.commissions, 2) AS commissions,
            {_yes("t.commissions_estimated")} AS commissions_estimated,
            round(t.final_pnl, 2) AS final_pnl,
            CASE WHEN t.status <> 'CLOSED' THEN 'open' WHEN t.final_pnl > 0 THEN 'won'
                 WHEN t.final_pnl < 0 THEN 'lost' WHEN t.final_pnl = 0 THEN 'even'
                 ELSE 'unknown' END AS result,
            {_yes("t.provisional")} AS provisional,
            round(t.edge, 2) AS edge, round(t.worst_case, 2) AS worst_case,
            {_clock("t.handed_over_at")} AS handed_over_at,
            t.account, t.note
        FROM trades AS t ORDER BY t.trade_date DESC, t.id DESC
        """,
    "v_days": """
        SELECT s.date,
            CASE strftime('%w', s.date) WHEN '0' THEN 'Sunday' WHEN '1' THEN 'Monday' WHEN '2' THEN 'Tuesday'
                WHEN '3' THEN 'Wednesday' WHEN '4' THEN 'Thursday' WHEN '5' THEN 'Friday'
                WHEN '6' THEN 'Saturday' END AS weekday,
            (SELECT count(*) FROM decisions AS d WHERE d.command = 'enter' AND d.dry_run = 0
                AND substr(d.at, 1, 10) = s.date) AS attempts,
            s.trades_count AS trades, s.winning_trades AS won, s.losing_trades AS lost,
            round(s.total_pnl, 2) AS gross_pnl, round(s.total_commissions, 2) AS commissions,
            round(s.net_pnl, 2) AS net_pnl,
            round(sum(s.net_pnl) OVER (ORDER BY s.date), 2) AS net_pnl_so_far,
            round(s.max_drawdown, 2) AS max_drawdown,
            CASE s.provisional WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END AS provisional
        FROM daily_summary AS s ORDER BY s.date DESC
        """,
    "v_decisions": f"""
        SELECT d.id, {_clock("d.at")} AS at, d.command, {_yes("d.dry_run")} AS dry_run, d.outcome, d.would,
            {_of_payload("trade_id")} AS trade_id,
            round({_of_payload("credit.net")}, 2) AS net_credit,
            round({_of_payload("prices.spx")}, 2) AS spx, round({_of_payload("prices.spy")}, 2) AS spy,
            round({_of_payload("prices.ratio")}, 4) AS ratio,
            round({_of_payload("risk.strike_mismatch_points")}, 2) AS mismatch_points,
            round({_of_payload("risk.edge")}, 2) AS edge,
            round({_of_payload("risk.worst_case")}, 2) AS worst_case,
            {_count_of_checks(1)} AS checks_passed, {_count_of_checks(0)} AS checks_failed,
            (SELECT group_concat(json_extract(c.value, '$.name'), ', ') FROM {_CHECKS}
                WHERE json_extract(c.value, '$.ok') = 0) AS failed,
            (SELECT group_concat(json_extract(c.value, '$.message'), '; ') FROM {_CHECKS}
                WHERE json_extract(c.value, '$.ok') = 0) AS why,
            r.exit_code, r.error
        FROM decisions AS d LEFT JOIN runs AS r ON r.id = d.run_id ORDER BY d.id DESC
        """,
    "v_orders": f"""
        SELECT o.order_ref, o.trade_id, {_clock("o.created_at")} AS sent_at, o.leg,
            CASE o.purpose WHEN 'e' THEN 'entry' WHEN 'u' THEN 'unwind' WHEN 'x' THEN 'exit'
                WHEN 'f' THEN 'fail-safe' ELSE o.purpose END AS purpose,
            o.attempt, o.side, o.quantity,
            CASE WHEN json_valid(o.contract) THEN json_extract(o.contract, '$.trading_class') || ' '
                || json_extract(o.contract, '$.expiry') || ' ' || json_extract(o.contract, '$.strike') || ' '
                || json_extract(o.contract, '$.right') END AS contract,
            CASE WHEN o.limit_price IS NULL THEN 'market' ELSE 'limit' END AS type, o.limit_price,
            {_clock("o.good_after")} AS active_from,
            (SELECT count(*) FROM order_steps AS s
                WHERE s.order_ref = o.order_ref AND s.step = 'reprice') AS reprices,
            o.status, {_yes("o.final")} AS final, coalesce(f.filled, o.filled) AS filled,
            f.average_price, f.commission,
            {_clock("f.last_fill")} AS filled_at,
            o.client_id, o.order_id, o.perm_id
        FROM orders AS o LEFT JOIN (
            SELECT own_order, sum(quantity) AS filled,
                round(sum(price * quantity) / sum(quantity), 4) AS average_price,
                round(sum(commission), 2) AS commission, max(time) AS last_fill
            FROM executions WHERE superseded = 0 GROUP BY own_order
        ) AS f ON f.own_order = o.order_ref ORDER BY o.created_at DESC, o.rowid DESC
        """,
}
"""Name -> what it selects."""


def drop(db: Database) -> None:
    """Take them away, before a table that they read may change."""
    for name in VIEWS:
        db.execute(f"DROP VIEW IF EXISTS {name}")


def create(db: Database) -> None:
    """Make them, over tables of the newest version."""
    for name, selected in VIEWS.items():
        db.execute(f"CREATE VIEW {name} AS {selected.strip()}")
