"""The broker's statement file read: what counts once, what is left out, what is refused, and in which words."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spxarb.broker.flex import FlexAnswerError, FlexFileError, moment, read_statements
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.statement import Fate, StatementKind, booked

D = Decimal
SPXW = "SPXW  260213C06945000"


def trade(**more: str) -> str:
    """A row of an activity statement, as recorded from a real one."""
    row = {
        "accountId": "DU1",
        "currency": "USD",
        "assetCategory": "OPT",
        "symbol": SPXW,
        "conid": "11",
        "underlyingSymbol": "SPX",
        "tradeID": "786",
        "dateTime": "20260213;094105",
        "transactionType": "ExchTrade",
        "quantity": "1",
        "tradePrice": "17.9",
        "ibCommission": "-1.6412",
        "buySell": "BUY",
        "ibOrderID": "726326436",
        "transactionID": "1",
        "ibExecID": "0001938c.6a59af42.01.01",
        "orderReference": "spxarb:4f1c:7:SPX:e1",
        "levelOfDetail": "EXECUTION",
        **more,
    }
    fields = " ".join(f'{name}="{text}"' for name, text in row.items())
    return f"<Trade {fields} />"


def document(*sections: str, account: str = "DU1", kind: str = "AF", more: str = "") -> bytes:
    head = f'accountId="{account}" fromDate="20260213" toDate="20260213" whenGenerated="20260214;041500"'
    body = f"<FlexStatement {head}>{''.join(sections)}</FlexStatement>"
    text = f'<FlexQueryResponse queryName="q" type="{kind}"><FlexStatements>{body}{more}</FlexStatements></FlexQueryResponse>'
    return text.encode()


def trades(*rows: str) -> str:
    return f"<Trades>{''.join(rows)}</Trades>"


def one(*sections: str, **more: str):
    (statement,) = read_statements(document(*sections, **more))
    return statement


# --- executions ---------------------------------------------------------------------------------------


def test_an_execution_is_read_with_its_time_its_order_and_what_was_paid():
    (booking,) = one(trades(trade())).bookings
    execution = booking.execution
    assert (execution.exec_id, execution.order_ref) == ("0001938c.6a59af42.01.01", "spxarb:4f1c:7:SPX:e1")
    assert (execution.perm_id, execution.con_id, execution.side) == (726326436, 11, Side.BUY)
    assert (execution.quantity, execution.price) == (D(1), D("17.9"))
    assert execution.commission == D("1.6412")
    assert execution.time == datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)
    assert booking.option == "SPXW260213C06945000"


def test_a_sale_has_a_positive_quantity_and_a_rebate_a_negative_cost():
    row = trade(buySell="SELL", quantity="-10", ibCommission="0.35", taxes="-0.10")
    (booking,) = one(trades(row)).bookings
    assert (booking.execution.side, booking.execution.quantity) == (Side.SELL, D(10))
    assert booking.execution.commission == D("-0.25")


def test_trade_confirmations_name_the_same_fields_otherwise():
    row = trade().replace("<Trade ", "<TradeConfirm ")
    for theirs, ours in (
        ("ibExecID", "execID"),
        ("ibOrderID", "orderID"),
        ("tradePrice", "price"),
        ("ibCommission", "commission"),
    ):
        row = row.replace(theirs, ours)
    statement = one(f"<TradeConfirms>{row}</TradeConfirms>", kind="TCF")
    assert statement.kind is StatementKind.CONFIRMATIONS
    assert statement.bookings == one(trades(trade())).bookings


@pytest.mark.parametrize("level", ["ORDER", "SYMBOL_SUMMARY", "ASSET_SUMMARY", "CLOSED_LOT", "WASH_SALE"])
def test_the_same_execution_at_another_level_of_detail_counts_once(level):
    for exec_id in ("", "0001938c.6a59af42.01.01", "0001938c.00000000.01.01"):
        again = trade(levelOfDetail=level, ibExecID=exec_id, transactionID="2")
        assert len(one(trades(again, trade())).bookings) == 1
    assert (
        len(
            one(trades(trade(), f"<Order {again.partition(' ')[2]}", "<SymbolSummary symbol='x' />")).bookings
        )
        == 1
    )


@pytest.mark.parametrize("code", ["A", "Ex", "Ep"])
def test_an_expiration_among_the_trades_is_no_execution(code):
    row = trade(transactionType="BookTrade", ibExecID="", tradePrice="0", notes=code)
    assert one(trades(row)).bookings == ()


def test_rows_of_other_accounts_and_of_shares_are_left_out():
    rows = trade(accountId="U9"), trade(assetCategory="STK", symbol="SPY")
    assert one(trades(*rows)).bookings == ()
    assert len(one(trades(*rows, trade(accountId=""))).bookings) == 1


# --- corrections and cancels --------------------------------------------------------------------------

ORIGINAL = trade(quantity="2", ibCommission="-1.3666")
CANCEL = trade(
    tradeID="", origTradeID="786", transactionType="TradeCancel", quantity="-2", ibCommission="0", buySell="BUY (Ca.)",
    ibExecID="", transactionID="2", orderReference="",
)  # fmt: skip
CORRECTION = trade(quantity="1", ibCommission="0.3333", transactionID="3", ibExecID="0001938c.6a59af42.01.02")


@pytest.mark.parametrize(
    ("rows", "quantity", "paid"),
    [
        ([ORIGINAL], 2, "1.3666"),
        ([ORIGINAL, CANCEL, CORRECTION], 1, "1.0333"),
        ([CORRECTION, CANCEL, ORIGINAL], 1, "1.0333"),
        ([ORIGINAL, CORRECTION], 1, "1.0333"),
        ([ORIGINAL, CANCEL], 0, "1.3666"),
        ([ORIGINAL, ORIGINAL], 2, "1.3666"),
        ([ORIGINAL, CANCEL, CANCEL, ORIGINAL.replace('transactionID="1"', 'transactionID="4"')], 2, "2.7332"),
    ],
    ids=["as it was", "corrected", "in any order", "without its cancel", "busted", "a row twice", "booked again under its id"],
)  # fmt: skip
def test_corrections_replace_cancels_take_back_and_costs_add_up(rows, quantity, paid):
    (row,), orphans = booked(one(trades(*rows)).bookings)
    assert (row.execution.quantity, row.paid, orphans) == (D(quantity), D(paid), [])


def test_a_cancel_of_an_execution_that_the_statement_does_not_have_is_kept_apart():
    standing, orphans = booked(one(trades(CANCEL)).bookings)
    assert (standing, [row.cancels for row in orphans]) == ([], ["786"])


def test_a_correction_under_another_trade_id_is_named_and_not_guessed():
    statement = one(trades(trade(transactionType="TradeCorrect", origTradeID="111")))
    assert statement.bookings == ()
    assert "corrects trade id 111" in statement.gaps[0]


# --- what the statement does not tell -------------------------------------------------------------------


def test_a_section_that_is_empty_is_there_and_one_that_is_missing_is_none():
    statement = one("<Trades></Trades>", "<StmtFunds />")
    assert (statement.bookings, statement.cash, statement.events) == ((), (), None)
    assert statement.sections == ("Trades", "Statement of Funds")


def test_a_field_that_the_query_has_not_asked_for_is_named():
    statement = one(trades(trade().replace("ibExecID", "someOther")))
    assert statement.bookings is None
    assert "IB Execution ID" in statement.gaps[0]
    without_costs = one(trades(trade().replace("ibCommission", "someOther")))
    assert without_costs.bookings[0].execution.commission is None
    assert "IB Commission" in without_costs.gaps[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": "many"}, "quantity 'many' is not a number"),
        ({"tradePrice": ""}, "tradePrice is empty"),
        ({"buySell": "SWAP"}, "neither BUY nor SELL"),
        ({"dateTime": "02/13/2026;094105"}, "choose the date format yyyyMMdd"),
        ({"dateTime": "20260213;094105 XYZ"}, "time zone that is not known"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_hides_no_other(change, said):
    statement = one(trades(trade(**change), trade()))
    assert len(statement.bookings) == 1
    assert said in statement.gaps[0]


# --- cash, exercises and assignments --------------------------------------------------------------------


def funds(*rows: str) -> str:
    return f"<StmtFunds>{''.join(f'<StatementOfFundsLine {row} />' for row in rows)}</StmtFunds>"


LINE = (
    f'currency="USD" symbol="{SPXW}" conid="11" date="2026-02-13" amount="1,250.40" levelOfDetail="Currency" '
    'activityDescription="Option Cash Settlement for: Exercise ( SPXW 13FEB26 6945 C )"'
)


def test_a_cash_settlement_counts_once_though_it_stands_in_both_currencies():
    statement = one(funds(LINE, LINE.replace('"Currency"', '"BaseCurrency"')))
    assert [(line.con_id, line.amount, line.day) for line in statement.cash] == [
        (11, D("1250.40"), date(2026, 2, 13))
    ]
    only_base = one(funds(LINE.replace('"Currency"', '"BaseCurrency"')))
    assert only_base.cash == statement.cash


def test_other_movements_of_cash_and_other_currencies_are_left_out():
    euro = LINE.replace('currency="USD"', 'currency="EUR"')
    statement = one(funds(LINE.replace("Option Cash Settlement for: Exercise", "Buy 1"), euro))
    assert statement.cash == ()
    assert "is in EUR" in statement.gaps[0]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    ("word", "fate"),
    [("Assignment", Fate.ASSIGNED), ("Exercise", Fate.EXERCISED), ("Expiration", Fate.EXPIRED)],
)
def test_what_became_of_options_is_read_whatever_the_sign_of_its_quantity(word, fate, sign):
    """Statements have been recorded with both signs for the same event."""
    row = f'<OptionEAE assetCategory="OPT" conid="12" date="13-Feb-26" transactionType="{word}" quantity="{sign}10" />'
    shares = '<OptionEAE assetCategory="STK" conid="13" date="13-Feb-26" transactionType="Sell" quantity="-1000" />'
    (event,) = one(f"<OptionEAE>{row}{shares}</OptionEAE>").events
    assert (event.con_id, event.fate, event.quantity, event.day) == (12, fate, D(10), date(2026, 2, 13))


# --- what is no statement -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"   ", "cut off"),
        (document(trades(trade()))[:-20], "cut off"),
        (document(trades(trade()))[:200], "cut off"),
        (b"not xml", "not well-formed"),
        (b"<html><body>Log in</body></html>", "its root is <html>"),
        (b"<FlexQueryResponse></FlexQueryResponse>", "no FlexStatement"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><FlexQueryResponse>&e;</FlexQueryResponse>', "document type"),
        (b"<a>" * 60 + b"</a>" * 60, "deeper"),
        (document().replace(b'fromDate="20260213"', b'fromDate="13/02/2026"'), "fromDate"),
        (document().replace(b'toDate="20260213"', b""), "toDate"),
    ],
    ids=["empty", "blank", "cut at its end", "cut in a row", "text", "a login page", "no statement", "an entity", "deep", "slashes", "no period"],
)  # fmt: skip
def test_what_is_no_statement_is_refused_in_one_clause(data, said):
    with pytest.raises(FlexFileError, match=said) as found:
        read_statements(data)
    assert "\n" not in str(found.value)


def test_an_entity_is_refused_before_anything_is_read_by_it(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    text = f'<!DOCTYPE r [<!ENTITY e SYSTEM "file://{secret}">]><FlexQueryResponse><FlexStatements>&e;</FlexStatements></FlexQueryResponse>'
    with pytest.raises(FlexFileError) as found:
        read_statements(text.encode())
    assert "the secret" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<FlexStatementResponse timestamp='x'><Status>Warn</Status><ErrorCode>1019</ErrorCode><ErrorMessage>Statement generation in progress.</ErrorMessage></FlexStatementResponse>", "1019"),
        ("<FlexStatementResponse><Status>Fail</Status><ErrorCode>1012</ErrorCode><ErrorMessage>Token has expired.</ErrorMessage></FlexStatementResponse>", "1012"),
        ("<FlexStatementOperationMessage><code>Statement generation in progress, please try again shortly.</code></FlexStatementOperationMessage>", ""),
    ],
)  # fmt: skip
def test_an_answer_of_the_service_is_told_from_a_statement(text, code):
    with pytest.raises(FlexAnswerError) as found:
        read_statements(text.encode())
    assert found.value.code == code
    assert found.value.text


def test_every_account_of_the_file_is_read():
    other = '<FlexStatement accountId="U9" fromDate="20260213" toDate="20260213"></FlexStatement>'
    assert [one.account for one in read_statements(document(trades(trade()), more=other))] == ["DU1", "U9"]


@given(st.binary(max_size=200))
@example(document(trades(trade()))[:-1])
def test_whatever_the_file_holds_it_is_read_or_refused(data):
    with suppress(FlexFileError):
        read_statements(data)


# --- times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["20260213;094105", "2026-02-13;09:41:05", "2026-02-13 09:41:05", "20260213,094105", "13-Feb-26 09:41:05",
     "20260213;094105 EST", "2026-02-13, 08:41:05 CST", "20260213;144105 GMT", "2026-02-13T09:41:05"],
)  # fmt: skip
def test_the_statements_own_forms_of_a_time_are_one_moment(text):
    assert moment(text) == datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)


@pytest.mark.parametrize("text", ["20260213", "2026-02-13", "13-Feb-26", "13-Feb-2026"])
def test_a_day_alone_is_its_midnight_in_new_york(text):
    assert moment(text) == datetime(2026, 2, 13, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    "text", ["", "02/13/2026", "13/02/2026;094105", "20261340", "20260213;996105", "yesterday"]
)
def test_a_time_that_can_be_read_two_ways_or_none_is_refused(text):
    with pytest.raises(ValueError):
        moment(text)


def test_summer_and_winter_are_told_apart():
    assert moment("20260713;094105").utcoffset() != moment("20260213;094105").utcoffset()
    assert moment("20260713;094105 EDT") == moment("20260713;094105")
