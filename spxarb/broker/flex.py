"""The broker's statement file (IB Flex XML) to `core.statement`: activity and trade confirmations.

The parser is expat as it is: events, no tree, and a document type or an entity ends it, so that a file can
neither reach outside nor grow inside; a library for that (defusedxml) would guard the tree that is not built.
Sections and fields as in the Flex queries' reference (IBKR, Activity Flex Query and Trade Confirmation Flex
Query); what they hold, as recorded by public programs: executions stand at the level EXECUTION and again as
ORDER, SYMBOL_SUMMARY and CLOSED_LOT rows, the statement of funds once in each currency and once in the base
currency, and expirations among the trades too, as BookTrade rows without an execution id.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.parsers import expat

from spxarb.broker.convert import number
from spxarb.broker.times import zone
from spxarb.core.broker_books import Execution
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.printable import from_outside
from spxarb.core.statement import (
    Booking,
    CashLine,
    Fate,
    OptionEvent,
    Statement,
    StatementKind,
    UnreadRow,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, str]

MOST_BYTES = 100_000_000
"""A year of a busy account is some tens of megabytes."""
DEEPEST = 50
EXECUTION_LEVELS = frozenset({"", "EXECUTION"})
BUST = "TradeCancel"
EXCHANGE_TRADES = frozenset({"", "ExchTrade", "TradeCorrect", BUST})
"""Transaction types that are executions; BookTrade is an expiration, exercise or assignment."""
_FATES = {
    "exercise": Fate.EXERCISED,
    "assignment": Fate.ASSIGNED,
    "expiration": Fate.EXPIRED,
    "cash settlement": Fate.SETTLED,
}
_SETTLED_IN_CASH = "cash settlement"
"""In a line's description: `Option Cash Settlement for: Assignment ( SPXW 24MAR25 5000 P )`."""
# The confirmations' word -> that of the activity statement.
_SAME = {
    "execID": "ibExecID",
    "orderID": "ibOrderID",
    "price": "tradePrice",
    "commission": "ibCommission",
    "tax": "taxes",
}
_NEEDED = {
    "ibExecID": "IB Execution ID",
    "dateTime": "Date/Time",
    "quantity": "Quantity",
    "tradePrice": "Trade Price",
    "buySell": "Buy/Sell",
}
_SUMS = ("amount", "credit", "debit")
_COMMISSION = ("ibCommission", "IB Commission")


class FlexFileError(ValueError):
    """The text is no statement; its words say why."""


class FlexAnswerError(FlexFileError):
    """The text is an answer of the Flex web service instead of a statement"""

    def __init__(self, code: str, text: str) -> None:
        words = " ".join(filter(None, (code, text))) or "with neither a code nor words"
        super().__init__(f"the Flex web service answered {words}")
        self.code, self.text = code, text


@dataclass
class _Part:
    """One FlexStatement of the file: its own fields, and its rows by section; a section may be empty."""

    fields: Row
    rows: dict[str, list[Row]] = field(default_factory=dict)


# --- the file ----------------------------------------------------------------------------------------


def read_statements(data: bytes) -> list[Statement]:
    """Every account's statement in the file. Raises FlexFileError for what is none, FlexAnswerError."""
    reader = _Reader()
    reader.read(data)
    if reader.root in {"FlexStatementResponse", "FlexStatementOperationMessage"}:
        said = reader.texts
        raise FlexAnswerError(said.get("ErrorCode", ""), said.get("ErrorMessage", said.get("code", "")))
    if reader.root != "FlexQueryResponse":
        raise FlexFileError(f"its root is <{reader.root}>, not <FlexQueryResponse>")
    if not reader.parts:
        raise FlexFileError("it holds no FlexStatement")
    return [_statement(part, reader.query) for part in reader.parts]


SECTIONS = {"Trades": "Trade", "TradeConfirms": "TradeConfirm", "StmtFunds": "StatementOfFundsLine"}
"""Each section that is needed, and its rows."""
EVENTS = "OptionEAE"
"""A section and its rows of the same name."""


class _Reader:
    """Collects the rows of the sections, as they stand in the file."""

    def __init__(self) -> None:
        self.root = ""
        self.query: Row = {}
        self.parts: list[_Part] = []
        self.texts: dict[str, str] = {}
        """Of an answer of the service: its elements' texts."""
        self._path: list[str] = []

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.EntityDeclHandler = _refuse_document_type
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            cut = error.code in _CUT_OFF or (self._path and not data.rstrip().endswith(b">"))
            what = "is cut off" if cut else "is not well-formed XML"
            raise FlexFileError(f"it {what} (line {error.lineno})") from None

    def _start(self, name: str, attributes: Row) -> None:
        attributes = {key: from_outside(text, words=False) for key, text in attributes.items()}
        self.root = self.root or name
        if name == "FlexQueryResponse":
            self.query = attributes
        elif name == "FlexStatement":
            self.parts.append(_Part(attributes))
        elif self.parts:
            self._row(name, attributes)
        self._path.append(name)
        if len(self._path) > DEEPEST:
            raise FlexFileError(f"it is nested deeper than {DEEPEST} levels")

    def _row(self, name: str, attributes: Row) -> None:
        above, rows = self._path[-1], self.parts[-1].rows
        if name == above == EVENTS:
            rows[EVENTS].append(attributes)
        elif name in SECTIONS or name == EVENTS:
            rows.setdefault(name, [])
        elif SECTIONS.get(above) == name:
            rows[above].append(attributes)

    def _end(self, _: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        if not self.parts and text.strip():
            self.texts[self._path[-1]] = self.texts.get(self._path[-1], "") + text.strip()


_CUT_OFF = {
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
}


def _refuse_document_type(*_: object) -> None:
    raise FlexFileError("it declares a document type, which no statement does")


# --- one statement -----------------------------------------------------------------------------------


def _statement(part: _Part, query: Mapping[str, str]) -> Statement:
    own = part.fields
    account = own.get("accountId", "")
    since, until = (_day_of(own, name) for name in ("fromDate", "toDate"))
    gaps: list[str] = []
    unread: list[UnreadRow] = []
    bookings, cash, events = None, None, None
    sections = [name for name in ("Trades", "TradeConfirms") if name in part.rows]
    if sections:  # where both are there, the activity statement is the later word
        bookings = _bookings(_of_account(part.rows[sections[0]], account), sections[0], gaps, unread)
    if "StmtFunds" in part.rows:
        cash = _cash(_of_account(part.rows["StmtFunds"], account), gaps)
    if EVENTS in part.rows:
        events = _events(_of_account(part.rows[EVENTS], account), gaps)
    confirmations = query.get("type") == "TCF" or sections == ["TradeConfirms"]
    return Statement(
        account=account,
        kind=StatementKind.CONFIRMATIONS if confirmations else StatementKind.ACTIVITY,
        since=since,
        until=until,
        generated=_generated(own),
        bookings=bookings,
        cash=cash,
        events=events,
        gaps=tuple(dict.fromkeys(gaps)),
        unread=tuple(unread),
    )


def _generated(fields: Row) -> datetime | None:
    with suppress(ValueError):
        return moment(fields.get("whenGenerated", ""))
    return None


def _day_of(fields: Row, name: str) -> date:
    """A day of the statement's head. Raises FlexFileError for one that is missing or cannot be read."""
    try:
        return moment(fields.get(name, "")).date()
    except ValueError as error:
        raise FlexFileError(f"the {name} of its FlexStatement {error}") from None


def _of_account(rows: list[Row], account: str) -> list[Row]:
    """The rows of the statement's own account; one that names none is the statement's."""
    return [row for row in rows if row.get("accountId", "") in {"", account}]


def _bookings(
    rows: list[Row], section: str, gaps: list[str], unread: list[UnreadRow]
) -> tuple[Booking, ...] | None:
    """Executions and their cancels; None where the query has not asked for a field that is needed."""
    rows = [{_SAME.get(name, name): text for name, text in row.items()} for row in rows]
    rows = [row for row in rows if _is_execution(row)]
    asked = {name for row in rows for name in row}
    if lacking := [label for name, label in _NEEDED.items() if rows and name not in asked]:
        gaps.append(f"section {section} lacks {', '.join(lacking)}: choose the fields in the flex query")
        return None
    if rows and _COMMISSION[0] not in asked:
        gaps.append(f"section {section} lacks {_COMMISSION[1]}: commissions cannot be compared")
    found = []
    for row in rows:
        try:
            found.append(_booking(row))
        except ValueError as error:
            unread.append(_unread(row, section, str(error)))
            gaps.append(unread[-1].gap)
    return tuple(found)


def _unread(row: Row, section: str, why: str) -> UnreadRow:
    exec_id = row.get("ibExecID", "")
    name = f"execution {exec_id}, {_name_of(row)}" if exec_id else _name_of(row)
    return UnreadRow(
        exec_id=exec_id,
        order_ref=row.get("orderReference", "").strip(),
        perm_id=_whole(row.get("ibOrderID", "")),
        con_id=_whole(row.get("conid", "")),
        why=why,
        gap=f"a row of {section} ({name}) cannot be read: {why}",
    )


def _is_execution(row: Row) -> bool:
    """Whether it is an option's execution or the cancel of one; of a row without level, its id says so."""
    kind, level = row.get("transactionType", ""), row.get("levelOfDetail", "")
    has_id = row.get("ibExecID", "?") != "" or kind == BUST
    return (
        row.get("assetCategory", "OPT") == "OPT"
        and level in EXECUTION_LEVELS
        and kind in EXCHANGE_TRADES
        and has_id
    )


def _booking(row: Row) -> Booking:
    """Raises ValueError for a value that cannot be read."""
    if row.get("transactionType") == "TradeCorrect" and row.get("origTradeID", "") not in {
        "",
        row.get("tradeID"),
    }:
        raise ValueError(f"it corrects trade id {row['origTradeID']} under another one")
    is_cancel = row.get("transactionType") == BUST or row["buySell"].endswith("(Ca.)")
    word = row["buySell"].split()[0] if row["buySell"].split() else ""
    side = {"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL}.get(word)
    if side is None:
        raise ValueError(f"buySell {row['buySell']!r} is neither BUY nor SELL")
    if row.get("ibCommissionCurrency", "") not in {"", "USD"}:
        raise ValueError(f"its commission is in {row['ibCommissionCurrency']}")
    costs = [_amount(row, name) for name in ("ibCommission", "taxes") if row.get(name, "")]
    execution = Execution(
        exec_id="" if is_cancel else row["ibExecID"],
        order_ref=row.get("orderReference", "").strip(),
        order_id=0,
        client_id=0,
        perm_id=_whole(row.get("ibOrderID", "")),
        con_id=_whole(row.get("conid", "")),
        symbol=row.get("underlyingSymbol", ""),
        side=side,
        quantity=abs(_amount(row, "quantity")),
        price=_amount(row, "tradePrice"),
        time=moment(row["dateTime"]),
        account=row.get("accountId", ""),
        commission=-sum(costs, start=Decimal(0)) + 0 if row.get("ibCommission", "") else None,
    )
    return Booking(
        execution,
        _squeezed(row.get("symbol", "")),
        row.get("tradeID", ""),
        row.get("transactionID", ""),
        (row.get("origTradeID", "") or row.get("tradeID", "") or "?") if is_cancel else "",
    )


def _cash(rows: list[Row], gaps: list[str]) -> tuple[CashLine, ...]:
    """Cash settlements of options in dollars, once: each line stands again in the base currency."""
    rows = [row for row in rows if _SETTLED_IN_CASH in row.get("activityDescription", "").lower()]
    own = [row for row in rows if row.get("levelOfDetail", "") != "BaseCurrency"]
    found: dict[object, CashLine] = {}
    for row in own or rows:
        if row.get("currency", "USD") != "USD":
            gaps.append(f"a cash settlement ({_name_of(row)}) is in {row['currency']}: it is not compared")
            continue
        try:
            line = CashLine(
                _whole(row.get("conid", "")),
                _squeezed(row.get("symbol", "")),
                moment(row.get("date", "") or row.get("reportDate", "")).date(),
                _amount(row, next((name for name in _SUMS if row.get(name, "")), "amount")),
            )
        except ValueError as error:
            gaps.append(f"a row of StmtFunds ({_name_of(row)}) cannot be read: {error}")
            continue
        found[row.get("transactionID", "") or len(found)] = line
    return tuple(found.values())


def _events(rows: list[Row], gaps: list[str]) -> tuple[OptionEvent, ...]:
    """What became of options; the rows of the shares that were delivered say the same again."""
    found = []
    for row in rows:
        fate = _FATES.get(row.get("transactionType", "").lower())
        if fate is None or row.get("assetCategory", "OPT") != "OPT":
            continue
        try:
            proceeds = _amount(row, "proceeds") if row.get("proceeds", "") else None
            found.append(
                OptionEvent(
                    _whole(row.get("conid", "")),
                    _squeezed(row.get("symbol", "")),
                    fate,
                    abs(_amount(row, "quantity")),
                    moment(row.get("date", "")).date(),
                    proceeds,
                )
            )
        except ValueError as error:
            gaps.append(f"a row of OptionEAE ({_name_of(row)}) cannot be read: {error}")
    return tuple(found)


def _name_of(row: Row) -> str:
    """What a row is about, for a sentence."""
    names = ("description", "symbol", "tradeID", "transactionID")
    return " ".join(next((row[name] for name in names if row.get(name, "")), "unnamed").split())[:60]


# --- values ------------------------------------------------------------------------------------------


def _amount(row: Row, name: str) -> Decimal:
    """A number such as `-1.3666` or `21,792.73`. Raises ValueError for one that is missing."""
    text = row.get(name, "")
    found = number(text.replace(",", ""))
    if found is None:
        raise ValueError(f"{name} {text!r} is not a number" if text else f"{name} is empty")
    return found


def _whole(text: str) -> int:
    """An id; 0 where there is none, or it is none of the wire's."""
    return int(text) if text.isascii() and text.isdigit() else 0


def _squeezed(symbol: str) -> str:
    return "".join(symbol.split())


_DAYS = ("%Y%m%d", "%Y-%m-%d", "%d-%b-%y", "%d-%b-%Y")
_TIMES = ("%H%M%S", "%H:%M:%S", "%H:%M", "%H%M")
_MOMENT = re.compile(
    r"(\d{8}|\d{4}-\d\d-\d\d|\d{1,2}-[A-Za-z]{3}-(?:\d{4}|\d\d))(?:[;,T ]+([\d:]+))?(?: +(.+))?"
)


def moment(text: str) -> datetime:
    """A date or date and time of a statement, New York: its own zone unless it names another.

    `20260213;094105`, `2026-02-13 09:41:05 EST`, `2026-02-13`. ValueError for anything else: 02/03/2026 is
    one day in one account's settings and another in the next one's.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        hint = ": choose the date format yyyyMMdd in the flex query" if "/" in text else ""
        raise ValueError(f"{text!r} is not a date such as 20260213;094105{hint}")
    day = _parsed(found[1], _DAYS, text)
    when = _parsed(found[2], _TIMES, text) if found[2] else datetime.min  # noqa: DTZ901 -- its zone comes below
    place = zone(found[3]) if found[3] else NEW_YORK
    if place is None:
        raise ValueError(f"{text!r} is in a time zone that is not known")
    since_midnight = timedelta(hours=when.hour, minutes=when.minute, seconds=when.second)
    return (day + since_midnight).replace(tzinfo=place).astimezone(NEW_YORK)


@lru_cache(maxsize=1024)
def _parsed(text: str, forms: tuple[str, ...], whole: str) -> datetime:
    for form in forms:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 -- its zone stands elsewhere
        except ValueError:
            continue
    raise ValueError(f"{whole!r} is not a date such as 20260213;094105")
