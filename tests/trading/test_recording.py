"""Writing the file of a recorded day: columns, batches, what is continued and what is not touched."""

import gzip
import os
import stat
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spxarb.core.contracts import Contract, Quote
from spxarb.errors import RefusedError, UsageError
from spxarb.sim.market import recorded
from spxarb.trading.recording import COLUMNS, Recording, check_name, line_of

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 2, 10)
CALL = Contract(
    7, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=Decimal(6950), right="C", multiplier=100
)
SPX, SPY = Contract(416904, "SPX", "IND"), Contract(756733, "SPY", "STK")
ROW = ("opt", "SPX", "2026-02-10", "6950", "C", "1.2", "1.3", "", "ib")
NAMES = pytest.mark.parametrize("name", ["day.csv", "day.csv.gz"])


def at(clock, day=DAY):
    return datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


def quote(bid=None, ask=None, last=None, **more):
    prices = [None if price is None else Decimal(price) for price in (bid, ask, last)]
    return Quote(bid=prices[0], ask=prices[1], last=prices[2], received=1.0, **more)


def text_of(path):
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def written(path, *clocks):
    for clock in clocks:
        with Recording(path, at(clock)) as file:
            file.write(at(clock), [ROW])
    return text_of(path).splitlines()


def test_the_columns_are_those_that_the_simulated_gateway_reads():
    assert list(COLUMNS) == recorded.COLUMNS


@pytest.mark.parametrize(
    ("contract", "seen", "columns"),
    [
        (CALL, quote("1.20", "1.30", "1.25"), "opt,SPX,2026-02-10,6950,C,1.2,1.3,1.25,ib"),
        (CALL, quote(None, "0.05"), "opt,SPX,2026-02-10,6950,C,,0.05,,ib"),
        (CALL, quote(None, None, "4"), "opt,SPX,2026-02-10,6950,C,0,,4,ib"),
        (SPX, quote("1", "2", "6950.12"), "und,SPX,,,,,,6950.12,ib"),
        (SPY, quote("693", "693.01", "693", data_type=3), "und,SPY,,,,693,693.01,693,ib-delayed"),
    ],
)
def test_a_quote_becomes_the_columns_after_the_time(contract, seen, columns):
    assert ",".join(line_of(contract, seen, "ib")) == columns


@pytest.mark.parametrize(("contract", "seen"), [(CALL, Quote()), (SPX, quote("1", "2"))])
def test_what_was_never_told_is_no_row(contract, seen):
    assert line_of(contract, seen, "ib") is None


@NAMES
def test_the_same_day_is_gone_on_with(tmp_path, name):
    lines = written(tmp_path / name, "09:31", "09:32")
    assert lines == [",".join(COLUMNS), *(f"2026-02-10 09:{m}:00-05:00,{','.join(ROW)}" for m in (31, 32))]
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@NAMES
@pytest.mark.parametrize("torn", [1, 5, 20])
def test_what_a_power_failure_tore_is_cut_off_and_the_rest_kept(tmp_path, name, torn):
    path = tmp_path / name
    written(path, "09:31", "09:32")
    os.truncate(path, path.stat().st_size - torn)
    assert [line[11:16] for line in written(path, "09:33")[1:]] == ["09:31", "09:33"]


def test_a_header_that_was_torn_is_written_anew(tmp_path):
    path = tmp_path / "day.csv"
    path.write_text("t,kind,sym")
    assert len(written(path, "09:31")) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("day.csv", b"my,own,table\n1,2,3\n"),
        ("day.csv", b"no end of a line"),
        ("day.csv", ",".join(COLUMNS).encode() + b"\n2026-02-09 15:59:00-05:00,x\n"),
        ("day.csv", ",".join(COLUMNS).encode() + b"\n2026-02-10 15:59:00-05:00,x\n"),
        ("day.csv", ",".join(COLUMNS).encode() + b"\nsoon,x\n"),
        ("day.csv.gz", b"not packed"),
        ("day.csv.gz", gzip.compress(b"my,own,table\n", mtime=0)),
    ],
    ids=["a table", "no line", "yesterday", "the future", "no time", "not packed", "a packed table"],
)
def test_a_file_that_is_something_else_is_left_as_it_is(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="was not touched"):
        Recording(path, at("09:31"))
    assert path.read_bytes() == content


def test_a_file_belongs_to_one_recorder_at_a_time(tmp_path):
    path = tmp_path / "day.csv"
    with Recording(path, at("09:31")), pytest.raises(RefusedError, match="Another process"):
        Recording(path, at("09:31"))
    assert written(path, "09:32")


@pytest.mark.parametrize("name", ["day.txt", "day", "day.gz", "csv"])
def test_a_name_says_how_to_write(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.csv"):
        check_name(tmp_path / name)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        Recording(tmp_path / "nowhere" / "day.csv", at("09:31"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="is not a regular file"):
        Recording(tmp_path / "pipe.csv", at("09:31"))
