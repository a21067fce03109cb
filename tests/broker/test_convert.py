"""Frames of the wire to our nouns: numbers, times, hours, contracts, fills. Frames are as real gateways send them."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spxarb.broker import convert
from spxarb.broker.frames import ibc, ibo
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.sessions import TradingHours

CHICAGO = ZoneInfo("America/Chicago")


def frame(text: str) -> list[str]:
    return text.split("|")


FILL = frame(
    "11|-1|13|593342052|SPX|OPT|20261124|6975.0|C|100|SMART|USD|SPXW  261124C06975000|SPXW|"
    "0000e0d5.5f1c.01.01|20261124 09:40:01 US/Eastern|DU1234567|CBOE|BOT|1|17.90|1376327563|7|0|1|17.90|"
    "spxarb:1:SPX:1||||"
)


def fill(**changed: str) -> list[str]:
    places = {"time": 15, "side": 18, "shares": 19, "price": 20}
    fields = list(FILL)
    for name, value in changed.items():
        fields[places[name]] = value
    return fields


@pytest.mark.parametrize(
    "text", ["", "1.7976931348623157E308", "1.7976931348623157e+308", "nan", "inf", "Infinity", "none", None]
)
def test_what_is_unset_is_no_number(text):
    assert convert.number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("17.90", "17.9"),
        ("6975.0", "6975"),
        ("-1", "-1"),
        ("1E3", "1000"),
        ("188130.0", "188130"),
    ],
)
def test_a_number_is_exact_and_prints_plainly(text, value):
    assert str(convert.number(text)) == value


def test_a_float_of_the_library_reads_as_it_prints():
    assert convert.number(5.55) == Decimal("5.55")


def test_an_execution_is_read_whole():
    made = convert.execution(FILL, datetime(2026, 11, 24, 9, 40, 2, tzinfo=NEW_YORK))
    assert made.time_doubt == ""
    assert (made.exec_id, made.family, made.revision) == ("0000e0d5.5f1c.01.01", "0000e0d5.5f1c.01", "01")
    assert (made.order_ref, made.order_id, made.client_id, made.perm_id) == (
        "spxarb:1:SPX:1",
        13,
        7,
        1376327563,
    )
    assert (made.con_id, made.symbol, made.sec_type, made.side) == (593342052, "SPX", "OPT", Side.BUY)
    assert (made.quantity, made.price, made.account) == (1, Decimal("17.90"), "DU1234567")
    assert made.time == datetime(2026, 11, 24, 9, 40, 1, tzinfo=NEW_YORK)
    assert made.commission is None


@pytest.mark.parametrize("changed", [{"shares": ""}, {"price": "1.7976931348623157E308"}, {"price": "x"}])
def test_a_fill_without_size_or_price_is_not_a_fill(changed):
    with pytest.raises(ValueError):
        convert.execution(fill(**changed), datetime(2026, 11, 24, 9, 40, 2, tzinfo=NEW_YORK))


def test_a_position_is_read_whole_and_an_unset_cost_is_none():
    text = "61|3|DU1|756733|SPY|OPT|20261124|695.0|C|100||USD|SPY   261124C00695000|SPY|-10|1.7976931348623157E308"
    made = convert.position(frame(text))
    assert (made.account, made.con_id, made.quantity, made.average_cost) == ("DU1", 756733, -10, None)
    assert (made.expiry, made.strike, made.right, made.trading_class) == (date(2026, 11, 24), 695, "C", "SPY")


def test_a_stock_position_has_no_strike_and_no_right():
    made = convert.position(frame("61|3|DU1|756733|SPY|STK||0.0|||ARCA|USD|SPY|SPY|1000|694.98"))
    assert (made.expiry, made.strike, made.right, made.average_cost) == (None, None, None, Decimal("694.98"))


def order(**state: str):
    return (
        ibc.Contract(conId=5, symbol="SPX", secType="OPT"),
        ibo.Order(orderId=3, clientId=7, permId=9, action="SELL", totalQuantity=10.0, orderType="LMT",
                 lmtPrice=2.05, account="DU1", orderRef="spxarb:1:SPY:1"),
        ibo.OrderState(**{"status": "Submitted", **state}),
    )  # fmt: skip


def test_an_order_is_told_in_the_wires_own_word():
    made = convert.broker_order(*order(status="PreSubmitted"))
    assert (made.order_ref, made.order_id, made.client_id, made.perm_id) == ("spxarb:1:SPY:1", 3, 7, 9)
    assert (made.side, made.quantity, made.limit, made.status) == (
        Side.SELL,
        10,
        Decimal("2.05"),
        "PreSubmitted",
    )
    assert made.filled is None


def test_a_market_order_has_no_limit():
    contract, market, state = order()
    market.orderType, market.lmtPrice = "MKT", 0.0
    assert convert.broker_order(contract, market, state).limit is None


def test_an_unset_margin_is_none_and_a_zero_margin_is_zero():
    unset = convert.margin(ibo.OrderState(initMarginChange="1.7976931348623157E308", warningText="a\nb"))
    assert (unset.initial_change, unset.commission, unset.warning) == (None, None, "a b")
    answer = convert.margin(
        ibo.OrderState(initMarginChange="0.0", equityWithLoanAfter="98765.43", commission=1.64)
    )
    assert (answer.initial_change, answer.equity_with_loan_after) == (0, Decimal("98765.43"))
    assert answer.commission == Decimal("1.64")


DOLLARS = [("NetLiquidation", "246447.83", "USD"), ("AvailableFunds", "", "USD"), ("BuyingPower", "5", "EUR")]
# As a gateway was seen to list an account kept in euros, shortened.
EUROS = [
    *(
        ("AccountReady", "true", ""),
        ("NetLiquidation", "2500.00", "EUR"),
        ("AvailableFunds", "2500.00", "EUR"),
    ),
    *(
        ("ExchangeRate", "1.00", "BASE"),
        ("ExchangeRate", "1.00", "EUR"),
        ("ExchangeRate", "0.8411137", "USD"),
    ),
    *(("RealCurrency", "EUR", "BASE"), ("RealCurrency", "USD", "USD")),
    *(("PostExpirationExcess", "0.00", "EUR"), ("PostExpirationMargin", "0.00", "EUR")),
]


def test_account_values_of_another_currency_than_the_accounts_are_not_used():
    values, doubt = convert.account_values("DU1", DOLLARS)
    assert (values.net_liquidation, values.currency, values.per_dollar) == (Decimal("246447.83"), "USD", 1)
    assert values.available_funds is values.buying_power is values.total_cash is None
    assert "is kept in USD and has values in EUR" in doubt


def test_an_account_kept_in_euros_is_in_euros_with_what_a_dollar_is_worth():
    values, doubt = convert.account_values("DU1", EUROS)
    assert (values.currency, values.per_dollar, doubt) == ("EUR", Decimal("0.8411137"), "")
    assert (values.net_liquidation, values.post_expiration_excess, values.previous_day_equity) == (
        2500,
        0,
        None,
    )
    assert values.in_dollars.net_liquidation == Decimal("2972.25")


@pytest.mark.parametrize(
    ("rates", "currency", "per_dollar"),
    [
        ([("ExchangeRate", "1.00", "USD")], "USD", 1),
        ([("ExchangeRate", "150.5", "USD")], "BASE", Decimal("150.5")),
        ([("ExchangeRate", "150.5", "USD"), ("RealCurrency", "JPY", "BASE")], "JPY", Decimal("150.5")),
        ([("ExchangeRate", "1.7976931348623157E308", "USD")], "BASE", None),
        ([], "BASE", None),
    ],
)
def test_values_in_base_are_of_the_currency_that_the_other_rows_name(rates, currency, per_dollar):
    values, doubt = convert.account_values("DU1", [("NetLiquidation", "1000", "BASE"), *rates])
    assert (values.net_liquidation, values.currency, values.per_dollar, doubt) == (
        1000,
        currency,
        per_dollar,
        "",
    )


def test_the_brokers_words_are_told_without_html():
    text = (
        "YOUR ORDER IS NOT ACCEPTED.<br><BR/>YOUR <b>EQUITY</b> [5 &lt; 7 USD]<p class='x'>M\\u00fcde, a < b"
    )
    assert convert.plain_text(text) == "YOUR ORDER IS NOT ACCEPTED. YOUR EQUITY [5 < 7 USD] M\u00fcde, a < b"


def details(hours: str, tz: str = "US/Central", trading_class: str = "SPXW", **more: str):
    return ibc.ContractDetails(
        contract=ibc.Contract(secType="OPT", tradingClass=trading_class, exchange="SMART", conId=1, strike=6975.0,
                             right="C", multiplier="100", lastTradeDateOrContractMonth="20261124"),
        timeZoneId=tz, liquidHours=hours, **more,
    )  # fmt: skip


TODAY = date(2026, 11, 24)


def ny(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("hours", "tz"),
    [
        ("20261123:0830-20261123:1515;20261124:0830-20261124:1500;20261125:CLOSED", "US/Central"),
        ("20261124:0830-1500,1530-1600", "CST (Central Standard Time)"),
        ("20261124:0930-20261124:1600", "US/Eastern"),
        ("20261124:0930-20261124:1600", "EST (Eastern Standard Time)"),
        ("20261124:0930-20261124:1200,20261124:1300-20261124:1600", "America/New_York"),
        ("20261124:0930-20261124:1200;20261124:1300-20261124:1600", "EST5EDT"),
    ],
)
def test_the_days_session_is_read_from_every_form_of_hours(hours, tz):
    assert convert.session(details(hours, tz), TODAY) == (TradingHours(TODAY, ny(9, 30), ny(16, 0)), "")


def test_an_expiring_spxw_series_closes_at_three_in_chicago_though_its_hours_say_later():
    late = details("20261124:0830-20261124:1515")
    assert convert.session(late, TODAY)[0].close == ny(16, 0)
    spy = details("20261124:0930-20261124:1615", "US/Eastern", "SPY")
    assert convert.session(spy, TODAY)[0].close == ny(16, 15)


@pytest.mark.parametrize(
    ("trading", "until"),
    [
        ("20261124:0930-20261124:1615", (16, 15)),
        ("20261124:0930-20261124:1600;20261125:0930-20261125:1615", (16, 0)),
        ("20261124:0930-20261124:1315", (13, 15)),
        ("20261123:2015-20261124:0925;20261124:0930-20261124:1615;20261124:2015-20261125:0925", (16, 15)),
        ("", None),
        ("20261124:CLOSED", None),
    ],
)
def test_spy_calls_trade_as_long_as_their_own_trading_hours_say(trading, until):
    spy = details("20261124:0930-20261124:1600", "US/Eastern", "SPY", tradingHours=trading)
    assert convert.session(spy, TODAY)[0] == TradingHours(TODAY, ny(9, 30), ny(16, 0), until and ny(*until))


def test_a_half_day_shows_its_early_end():
    assert convert.session(details("20261124:0830-20261124:1215"), TODAY)[0].close == ny(13, 15)


def test_a_closed_day_is_a_session_without_times():
    assert convert.session(details("20261123:0830-20261123:1515;20261124:CLOSED"), TODAY) == (
        TradingHours(TODAY, None, None),
        "",
    )


@pytest.mark.parametrize(
    ("hours", "tz", "doubt"),
    [
        ("20261124:0930-20261124:1600", "Mars/Olympus", "unknown time zone 'Mars/Olympus'"),
        ("20261124:0930-20261124:1600", "", "unknown time zone ''"),
        ("20261123:0830-20261123:1500", "US/Central", "no trading hours for 2026-11-24"),
        ("20261124:whenever;20261125:CLOSED", "US/Central", "no trading hours for 2026-11-24"),
        ("", "US/Central", "no trading hours"),
    ],
)
def test_hours_that_cannot_be_read_are_no_session_and_a_doubt(hours, tz, doubt):
    session, notice = convert.session(details(hours, tz), TODAY)
    assert session is None
    assert doubt in notice


@pytest.mark.parametrize(
    ("exchanges", "ids", "rule"),
    [
        ("SMART,CBOE", "110,26", 110),
        ("CBOE,SMART", "110,26", 26),
        ("CBOE,IBUSOPT", "26,26", 26),
        ("CBOE,IBUSOPT", "110,26", None),
        ("CBOE", "", None),
    ],
)
def test_the_market_rule_is_the_one_at_the_place_of_the_exchange(exchanges, ids, rule):
    assert convert.market_rule(details("", validExchanges=exchanges, marketRuleIds=ids)) == rule


def test_steps_of_a_market_rule_are_ordered_and_exact():
    rule = convert.tick_rule(frame("93|110|2|3|0.1|0|0.05"))
    assert rule.rows == ((0, Decimal("0.05")), (3, Decimal("0.1")))
    with pytest.raises(ValueError, match="without increments"):
        convert.tick_rule(["93", "110", "0"])


def test_a_contract_is_the_gateways_own_description():
    made = convert.contract(details(""))
    assert (made.con_id, made.strike, made.right, made.multiplier) == (1, 6975, "C", 100)
    assert (made.expiry, made.trading_class, made.exchange) == (TODAY, "SPXW", "SMART")
    assert str(made) == "SPXW 2026-11-24 6975 call"


def test_an_expiry_may_come_with_a_time_behind_it():
    assert convert.day("20261124 08:30 US/Central") == TODAY
    assert convert.day("202611") is convert.day("20261399") is convert.day("") is None


def test_the_closes_of_daily_bars_are_read_by_day():
    """The first two bars as a real gateway sent them; one without a close is left out."""
    text = (
        "17|9000|20230413  16:31:22|20230415  16:31:22|3|"
        "20230413|182.9400|186.5000|180.9400|185.9000|948837.22|184.869|324891|"
        "20230414|183.9500|186.2800|182.0100|185.0000|960000.00|184.100|300000|"
        "20230417|-1|-1|-1|-1|0|0|0|"
    )
    assert convert.daily_closes(text.split("|")) == {
        date(2023, 4, 13): Decimal("185.9"),
        date(2023, 4, 14): Decimal(185),
    }
    assert convert.daily_closes(["17", "9000", "", "", "0"]) == {}


@pytest.mark.parametrize("row", [["yesterday"], ["20230413", "1", "1"]])
def test_daily_bars_that_cannot_be_read_are_an_error_and_not_a_day_less(row):
    with pytest.raises((ValueError, IndexError)):
        convert.daily_closes(["17", "9000", "", "", "1", *row, *[""] * (4 - len(row))])
