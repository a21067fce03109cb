"""Faults of margin on the wire: money of another currency, what-ifs that are refused or not answered."""

from clients import Client, errors
from faulty import claims, later

MULTI = (76, 1, 1, "SIM0000001", "", 0)
SUMMARY = (62, 1, 1, "All", "NetLiquidation,$LEDGER:ALL")


def amounts(client, question, place):
    """(tag, currency) -> value of the account's rows."""
    rows = [row for row in client.ask(*question) if row[0] in {"6", "73", "63"}]
    return {(row[place], row[place + 2]): row[place + 1] for row in rows}


@claims("base_currency")
def test_an_account_is_kept_in_another_currency(sim):
    client = Client(sim({"what": {"base_currency": {"currency": "JPY", "rate": 150.5}}}))
    for question, place in ((MULTI, 5), (SUMMARY, 4), ((6, 2, 1, "SIM0000001"), 2)):
        rows = amounts(client, question, place)
        assert rows["NetLiquidation", "JPY"] == "150500000.00"
        rates = {key[1]: value for key, value in rows.items() if key[0] == "ExchangeRate"}
        assert rates == {"BASE": "1.00", "JPY": "1.00", "USD": "150.5"}
    (preview,) = [row for row in client.place(1, what_if=1) if row[0] == "5"]
    assert (preview[97], preview[107]) == ("150500000.00", "JPY")


@claims("base_currency")
def test_it_may_say_base_and_keep_the_rate_to_itself(sim):
    fault = {"labelled": "base", "rate_told": False, "what_if": "dollars"}
    client = Client(sim({"what": {"base_currency": fault}}))
    rows = amounts(client, MULTI, 5)
    assert rows["NetLiquidation", "BASE"] == "150000000.00"
    assert ("ExchangeRate", "USD") not in rows
    (preview,) = [row for row in client.place(1, what_if=1) if row[0] == "5"]
    assert (preview[97], preview[107]) == ("1000000.0", "USD")


@claims("what_if_refused", "what_if_pacing")
def test_a_what_if_is_refused_or_comes_too_soon(sim):
    client = Client(sim({"what": "what_if_refused"}))
    sent = client.place(1, what_if=1)
    assert (errors(sent), "<br>" in sent[0][4]) == ([(1, 201)], True)
    gateway = sim({"what": {"what_if_pacing": {"seconds": 60}}})
    client = Client(gateway)
    assert len(client.place(1, what_if=1)) == 1
    assert client.place(2, what_if=1) == []
    later(gateway, 60, client)
    assert len(client.place(3, what_if=1)) == 1
