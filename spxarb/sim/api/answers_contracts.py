"""Answers about contracts: details, option chains, price increments, symbol search."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.requests import read_query
from spxarb.sim.api.wire import Ask, Say, frame
from spxarb.sim.market.instruments import session_hours
from spxarb.sim.market.ticks import MARKET_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spxarb.sim.api.requests import Query
    from spxarb.sim.api.session import Session
    from spxarb.sim.api.wire import Fields
    from spxarb.sim.market.instruments import Instrument, Market

NOTHING_FOUND = "No security definition has been found for the request"


def matches(market: Market, query: Query) -> list[Instrument]:
    """All instruments that a client's description fits; an empty field fits everything."""
    if query.con_id:
        found = market.by_con_id(query.con_id)
        candidates: Iterable[Instrument] = [found] if found else []
    elif query.local_symbol and not query.symbol:
        candidates = [item for item in market.instruments() if item.local_symbol == query.local_symbol]
    else:
        candidates = _by_description(market, query)
    return [item for item in candidates if _fits(item, query)]


def _by_description(market: Market, query: Query) -> Sequence[Instrument]:
    day = _day(query.expiry)
    if query.expiry and day is None and not re.fullmatch(r"\d{6}", query.expiry):
        return []
    strike, right = query.strike or None, query.right or None
    trading_class = query.trading_class if query.sec_type == "OPT" else ""
    return market.find(query.symbol, query.sec_type, day, strike, right, trading_class)


def _day(expiry: str) -> date | None:
    try:
        return datetime.strptime(expiry[:8], "%Y%m%d").date() if len(expiry) >= 8 else None  # noqa: DTZ007  a day
    except ValueError:
        return None


def _fits(item: Instrument, query: Query) -> bool:
    """The fields that neither conId nor the market's own search have settled."""
    month = query.expiry if len(query.expiry) == 6 else ""
    return (
        (not query.exchange or query.exchange in item.valid_exchanges.split(","))
        and query.currency in {"", item.currency}
        and query.local_symbol in {"", item.local_symbol}
        and (not query.multiplier or not item.multiplier or query.multiplier == str(item.multiplier))
        and (not month or (item.expiry is not None and f"{item.expiry:%Y%m}" == month))
    )


def one_instrument(session: Session, request: int, query: Query) -> Instrument | None:
    """The single instrument that `query` means; otherwise error 200 is sent and None given."""
    found = matches(session.gateway.market, query)
    if len(found) == 1:
        return found[0]
    text = f"The contract description specified for {query.symbol} is ambiguous." if found else NOTHING_FOUND
    session.error(request, 200, text)
    return None


def contract_details(session: Session, fields: Fields) -> None:
    """reqContractDetails: one frame for each match and an end; nothing but error 200 when there is none."""
    fields.skip(1)
    request = fields.must_integer("reqId")
    query = read_query(fields)
    found = matches(session.gateway.market, query)
    if not found:
        session.error(request, 200, NOTHING_FOUND)
        return
    hours: dict[tuple[str, str, date | None], tuple[str, str]] = {}
    for item in found:
        key = item.symbol, item.sec_type, item.expiry
        if key not in hours:
            hours[key] = session_hours(item, session.gateway.now.date())
        session.send(layouts.contract_details(session.version, request, item, query.exchange, hours[key]))
    session.send(frame(Say.CONTRACT_DETAILS_END, 1, request))


def option_chains(session: Session, fields: Fields) -> None:
    """reqSecDefOptParams: one chain for each exchange and trading class.

    As at the real gateway, naming an exchange for an index or stock gives no chain, and no conId is 321.
    """
    request = fields.must_integer("reqId")
    symbol, exchange = fields.text("underlyingSymbol"), fields.text("futFopExchange")
    fields.skip(1)
    under = fields.integer("underlyingConId") or 0
    if not under:
        session.error(request, 321, "Error validating request: cause - Invalid contract id")
        return
    chains: dict[tuple[str, str], tuple[set[str], set[float]]] = {}
    for item in session.gateway.market.instruments() if not exchange else ():
        if item.under_con_id == under and item.symbol == symbol and item.expiry and item.strike:
            for venue in item.valid_exchanges.split(","):
                days, strikes = chains.setdefault((venue, item.trading_class), (set(), set()))
                days.add(layouts.wire_date(item.expiry))
                strikes.add(item.strike)
    for (venue, trading_class), (days, strikes) in chains.items():
        head = request, venue, under, trading_class, "100"
        prices = (f"{strike:.10g}" for strike in sorted(strikes))
        session.send(frame(Say.OPTION_CHAIN, *head, len(days), *sorted(days), len(strikes), *prices))
    session.send(frame(Say.OPTION_CHAINS_END, request))


def market_rule(session: Session, fields: Fields) -> None:
    """reqMarketRule: the price increments of a rule id."""
    rule = fields.must_integer("marketRuleId")
    steps = MARKET_RULES.get(rule)
    if steps is None:
        session.error(-1, 321, f"Error validating request: cause - unknown market rule {rule}")
        return
    flat = [f"{value:.10g}" for step in steps for value in step]
    session.send(frame(Say.MARKET_RULE, rule, len(steps), *flat))


def matching_symbols(session: Session, fields: Fields) -> None:
    """reqMatchingSymbols: the underlyings whose symbol begins with the pattern."""
    request, pattern = fields.must_integer("reqId"), fields.text("pattern").upper()
    market = session.gateway.market
    found = [i for kind in ("IND", "STK") for symbol in ("SPX", "SPY") for i in market.find(symbol, kind)]
    found = [item for item in found if item.symbol.startswith(pattern)]
    tail = session.version >= layouts.ISSUER_ID
    rows = [
        value
        for item in found
        for value in (
            *(
                item.con_id,
                item.symbol,
                item.sec_type,
                item.primary_exchange or item.exchange,
                item.currency,
                1,
                "OPT",
            ),
            *((item.long_name, "") if tail else ()),
        )
    ]
    session.send(frame(Say.SYMBOL_SAMPLES, request, len(found), *rows))


HANDLERS: dict[int, Callable[[Session, Fields], None]] = {
    Ask.CONTRACT_DETAILS: contract_details,
    Ask.OPTION_CHAINS: option_chains,
    Ask.MARKET_RULE: market_rule,
    Ask.MATCHING_SYMBOLS: matching_symbols,
}
