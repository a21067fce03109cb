"""Each claim about a real gateway is borne out by one recording and broken by another, both made up here."""

from __future__ import annotations

import pytest

from spxarb.core.gateway_claims import CLAIMS, Sighting, judge, judge_all
from spxarb.core.wire_record import SENT_NAMES, WireMessage, WireRecord

REF = "spxarb:abc123:1:SPX:e1"
UNSET = "1.7976931348623157E308"
NUMBERS = {name: number for number, name in SENT_NAMES.items()}


def message(
    seconds: float, direction: str, name: str, *fields: object, connection: int = 1, **at: str
) -> WireMessage:
    """A message; `f12="x"` sets field 12, whatever the others are."""
    values = [str(field) for field in fields]
    for place, text in at.items():
        number = int(place[1:])
        values += [""] * (number + 1 - len(values))
        values[number] = text
    return WireMessage(seconds, direction, name, tuple(values), connection)


def got(name: str, *fields: object, at: float = 1.0, connection: int = 1, **places: str) -> WireMessage:
    return message(at, "in", name, *fields, connection=connection, **places)


def sent(name: str, *fields: object, at: float = 0.0, connection: int = 1, **places: str) -> WireMessage:
    return message(at, "out", name, *fields, connection=connection, **places)


def greeting(version: str) -> WireMessage:
    return got("greeting", version, "20260213 09:30:00 EST")


def option(trading_class: str, **places: str) -> WireMessage:
    base = {
        "f3": "OPT",
        "f4": "20260213",
        "f11": trading_class,
        "f25": "US/Central",
        "f30": "0",
        "f34": "239",
    }
    base["f27"] = "20260213:0830-20260213:1500;20260214:CLOSED"
    return got("contractDetails", **{**base, **places})


def order(**places: str) -> WireMessage:
    """An open order of ours."""
    return got("openOrder", **{"f1": "7", "f23": REF, "f24": "1", "f25": "55", "f94": "Submitted", **places})


def execution(at: float = 1.0, **places: str) -> WireMessage:
    base = {"f1": "-1", "f14": "9.01", "f15": "20260213 09:36:06 US/Eastern", "f21": "55", "f26": REF}
    return got("execDetails", at=at, **{**base, **places})


def line(kind: str, symbol: str) -> WireMessage:
    return sent("reqMktData", f2="9", f4=symbol, f5=kind)


def price(tick: str, value: str, size: str = "0") -> WireMessage:
    return got("tickPrice", "1", "6", "9", tick, value, size, "0")


LATER = got("currentTime", "49", "1", "0", at=100.0)
PLACED = sent("placeOrder", f1="7", f26=REF)
CANCEL = sent("cancelOrder", "4", "1", "7", "")
SPX = line("IND", "SPX")
RULE = got("marketRule", "93", "239", "2", "0", "0.05", "3", "0.1")

SAMPLES: dict[str, tuple[list[WireMessage], list[WireMessage]]] = {
    "server_version": ([greeting("176")], [greeting("203")]),
    "next_order_id": (
        [
            sent("startApi", "71", "2", "1", ""),
            order(),
            sent("startApi", "71", "2", "1", "", connection=2),
            got("nextValidId", "9", "1", "8", connection=2),
        ],
        [
            sent("startApi", "71", "2", "1", ""),
            order(),
            sent("startApi", "71", "2", "1", "", connection=2),
            got("nextValidId", "9", "1", "7", connection=2),
        ],
    ),
    "duplicate_client_id": (
        [got("error", "4", "2", "-1", "326", "in use", "")],
        [got("error", "4", "2", "-1", "326", "in use", ""), got("nextValidId", "9", "1", "1", at=2.0)],
    ),
    "option_expiry": ([option("SPXW")], [option("SPY", f4="20260213 15:00 US/Central")]),
    "spxw_zone": ([option("SPXW")], [option("SPXW", f25="CST (Central Standard Time)")]),
    "hours_form": ([option("SPXW")], [option("SPXW", f27="20260213:0830-1500")]),
    "spxw_last_minute": ([option("SPXW")], [option("SPXW", f27="20260213:0830-20260213:1600")]),
    "spy_last_minute": (
        [option("SPY", f25="US/Eastern", f27="20260213:0930-20260213:1615")],
        [option("SPY", f25="US/Eastern", f27="20260213:0930-20260213:2000")],
    ),
    "spxw_ticks": (
        [option("SPXW", f30="1", f34="ISIN", f36="239"), RULE],
        [option("SPXW"), got("marketRule", "93", "239", "1", "0", "0.05")],
    ),
    "spx_no_sides": ([SPX, price("4", "6900.5")], [SPX, price("1", "6900.4", "3")]),
    "spx_time": (
        [SPX, got("tickString", "46", "6", "9", "45", "1770993366")],
        [SPX, *[price("4", f"{6900 + number}") for number in range(20)]],
    ),
    "data_type": (
        [got("marketDataType", "58", "1", "9", "1"), price("4", "1")],
        [price("4", "1"), got("marketDataType", "58", "1", "9", "3")],
    ),
    "no_bid": (
        [line("OPT", "SPX"), price("1", "-1", "0")],
        [line("OPT", "SPX"), price("1", "-1", "5")],
    ),
    "acknowledged": ([PLACED, order()], [PLACED, LATER]),
    "both_sides": (
        [
            order(f2="11", f13="BUY", f29="20260213 15:50:00 UTC", f94="PreSubmitted"),
            sent("placeOrder", at=2.0, f1="8", f2="11", f16="SELL", f26=REF),
            got("orderStatus", "3", "8", "Filled", at=3.0),
        ],
        [
            sent("placeOrder", at=2.0, f1="8", f2="11", f16="SELL", f26=REF),
            got(
                "error", "4", "2", "8", "201", "Cannot have open orders on both sides of the same", "", at=3.0
            ),
        ],
    ),
    "order_reference": ([PLACED, order()], [PLACED, order(f23=REF[:20])]),
    "execution_reference": ([order(), execution()], [order(), execution(f26="")]),
    "completed_reference": (
        [order(), got("completedOrder", f22=REF, f23="55")],
        [order(), got("completedOrder", f22="", f23="55")],
    ),
    "execution_time": ([execution()], [execution(f15="20260213 09:36:06 Mitteleurop\\u00e4ische Zeit (1)")]),
    "commission": (
        [execution(), got("commissionReport", "59", "1", "9.01", "0.65", "USD")],
        [execution(), LATER],
    ),
    "good_after_form": (
        [order(f29="20260213 15:50:00 US/Eastern")],
        [order(f29="13.02.2026 15:50")],
    ),
    "good_after_waits": (
        [order(f29="20260213 15:50:00 UTC", f94="PreSubmitted")],
        [order(f29="20260213 15:50:00 UTC", f94="Inactive")],
    ),
    "order_statuses": (
        [got("orderStatus", "3", "7", "PreSubmitted")],
        [got("orderStatus", "3", "7", "ValidationError")],
    ),
    "cancel_answered": ([CANCEL, got("orderStatus", "3", "7", "Cancelled")], [CANCEL, LATER]),
    "refused_order": (
        [got("error", "4", "2", "7", "201", "margin", ""), got("orderStatus", "3", "7", "Inactive")],
        [got("error", "4", "2", "7", "201", "margin", ""), got("orderStatus", "3", "7", "Submitted")],
    ),
    "what_if": (
        [sent("placeOrder", f1="7", f85="1"), order(f98=UNSET), order(f98="12000.0")],
        [sent("placeOrder", f1="7", f85="1"), order(f98=UNSET)],
    ),
    "executions_end": (
        [sent("reqExecutions", "7", "3", "9"), got("execDetailsEnd", "55", "1", "9")],
        [sent("reqExecutions", "7", "3", "9"), LATER],
    ),
    "executions_whole": (
        [execution(), sent("reqExecutions", "7", "3", "9", at=5.0), execution(at=5.1, f1="9")],
        [execution(), sent("reqExecutions", "7", "3", "9", at=5.0)],
    ),
    "completed_end": (
        [sent("reqCompletedOrders", "99", "0"), got("completedOrdersEnd", "102")],
        [sent("reqCompletedOrders", "99", "0"), LATER],
    ),
    "position_fields": ([got("position", *range(16))], [got("position", *range(17))]),
    "daily_bars": (
        [got("historicalData", "17", "9", "a", "b", "1", "20260212", *range(7))],
        [got("historicalData", "17", "9", "a", "b", "1", "20260212 16:00:00 US/Eastern", *range(7))],
    ),
    "post_expiration": (
        [got("accountUpdateMulti", "73", "1", "9", "DU1", "", "PostExpirationMargin", "0", "USD")],
        [got("accountUpdateMultiEnd", "74", "1", "9")],
    ),
}


def record(messages: list[WireMessage]) -> WireRecord:
    return WireRecord("2026-02-13T09:30:00-05:00", "1", "paper", tuple(messages))


def test_every_claim_has_a_recording_of_each_kind():
    assert set(SAMPLES) == {claim.name for claim in CLAIMS}
    assert len(CLAIMS) == len({claim.name for claim in CLAIMS})


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_is_seen_contradicted_or_not_seen(claim):
    seen, against = SAMPLES[claim.name]
    assert judge(claim, record(seen)).evidence is Sighting.SEEN, judge(claim, record(seen))
    found = judge(claim, record(against))
    assert (found.evidence, bool(found.what)) == (Sighting.CONTRADICTED, True)
    assert judge(claim, record([])).evidence is Sighting.NOT_SEEN


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_one_contradiction_outweighs_what_bears_a_claim_out(claim):
    seen, against = SAMPLES[claim.name]
    later = [
        WireMessage(m.seconds + 500, m.direction, m.name, m.fields, m.connection + 10, 2) for m in against
    ]
    if claim.name in {"spx_time", "post_expiration"}:  # what came once does come
        return
    assert judge(claim, record([*seen, *later])).evidence is Sighting.CONTRADICTED


def test_what_a_message_lacks_breaks_no_judge():
    names = {"greeting", *(m.name for pair in SAMPLES.values() for sample in pair for m in sample)}
    short = [WireMessage(1.0, direction, name, ("",)) for name in names for direction in ("in", "out")]
    assert len(judge_all(record(short))) == len(CLAIMS)
