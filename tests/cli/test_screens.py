"""Every screen of every command fits its terminal: nothing is cut, and no number, date or word is broken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from screen_samples import SAMPLES, TALL

from spxarb.cli.blocks import BAD, DASH, Beside, Facts, Fitted, Grid, Hanging, Line, Pairs, Part
from spxarb.cli.folding import folded, whole
from spxarb.cli.layout import LONG, columns_of, lines, text_of, with_minus, wrapped
from spxarb.cli.screens import fitted, screen
from spxarb.core.result import RESULT_TYPES

WIDTHS = (80, 100, 120)
HEIGHT = 24


def drawn(name: str, width: int) -> list[str]:
    return [text_of(line) for line in lines(screen(SAMPLES[name]), width)]


def texts(block) -> list[str]:
    """Every text of a block, as it should be read: below 0 with a minus sign."""
    return [with_minus(text) for text in _texts(block)]


def _texts(block) -> list[str]:
    match block:
        case Line():
            return block.text.split("\n")
        case Hanging():
            return [block.head, block.text]
        case Facts():
            return [text for name, cell in block.facts for text in (name, plain(cell))]
        case Grid():
            kept = []
            for place, head in enumerate(block.columns):
                cells = [plain(row[place]) for row in block.rows]
                prose = not head.startswith(">") and any(len(cell) > LONG for cell in cells)
                cells = [cell for cell in cells if cell != DASH or not head.startswith("?")]
                kept += [*([] if prose or not cells else [head.lstrip("?>")]), *cells]
            return [block.title, *kept]
        case Pairs():
            return [block.title, *(text for name, cell in block.rows for text in (name, plain(cell)))]
        case Beside():
            return [text for pairs in block.blocks for text in texts(pairs)]
        case Part():
            return [text for one in block.blocks for text in texts(one)]
        case Fitted():  # it makes its own lines: test_status_screens.py looks at them
            return []


def plain(cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("word", ["y" * 300_000, "/path" * 60_000, "漢" * 100_000], ids=["y", "path", "wide"])
def test_a_word_of_many_lines_takes_no_longer_than_its_letters_do(word):
    parts = wrapped(word, 80)
    assert "".join(parts) == word
    assert max(map(columns_of, parts)) <= 80


@pytest.mark.parametrize(("word", "width"), [("漢", 1), ("漢字", 1), ("a漢", 2), ("ab", 1), ("abc", 2)])
def test_a_word_for_which_no_line_is_wide_enough_is_kept_whole(word, width):
    assert "".join(wrapped(word, width)) == word


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_too_long_and_nothing_is_cut(name, width):
    found = drawn(name, width)
    assert max(map(columns_of, found)) <= width
    assert "…" not in "".join(found)
    assert "..." not in "".join(found)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_number_date_or_word_is_broken(name, width):
    shown = set(" ".join(drawn(name, width)).split())
    wanted = {
        word for block in whole(screen(SAMPLES[name])) for text in texts(block) for word in text.split()
    }
    assert wanted - shown == set()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_short_cell_is_split(name, width):
    """A strike, a sum, a time with its date stand in one line, wherever the table has no room for them."""
    found = drawn(name, width)
    for block in whole(screen(SAMPLES[name])):
        cells = (
            [] if isinstance(block, Line | Hanging) else [text for text in texts(block) if len(text) <= LONG]
        )
        heads = {head.lstrip("?>") for head in block.columns} if isinstance(block, Grid) else set()
        for cell in set(cells) - heads:
            assert any(cell in line for line in found), f"{cell!r} is split"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_screen_of_two_spreads_fits_a_terminal_of_24_lines(name, width):
    shown = [text_of(line) for line in lines(fitted(SAMPLES[name], width, HEIGHT - 1), width)]
    assert len(shown) < HEIGHT  # the prompt takes the last
    assert max(map(columns_of, shown)) <= width
    assert shown == drawn(name, width) or re.search(
        r"With --full (everything is|they are whole)\.", shown[-1] + shown[-2]
    )


@pytest.mark.parametrize("name", sorted(TALL))
def test_a_taller_terminal_shows_everything(name):
    every = drawn(name, 80)
    assert [text_of(line) for line in lines(fitted(SAMPLES[name], 80, len(every)), 80)] == every


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("report", "101  2026-12-29 15:45  Trade 101: 100 SPY calls are short without their hedge"),
        ("report", "Win rate 50.0 %"),
        ("report --explain", "alert"),
        ("config", "dashboard.port (line 31): 99999 is not a whole number"),
        ("config", "MIN_ENTRY_CREDIT, environment"),
        ("reconcile", "2 differences between ledger and statement"),
        ("doctor", "0 failed, 0 warnings, 0 passed."),
    ],
)
def test_what_needs_an_action_stays_where_the_rest_has_no_room(name, stays):
    assert stays in "\n".join(text_of(line) for line in lines(fitted(SAMPLES[name], 80, HEIGHT - 1), 80))


def test_rows_leave_a_table_one_by_one_and_are_counted():
    table = Grid("", ("id",), [[str(number)] for number in range(9)])
    for end, kept, word in (("first", ["7", "8"], "earlier"), ("last", ["0", "1"], "more")):
        part = Part("rows", (table,), brief=None, rows_leave=end)
        shown = [text_of(line) for line in lines(folded([Line("Verdict"), part], 80, 7), 80)]
        assert shown == [
            "Verdict",
            "id",
            "──",
            *kept,
            "",
            f"Not shown: rows (7 {word}). With --full everything is.",
        ]


def test_what_a_greater_part_made_room_for_comes_back():
    small, great = (
        Part(name, tuple(Line(name) for _ in range(n)), leaves)
        for name, n, leaves in (("a", 2, 2), ("b", 9, 1))
    )
    shown = [text_of(line) for line in lines(folded([small, great], 80, 8), 80)]
    assert shown == ["a", "a", "", "Not shown: b. With --full everything is."]


def test_a_line_of_the_log_ends_at_a_clause_where_it_has_no_room():
    text = (
        "nothing open; 3 differences; exit 6: The broker shows +1 of SPX, which this ledger knows nothing of."
    )
    line = Hanging("09:35 monitor  ", text, one_line=True)
    for width, said in (
        (120, text),
        (80, "nothing open; 3 differences; exit 6: The broker shows +1 of SPX"),
        (60, "nothing open; 3 differences; exit 6"),
    ):
        shown = [text_of(line) for line in lines(folded([line], width, 23), width)]
        assert shown[0] == f"09:35 monitor  {said}"
        assert shown[1:] == ([] if said == text else ["Lines are shortened. With --full they are whole."])


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - TALL))
def test_a_wider_terminal_never_takes_more_lines(name):
    tall = [len(drawn(name, width)) for width in WIDTHS]
    assert tall == sorted(tall, reverse=True)


@given(st.text(st.sampled_from("ab 1.\n字e\u0301"), max_size=60), st.integers(4, 20))
def test_text_of_any_kind_fits_any_width_and_loses_nothing(text, width):
    found = wrapped(text, width)
    assert max(map(columns_of, found)) <= width
    assert "".join("".join(found).split()) == "".join(text.split())
    if columns_of(text) <= width and "\n" not in text:
        assert found == [text]


def test_blanks_between_words_stay_where_a_line_goes_on_in_another():
    assert wrapped("09:35  enter    entered trade 1", 24) == ["09:35  enter    entered", "trade 1"]
    assert wrapped("  a long line", 8) == ["  a long", "  line"]
    assert wrapped("spread\N{NO-BREAK SPACE}$0.30, ratio\N{NO-BREAK SPACE}10", 16) == [
        "spread $0.30,",
        "ratio 10",
    ]


def test_a_table_that_is_too_wide_keeps_its_first_columns_and_tells_the_others_below():
    table = Grid("", ("id", ">sum", "?why", "?never"), [["1", "$1,234.56", "TIME", DASH]])
    assert [text_of(line) for line in lines([table], 14)] == [
        "id        sum",
        "─────────────",
        "1   $1,234.56",
        "  why TIME",
    ]


def test_what_the_ledger_does_not_bear_out_is_no_good_news():
    """An account that shows nothing beside a ledger that knows of something is the worst of answers."""
    first, second, *rest = lines(screen(SAMPLES["close-all, not borne out"]), 120)[1:]
    assert text_of(first).startswith("NOT closed: trade ")
    assert text_of(second) == "The account shows no call of spxarb, and the ledger does not bear that out."
    assert first[0][1] == second[0][1] == BAD
    assert "Flat" not in "".join(map(text_of, rest))
    first = lines(screen(SAMPLES["monitor, exits"]), 100)[1]
    assert (text_of(first), first[0][1]) == ("Ledger and broker: 2 differences, see below.", BAD)


def test_every_command_has_its_samples():
    assert {re.split(r"[ ,]", name)[0] for name in SAMPLES} == set(RESULT_TYPES)
