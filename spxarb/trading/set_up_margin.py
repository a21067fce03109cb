"""Margin for the spread at the money: what-if orders of its legs, beside what the published rules say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.broker_books import OrderTicket
from spxarb.core.margin import after_expiration, in_money_of, margin_check
from spxarb.core.margin_rules import ChargedCall, explained, if_assigned, portfolio, reg_t, rules_like
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.results.doctor import DoctorMargin, MarginFigures
from spxarb.core.strategy import underlying_price
from spxarb.errors import SpxarbError
from spxarb.trading.limits_in_force import limits_of
from spxarb.trading.margin import account_with_margin, what_if_pause
from spxarb.trading.waits import WaitClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from spxarb.broker.broker import Broker
    from spxarb.config.load import Config
    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.margin import AccountValues, MarginAnswer
    from spxarb.trading.set_up_found import SetUp

NO_QUOTES = "the calls at the money have no prices now, so no what-if can be sent"
MEND_FUNDS = (
    "add funds, lower trading.spy_contracts_per_spread, or ask IBKR for portfolio margin (from $110,000 of "
    "equity)"
)
MEND_PERMISSION = (
    "ask for options level 4 (uncovered calls) in Client Portal, under Settings, Trading Permissions"
)


@dataclass(frozen=True, slots=True)
class _Leg:
    """One leg as it would be sent, and as the rules see it."""

    ticket: OrderTicket
    held: ChargedCall


async def margin_of_spread(
    found: SetUp, config: Config, broker: Broker, calls: Mapping[str, Contract], under: Mapping[str, Quote]
) -> DoctorMargin:
    """The margin of the spread, and lines on it; `calls` at the money and underlyings by their symbols.

    Two what-if orders, a minute apart in paper and live; nothing is placed.
    """
    try:
        legs = await _legs(config, broker, calls, under)
        if legs is None:
            found.unchecked("margin", NO_QUOTES, "run this in trading hours")
            return DoctorMargin()
        short, long = legs
        account = await account_with_margin(broker)
        clock, pause = WaitClock(config.wait_scale), what_if_pause(config)
        await clock.sleep(_still_to_wait(found.last_what_if, pause))
        answer = await broker.what_if(short.ticket)
        await clock.sleep(pause)
        other = await broker.what_if(long.ticket)
    except SpxarbError as error:
        found.failed_by("margin", error)
        return DoctorMargin()
    check = margin_check(answer, account, limits_of(config).margin_reserve_factor)
    if check.ok:
        found.passed("margin", check.message)
    elif check.ok is None:
        found.unchecked("margin", check.message, "run this again in a minute; compare with TWS")
    else:
        found.failed("margin", check.message, MEND_FUNDS)
    _tell_permission(found, answer)
    if deficit := after_expiration(account):
        found.failed("post_expiration", deficit, "close what expires today, or add funds")
    return _report(account, answer, other, short.held, long.held)


def _still_to_wait(last: datetime | None, pause: float) -> float:
    """Seconds until another what-if may be sent. A time that is not the machine's day says nothing."""
    if last is None:
        return 0.0
    ago = (datetime.now(NEW_YORK) - last).total_seconds()
    return pause - ago if 0 <= ago < pause else 0.0


async def _legs(
    config: Config, broker: Broker, calls: Mapping[str, Contract], under: Mapping[str, Quote]
) -> tuple[_Leg, _Leg] | None:
    """The short SPY leg and the long SPX leg at the market; None while a price is missing."""
    if not {"SPX", "SPY"} <= calls.keys():
        return None
    quotes = await broker.quotes(list(calls.values()), config.execution.quote_timeout_seconds)
    limits, legs = limits_of(config), []
    for symbol, side, count in (
        ("SPY", Side.SELL, limits.spy_contracts_per_spread),
        ("SPX", Side.BUY, limits.spx_contracts_per_spread),
    ):
        call, price = calls[symbol], underlying_price(under[symbol])
        quote = quotes[call.con_id]
        touch = quote.bid if side is Side.SELL else quote.ask
        if not touch or not quote.mid or price is None or call.strike is None:
            return None
        ticket = OrderTicket(f"spxarb:doctor:{symbol}:what-if", call, side, count, touch)
        held = ChargedCall(symbol, side.sign * count, call.strike, quote.mid, price)
        legs.append(_Leg(ticket, held))
    return legs[0], legs[1]


def _tell_permission(found: SetUp, answer: MarginAnswer) -> None:
    if not answer.rejected:
        found.passed("permissions", "the broker takes the sale of uncovered calls")
        return
    found.failed("permissions", f"the broker would refuse the sale: {answer.rejected}", MEND_PERMISSION)


def _report(
    account: AccountValues, answer: MarginAnswer, other: MarginAnswer, short: ChargedCall, long: ChargedCall
) -> DoctorMargin:
    dollars, told = account.in_dollars, _told(answer, account)
    rules = rules_like(told, [short])
    names = {"reg-t": "Regulation T", "portfolio": "portfolio margin"}
    words = [f"What the broker wants for the SPY calls alone is like {names[rules]}."] if rules else []
    return DoctorMargin(
        asked=True,
        currency=account.currency,
        equity_with_loan=dollars.equity_with_loan,
        previous_day_equity=dollars.previous_day_equity,
        available_funds=dollars.available_funds,
        initial_margin=dollars.initial_margin,
        post_expiration_margin=dollars.post_expiration_margin,
        post_expiration_excess=dollars.post_expiration_excess,
        rules=rules,
        if_assigned=if_assigned(short),
        parts=(
            _figures("short", [short], told, answer.rejected),
            _figures("long", [long], _told(other, account), other.rejected),
            _figures("both", [short, long], None, ""),
        ),
        explained=(*explained(short, long, dollars.net_liquidation), *words),
    )


def _told(answer: MarginAnswer, account: AccountValues) -> Decimal | None:
    """The broker's change of the initial margin, dollars; None where it or its currency is not certain."""
    known = in_money_of(answer, account)
    return None if known is None or answer.rejected else account.dollars(known.change)


def _figures(part: str, calls: Sequence[ChargedCall], told: Decimal | None, refused: str) -> MarginFigures:
    return MarginFigures(
        part=part,
        contracts=", ".join(map(str, calls)),
        broker=told,
        refused=refused or None,
        reg_t=reg_t(calls),
        portfolio=portfolio(calls),
    )
