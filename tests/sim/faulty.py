"""A gateway at 09:40 of a recorded day with a script of faults, and short words for what is done and seen there."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from clients import CALL

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.faults.script import read_script
from spxarb.sim.faults.table import FAULTS
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.recorded import RecordedDay

NEW_YORK = ZoneInfo("America/New_York")
DAY = """\
t,kind,symbol,expiry,strike,right,bid,ask,last,src
2026-01-29 09:30:00-05:00,und,SPX,,,,,,6970.5,x
2026-01-29 09:30:00-05:00,und,SPY,,,,695.1,695.12,695.11,x
2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6975,C,17.5,17.8,,x
2026-01-29 09:30:00-05:00,opt,SPY,2026-01-29,695,C,2.05,2.06,,x
2026-01-29 09:41:00-05:00,opt,SPX,2026-01-29,6975,C,16.4,16.6,,x
2026-01-29 09:41:00-05:00,opt,SPY,2026-01-29,695,C,1.95,1.96,,x
2026-01-29 09:42:00-05:00,opt,SPX,2026-01-29,6975,C,16.5,16.7,,x
"""
SPY_CALL = ("0", "SPY", "OPT", "20260129", "695.0", "C", "100", "SMART", "", "USD", "", "SPY")


def at(clock):
    form = "%H:%M:%S" if clock.count(":") == 2 else "%H:%M"
    return datetime.combine(date(2026, 1, 29), datetime.strptime(clock, form).time(), NEW_YORK)


def new_gateway(tmp_path, *entries, seed=0):
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    market = RecordedDay(file)
    gateway = Gateway(market, Exchange(market), "SIM0000001", at("09:40"))
    gateway.faults.play(read_script(list(entries), seed))
    return gateway


def claims(*names):
    """Marks a test that shows these faults on the wire; another test looks for a mark of every fault."""
    assert set(names) <= set(FAULTS)
    return lambda test: test


def later(gateway, seconds, *clients):
    """Let the time pass; what each client was sent."""
    gateway.advance(gateway.now + timedelta(seconds=seconds))
    read = [client.read() for client in clients]
    return read[0] if len(read) == 1 else read


def statuses(frames):
    return [fields[2] for fields in frames if fields[0] == "3"]


def executions(frames):
    """(id, shares, price) of every execution."""
    return [(fields[14], fields[19], float(fields[20])) for fields in frames if fields[0] == "11"]


def watch(client, request=1, contract=CALL, snapshot=0):
    return client.ask(1, 11, request, *contract, 0, "", snapshot, 0, "")


def ticks(frames):
    """Tick id -> price or value, of the frames in order."""
    return {int(fields[3]): float(fields[4]) for fields in frames if fields[0] in {"1", "45"}}


def cancel(client, order_id):
    return client.ask(4, 1, order_id, "")


def positions(client):
    return {fields[12]: float(fields[14]) for fields in client.ask(61, 1) if fields[0] == "61"}


def buy(client, order_id=1, **terms):
    """An order that fills at once, at 17.8."""
    return client.place(order_id, "BUY", "17.8", **terms)


def rest(client, order_id=1, **terms):
    """An order that rests."""
    return client.place(order_id, "BUY", "10.0", **terms)


def details(client):
    return client.ask(9, 8, 1, *CALL, 0, "", "", "")[0]


def commissions(frames):
    return [fields[3] for fields in frames if fields[0] == "59"]


def prices(frames):
    return {int(fields[3]): (float(fields[4]), fields[5]) for fields in frames if fields[0] == "1"}
