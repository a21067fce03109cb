"""Margin at the broker: the what-if before an entry, and what is projected once the day's options expire."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.broker_books import OrderTicket
from spxarb.core.margin import after_expiration, margin_check, margin_not_asked, too_soon
from spxarb.core.model import Side
from spxarb.core.sentences import sentence
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from spxarb.broker.broker import Broker
    from spxarb.config.load import Config
    from spxarb.core.contracts import Contract
    from spxarb.core.entry_check import Check
    from spxarb.core.entry_view import EntryMarket
    from spxarb.core.margin import AccountValues
    from spxarb.trading.connected import ConnectedJob

log = logging.getLogger(__name__)

WHAT_IF_PAUSE = 60.0
"""Seconds between two what-if orders: IBKR asks for one a minute at most ("Checking Margin Changes")."""
AFTERNOON = timedelta(hours=4)
"""How long before the close a deficit after expiration is looked for: IBKR liquidates in these hours."""


def what_if_pause(config: Config) -> float:
    """Seconds between two what-if orders; the simulated gateway needs none."""
    configured = config.execution.what_if_pause_seconds
    if configured is not None:
        return configured
    return 0.0 if config.trading.mode == "sim" else WHAT_IF_PAUSE


async def ask_margin(job: ConnectedJob, market: EntryMarket) -> Check:
    """By a what-if of the short leg, before anything is bought: each what-if sees only what is held."""
    assert market.spy_call is not None
    runs, limits = job.ledger.runs, job.context.limits
    if why := too_soon(runs.last_what_if(), job.now, what_if_pause(job.context.config)):
        return margin_not_asked(why)
    quantity = limits.spy_contracts_per_spread
    ref = f"spxarb:{job.ledger.tag}:what-if"
    ticket = OrderTicket(ref, market.spy_call, Side.SELL, quantity, market.spy_quote.bid)
    runs.note_what_if(job.context.run_id, job.now)
    answer, account = await asyncio.gather(job.broker.what_if(ticket), account_with_margin(job.broker))
    check = margin_check(answer, account, limits.margin_reserve_factor)
    resting = _buys_resting(job, market.spy_call) if answer.rejected else []
    return replace(check, message=" ".join([check.message, *resting]))


async def account_with_margin(broker: Broker) -> AccountValues:
    """The account's values; where account updates do not come, a summary says what it can."""
    try:
        return await broker.margin_values()
    except GatewayError as error:
        log.warning("the account summary is asked instead: %s", error)
        return await broker.account_values()


def _buys_resting(job: ConnectedJob, contract: Contract) -> list[str]:
    """Our own purchases that rest in the contract: IBKR may refuse a sale beside them (US option rule)."""
    orders = [record.ticket for record in job.ledger.orders.unproven()]
    rests = [o.order_ref for o in orders if o.contract.con_id == contract.con_id and o.side is Side.BUY]
    return [f"Order {ref} rests on the other side of the same call." for ref in rests]


async def deficit_after_expiration(job: ConnectedJob) -> list[str]:
    """A sentence where, on the afternoon of an expiry, the broker projects a deficit after it; else none.

    Whatever fails in asking stands in nobody's way: no decision rests on the answer.
    """
    today, day = job.now.date(), job.day
    held = [trade for trade in bookkeeping.open_trades(job.ledger) if trade.expiry == today]
    if not held or day is None or not day.close - AFTERNOON <= job.now < day.close:
        return []
    try:
        deficit = after_expiration(await job.broker.margin_values())
    except GatewayError as error:
        log.warning("what is projected after expiration is not known: %s", error)
        return []
    trades = ", ".join(f"trade {trade.id}" for trade in held)
    risk = f"the broker may liquidate before the close while {trades} is open"
    return [sentence(f"{deficit}, and {risk}; close it (`spxarb close-all`) or add funds")] if deficit else []
