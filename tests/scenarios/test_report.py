"""`report` over many days: which days, which figures, and what is written where."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import stat
from contextlib import closing
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from actions import lonely
from relay import free_port
from traded_days import Days, at, written

from spxarb.core.trades import TradeState

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 2, 11), date(2026, 2, 12), date(2026, 2, 13)
TUESDAY_AFTER, WEDNESDAY_AFTER = date(2026, 2, 17), date(2026, 2, 18)
EVIL = "=cmd|' /C calc'!A1 <script>alert(1)</script>"
JANUARY = date(2026, 1, 30)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """January's last Friday with a win; a week in February: win, no credit, loss, closed by hand, unknown.

    Monday the 16th is Presidents' Day. Read only from here on.
    """
    stage = lonely(tmp_path_factory.mktemp("days"), free_port(), "paper")
    days = written(stage.database)
    with days.ledger:
        days.traded(JANUARY, spy_out="0.50")
        days.traded(WEDNESDAY)
        days.skipped(THURSDAY, "net_credit", net=120.5)
        days.skipped(THURSDAY, "net_credit", "spy_spread", minute=40)
        days.skipped(THURSDAY, "net_credit", minute=45, dry_run=True)
        days.traded(FRIDAY, spy_out="1.50")
        days.ran("monitor", at(FRIDAY, 11, 0), code=4, error="The gateway did not answer within 12 s.")
        days.ran("monitor", at(FRIDAY, 11, 5), code=4, error="The gateway did not answer within 13 s.")
        days.traded(TUESDAY_AFTER, hand=True)
        days.traded(WEDNESDAY_AFTER, state=TradeState.UNKNOWN, final_pnl=None, exit_reason=None, note=EVIL)
    return stage


FEBRUARY = ("--since", "2026-02-11", "--until", "2026-02-18")


@pytest.fixture(scope="module")
def february(stage):
    done = stage.run("report", *FEBRUARY)
    assert (done.code, done.err) == (0, "")
    return done.json


# --- figures --------------------------------------------------------------------------------------


def test_every_trading_day_of_the_period_counts_and_a_day_of_unknown_result_does_not(february):
    """Of the exchange: no Presidents' Day. Results: 156.72, 0, -543.28, 156.72 by hand."""
    assert (
        february["period"] | {"first_day": "2026-02-11", "last_day": "2026-02-18", "trading_days": 5}
        == (february["period"])
    )
    daily = [(day["day"], day["net_pnl"], day["trades"]) for day in february["daily"]]
    assert daily == [
        ("2026-02-11", 156.72, 1),
        ("2026-02-12", 0, 0),
        ("2026-02-13", -543.28, 1),
        ("2026-02-17", 156.72, 1),
    ]
    statistics = february["statistics"]
    assert (statistics["days"], statistics["days_traded"], statistics["trades"]) == (4, 3, 3)
    assert (statistics["worst_day"], statistics["worst_day_on"]) == (-543.28, "2026-02-13")
    assert (statistics["max_drawdown"], statistics["drawdown_days"]) == (543.28, 3)
    assert (statistics["average_win"], statistics["average_loss"]) == (156.72, -543.28)


def test_a_trade_of_unknown_result_is_named_and_in_no_figure(february):
    (unknown,) = february["unknown"]
    assert (unknown["trade_id"], unknown["state"], unknown["note"]) == (5, "unknown", EVIL)
    assert february["statistics"]["unknown"] == 1
    assert february["analyses"][-1]["net_pnl"] is None


def test_a_result_closed_by_hand_is_marked_as_such(stage, february):
    assert [one["by_hand"] for one in february["analyses"]] == [False, False, True, False]
    by_reason = {count["reason"]: count for count in february["exits"]}
    assert (by_reason["HANDED_OVER"]["trades"], by_reason["HANDED_OVER"]["by_hand"]) == (1, 1)
    assert (by_reason["TIME"]["trades"], by_reason["TIME"]["wins"]) == (2, 1)
    assert by_reason["unknown"]["net_pnl"] is None
    assert "HANDED_OVER by hand" in stage.run("report", *FEBRUARY, as_json=False).out


def test_each_trading_day_without_a_trade_says_why(stage, february):
    assert [(day["day"], day["attempts"], day["why"]) for day in february["quiet_days"]] == [
        ("2026-02-12", 2, "2 attempts, stopped by net credit (2), spy spread (1); best credit $120.50."),
    ]
    skips = [(skip["reason"], skip["attempts"], skip["alone"], skip["days"]) for skip in february["skips"]]
    assert skips == [("net_credit", 2, 1, 1), ("spy_spread", 1, 0, 1)]
    quiet = stage.run("report", "--since", "2026-01-30", "--until", "2026-02-02")["quiet_days"]
    assert [(day["day"], day["why"]) for day in quiet] == [("2026-02-02", "No command ran.")]


def test_the_errors_of_the_period_are_told_once_each(february):
    (issue,) = february["issues"]
    assert (issue["command"], issue["exit_code"], issue["times"]) == ("monitor", 4, 2)


def test_the_result_is_attributed_where_quotes_are_known_at_both_ends(february):
    found = february["attribution"]
    assert (found["trades"], found["others"], found["others_pnl"]) == (2, 1, 156.72)
    parts = found["parts"]
    names = [name for name in parts if not name.startswith("mismatch_")]
    assert sum(parts[name] for name in names) == pytest.approx(found["net_pnl"], abs=0.001)
    assert found["net_pnl"] == pytest.approx(156.72 - 543.28)
    assert (parts["fees"], parts["slippage"]) == (-46.56, 0)
    assert found["entry_slippage"] == 0


def test_the_claims_stand_beside_the_figures_and_nothing_is_told_of_so_few(stage, february):
    claims = {claim["name"]: claim for claim in february["claims"]}
    assert len(claims) == 7
    assert {claim["verdict"] for claim in claims.values()} == {"too few to tell"}
    assert claims["win rate"]["measured"] == pytest.approx(0.6667)
    assert claims["trades a day"]["measured"] == 0.8
    assert claims["P&L a year"]["measured"] == pytest.approx((156.72 * 2 - 543.28) / 4 * 252, abs=0.01)
    out = stage.run("report", *FEBRUARY, as_json=False).out
    for text in ("85–90 %", "66.7 %", "$500–800", "1–2", "$126–403K", "< 1 %", "too few to tell"):  # noqa: RUF001
        assert text in out, text


def test_the_yearly_claim_is_of_the_capital(stage):
    done = stage.run("report", *FEBRUARY, "--capital", "$100,000")
    (yearly,) = [claim for claim in done["claims"] if claim["name"] == "P&L a year"]
    assert (done["capital"], yearly["claimed_low"], yearly["claimed_high"]) == (100_000, 252_000, 806_000)
    assert (
        "of the capital of $100,000"
        in stage.run("report", *FEBRUARY, "--capital", "100000", as_json=False).out
    )


# --- which days -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "trades"),
    [
        (("--month", "2026-02"), [2, 3, 4, 5]),
        (("--month", "2026-01"), [1]),
        (("--year", "2026"), [1, 2, 3, 4, 5]),
        (("--year", "2025"), []),
        (("--last", "2"), [4, 5]),
        (("--last", "99"), [1, 2, 3, 4, 5]),
        (("--month", "2026-02", "--last", "1"), [5]),
        (("--until", "2026-02-13", "--last", "2"), [2, 3]),
        (("--day", "2026-02-13"), [3]),
        (("--since", "2026-02-17"), [4, 5]),
    ],
)
def test_a_period_can_be_named_in_many_ways(stage, words, trades):
    done = stage.run("report", *words)
    assert done.code == 0
    assert [trade["id"] for trade in done["trades"]] == trades
    assert {row["trade_id"] for row in done["executions"]} == set(trades)
    assert done["fees"]["executions"] == 4 * len(trades)
    assert [one["trade_id"] for one in done["analyses"]] == trades


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--month", "2026-13"), "not a month"),
        (("--month", "02-2026"), "not a month"),
        (("--year", "26"), "not a year"),
        (("--tax", "soon"), "not a year"),
        (("--last", "0"), "--last"),
        (("--capital", "0"), "dollars"),
        (("--capital", "nan"), "dollars"),
        (("--capital", "-5"), "dollars"),
        (("--capital", "9" * 5000), "dollars"),
        (("--month", "2026-02", "--year", "2026"), "two periods"),
        (("--month", "2026-02", "--since", "2026-02-01"), "leave out"),
        (("--table", "tax", "--csv"), "--tax"),
        (("--tax", "2026", "--last", "1"), "leave out --last"),
        (("--html", "-", "--json"), "stdout"),
        (("--html", "-", "--csv"), "stdout"),
        (("--since", "2026-02-12", "--until", "2026-02-11"), "exchange"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_period_or_form_that_makes_no_sense_is_wrong_use(stage, words, said):
    done = stage.run("report", *words, as_json=False)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_an_absent_ledger_is_said_with_its_path_and_none_is_made(tmp_path):
    stage = lonely(tmp_path, free_port(), "paper")
    done = stage.run("report")
    assert (done.code, done["trades"], done["period"]["trading_days"]) == (0, [], 0)
    assert [note for note in done["notes"] if str(stage.database) in note]
    assert not stage.database.exists()


def test_reading_leaves_the_ledger_as_it_is(stage):
    before = stage.sql("SELECT count(*) AS n FROM runs")
    assert stage.run("report").code == 0
    assert stage.sql("SELECT count(*) AS n FROM runs") == before


# --- sums -----------------------------------------------------------------------------------------


def cents(value) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def test_every_table_statistic_page_and_csv_has_the_same_sum_to_the_cent(stage, tmp_path):
    whole = stage.run("report").json
    total = cents(whole["statistics"]["total"])
    assert total == cents(456.72 + 156.72 - 543.28 + 156.72)
    assert sum(cents(day["net_pnl"]) for day in whole["daily"]) == total
    assert sum(cents(one["net_pnl"]) for one in whole["analyses"] if one["net_pnl"] is not None) == total
    assert sum(cents(count["net_pnl"]) for count in whole["exits"] if count["net_pnl"] is not None) == total
    found = whole["attribution"]
    assert cents(found["net_pnl"]) + cents(found["others_pnl"]) == total
    rows = csv_rows(stage.run("report", "--csv", as_json=False).out)
    assert sum(cents(row["final_pnl"]) for row in rows if row["final_pnl"]) == total
    fills = csv_rows(stage.run("report", "--csv", "--table", "executions", as_json=False).out)
    cash = sum(
        (-1 if fill["side"] == "BUY" else 1) * cents(fill["price"]) * int(float(fill["quantity"])) * 100
        - cents(fill["commission"])
        for fill in fills
        if fill["trade_id"] != "5"
    )
    assert cash == total
    page = tmp_path / "report.html"
    assert stage.run("report", "--html", str(page), as_json=False).code == 0
    text = page.read_text()
    assert f"${total}" in text
    assert (
        sum(map(dollars, re.findall(r'data-of="net P&amp;L">(−?\$[\d,.]+)<', text))) == total * 2
    )  # days, exits
    assert f"net ${total}" in stage.run("report", as_json=False).out


def dollars(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", "").replace("−", "-"))


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- CSV and page ---------------------------------------------------------------------------------


def test_no_text_in_a_csv_is_a_formula(stage):
    done = stage.run("report", "--csv", "--output", "-", as_json=False)
    assert [row["note"] for row in csv_rows(done.out)][-1] == f"'{EVIL}"
    assert csv_rows(done.out)[2]["final_pnl"] == "-543.28"


@pytest.mark.parametrize(("words", "name"), [(("--csv", "--output"), "x.csv"), (("--html",), "x.html")])
def test_a_file_is_written_whole_and_for_its_owner_alone(stage, tmp_path, words, name):
    file = tmp_path / name
    file.write_text("old")
    file.chmod(0o644)
    done = stage.run("report", *words, str(file), as_json=False)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() != "old"
    assert [other.name for other in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("words", "name"), [(("--csv", "--output"), "x.csv"), (("--html",), "x.html")])
def test_a_link_is_not_followed_and_a_pipe_is_not_waited_for(stage, tmp_path, words, name):
    victim, link, pipe = tmp_path / name, tmp_path / "link", tmp_path / "pipe"
    victim.write_text("precious")
    link.symlink_to(victim)
    os.mkfifo(pipe)
    for place, why in ((link, "it is a symbolic link"), (pipe, "it is not a regular file")):
        done = stage.run("report", *words, str(place), as_json=False)
        assert (done.code, done.out) == (2, "")
        assert f"{place} cannot be written: {why}" in done.err
    assert victim.read_text() == "precious"


def test_what_cannot_be_written_leaves_what_was_there(stage, tmp_path):
    done = stage.run("report", "--html", "/dev/full", as_json=False)
    assert (done.code, "cannot be written" in done.err) == (2, True)
    done = stage.run("report", "--csv", "--output", str(tmp_path / "none" / "x.csv"), as_json=False)
    assert (done.code, "cannot be written" in done.err) == (2, True)


@pytest.mark.parametrize(
    "name",
    ["trading.db", "trading.db-wal", "trading.db-shm", "trading.db.v1.bak", "trading.log", "trading.log.1",
     "trading.db.lock", "trading.lock", "trading.db.seen", "trading.seen", "TRADING.DB", "config.yaml", ".env", "./x/../trading.db"],
)  # fmt: skip
@pytest.mark.parametrize("words", [("--csv", "--output"), ("--html",)], ids=" ".join)
def test_the_programs_own_files_are_never_written_over(stage, name, words):
    path = stage.folder / name
    before = path.read_bytes() if path.exists() else None
    done = stage.run("report", *words, name, as_json=False)
    assert (done.code, done.out) == (2, "")
    assert "spxarb itself needs" in done.err
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_nor_by_a_link(stage, tmp_path, link):
    alias = tmp_path / "trades.csv"
    link(stage.database, alias)
    before = stage.database.read_bytes()
    done = stage.run("report", "--csv", "--output", str(alias), as_json=False)
    assert (done.code, "spxarb itself needs" in done.err) == (2, True)
    assert stage.database.read_bytes() == before
    alias.unlink()


class Page(HTMLParser):
    """Every element is closed; what is in it is kept."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_by_itself_without_script_and_escapes_everything(stage):
    done = stage.run("report", *FEBRUARY, "--html", "-", as_json=False)
    assert (done.code, done.err) == (0, "")
    page = Page(done.out)
    assert page.open == []
    tags = {tag for tag, _ in page.tags}
    assert {"svg", "polyline", "rect", "table"} <= tags
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name in {"src", "href"} or name.startswith("on")]
    assert EVIL in "".join(page.text)
    assert "viewport" in {attributes.get("name") for _, attributes in page.tags}
    assert not re.search(r"https?://", done.out)
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert labels == [
        "Running total of net P&L over 4 trading days: -$229.84",
        "Results of 3 trades",
        "Net P&L of 4 trading days",
    ]


@pytest.mark.parametrize("words", [("--year", "2025"), ("--month", "2026-01"), ("--day", "2026-02-18")])
def test_a_page_of_no_day_of_one_and_of_no_known_result_is_a_page(stage, words):
    done = stage.run("report", *words, "--html", "-", as_json=False)
    assert done.code == 0
    assert Page(done.out).open == []
    assert "None" not in done.out
    assert not re.search(
        r"\b1 (trading days|closed trades)|(\d{4}-\d\d-\d\d) to \2|[>(]-\$", done.out.replace("</span>", "")
    )


def test_json_and_a_page_can_be_had_at_once(stage, tmp_path):
    file = tmp_path / "r.html"
    done = stage.run("report", "--html", str(file))
    assert (done.code, len(done["trades"])) == (0, 5)
    assert file.read_text().startswith("<!doctype html>")


# --- tax ------------------------------------------------------------------------------------------


def test_the_tax_return_has_one_row_an_execution_with_what_each_leg_realized(stage):
    done = stage.run("report", "--tax", "2026")
    assert (done.code, len(done["tax"])) == (0, 20)
    first = done["tax"][:4]
    assert [(row["leg"], row["section_1256"], row["realized_pnl"]) for row in first] == [
        ("SPX", True, None),
        ("SPY", False, None),
        ("SPY", False, 1728.36),
        ("SPX", True, -1271.64),
    ]
    totals = done["tax_totals"]
    assert totals["section_1256"] == pytest.approx(5 * -1271.64)
    assert totals["long_term"] + totals["short_term"] == pytest.approx(totals["section_1256"])
    assert totals["section_1256"] + totals["other"] == pytest.approx(totals["total"])
    rows = csv_rows(stage.run("report", "--tax", "2026", "--csv", as_json=False).out)
    assert len(rows) == 20
    assert {row["section_1256"] for row in rows if row["leg"] == "SPX"} == {"True"}
    assert rows[0]["time_utc"] == "2026-01-30T14:36:00+00:00"
    assert stage.run("report", "--tax", "2025")["tax"] == []
    out = stage.run("report", "--tax", "2026", as_json=False).out
    assert "Section 1256" in out
    assert "60 % long-term" in out
    assert "trade 5 is not known here" in " ".join(out.split()), "what the sums may lack is told"
    assert done["notes"] == [note for note in done["notes"] if "trade 5" in note] != []


def test_a_csv_that_lacks_something_says_so_on_stderr(tmp_path):
    """A table of the tax return without a trade that cannot be read looks like a whole one."""
    stage = lonely(tmp_path, free_port(), "paper")
    with written(stage.database).ledger as ledger:
        Days(ledger).traded(WEDNESDAY)
        Days(ledger, 10).traded(FRIDAY)
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE trades SET final_pnl = 'abc' WHERE id = 1")
    for words in (("--csv",), ("--tax", "2026", "--csv"), ("--csv", "--output", "t.csv")):
        done = stage.run("report", *words, as_json=False)
        assert done.code == 0
        assert "Trade 1 is left out: its final_pnl 'abc' cannot be read." in done.err, words
    done = stage.run("report", "--csv", "--output", str(tmp_path / "t.csv"))
    assert (done.err, "left out" in done["notes"][0]) == ("", True)


def test_the_page_of_a_tax_year_shows_what_was_realized_in_it(stage):
    page = Page(stage.run("report", "--tax", "2026", "--html", "-", as_json=False).out)
    text = " ".join(page.text)
    assert "Realized in 2026" in text
    assert "SPX options, Section 1256 −$6,358.20" in text


def test_what_moves_a_cursor_or_hides_text_is_not_in_the_page(tmp_path):
    stage = lonely(tmp_path, free_port(), "paper")
    with written(stage.database).ledger as ledger:
        Days(ledger).traded(FRIDAY, state=TradeState.UNKNOWN, final_pnl=None, note="a\x1b[2Jb\u202ec")
    out = stage.run("report", "--html", "-", as_json=False).out
    assert "a?[2Jb?c" in out


def test_a_curve_of_more_days_than_the_screen_has_room_for_says_how_many_it_shows(tmp_path):
    stage = lonely(tmp_path, free_port(), "paper")
    with written(stage.database).ledger as ledger:
        Days(ledger).traded(JANUARY)
    out = stage.run("report", "--until", "2026-06-30", as_json=False, env={"COLUMNS": "80"}).out
    line = next(line for line in out.splitlines() if line.startswith("Net P&L over"))
    assert line.startswith("Net P&L over the last 36 days: ")
    assert line.endswith("$156.72")
    risk = next(line for line in out.splitlines() if line.startswith("risk of ruin"))
    assert risk.endswith("too few to tell")


# --- the screen -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["80", "100", "120"])
@pytest.mark.parametrize(
    "words", [FEBRUARY, ("--tax", "2026"), ("--year", "2025")], ids=lambda words: words[0]
)
def test_no_number_is_cut_on_the_screen(stage, columns, words):
    done = stage.run("report", *words, as_json=False, env={"COLUMNS": columns})
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert "…" not in done.out
    for line in lines:
        assert not re.search(r"[$+-][\d,]+\.\d?$|[$+-]$", line.rstrip()), line
    assert json.loads(stage.run("report", *words).out)["exit_code"] == 0
