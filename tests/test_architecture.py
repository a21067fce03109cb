"""The house is built as `docs/architecture.md` says: who imports whom, which library lives where, one name for one thing."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
import tomllib
from collections import Counter, defaultdict
from functools import cache

import pytest

from spxarb.cli.commands import tree
from tests.markdown import DOCS, ROOT, blocks, table, tables, text_of, words
from tools.docs import house
from tools.docs.imports import all_imports, circles, graph, outline, within, working_tree

ARCHITECTURE = DOCS / "architecture.md"
MODULES = working_tree(ROOT)


@cache
def imports():
    return all_imports(MODULES)


@cache
def ours():
    return within(MODULES, imports())


@cache
def theirs():
    return [one for one in imports() if one.of.partition(".")[0] not in {"spxarb", *sys.stdlib_module_names}]


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


# --- the pictures -------------------------------------------------------------------------------------


def test_the_pictures_show_the_imports_as_they_are():
    assert text_of(ARCHITECTURE) == house.with_pictures(text_of(ARCHITECTURE), MODULES), (
        "run: python -m tools.docs.house"
    )


def test_every_file_is_listed_with_its_own_first_sentence():
    assert text_of(ROOT / house.FILES) == house.files(MODULES), "run: python -m tools.docs.house"


# --- who imports whom ---------------------------------------------------------------------------------


def patterns(cell: str) -> list[str]:
    """Modules as written, `core/*`, in dotted form."""
    return [f"spxarb.{word.replace('/', '.')}" for word in words(cell)]


def fits(name: str, written: list[str]) -> bool:
    """The package itself (`import spxarb`, for its version) is everybody's; a folder's own file is its package's."""
    return name == "spxarb" or any(
        fnmatch.fnmatch(name, pattern) or f"{name}.*" == pattern for pattern in written
    )


@cache
def directions() -> list[tuple[list[str], list[str]]]:
    return [(patterns(who), patterns(whom)) for who, whom in table(ARCHITECTURE, "modules")]


def test_every_module_has_exactly_one_row_among_the_directions():
    rows = {name: [who for who, _ in directions() if fits(name, who)] for name in MODULES if name != "spxarb"}
    assert {name: len(found) for name, found in rows.items() if len(found) != 1} == {}


def test_nobody_imports_against_the_directions():
    allowed = {name: who + whom for who, whom in directions() for name in MODULES if fits(name, who)}
    assert [f"{by} -> {of}" for by, of, _ in ours() if by != "spxarb" and not fits(of, allowed[by])] == []


def test_the_directions_allow_nothing_that_nobody_needs():
    for who, whom in directions():
        used = {one.of for one in ours() if fits(one.by, who)} - {"spxarb"}
        assert [pattern for pattern in whom if not any(fits(name, [pattern]) for name in used)] == [], who


@pytest.mark.parametrize(
    "package",
    ["the rest", "spxarb.sim"],
)
def test_no_module_imports_itself_by_way_of_others(package):
    """Imports for the type checker count: who needs another's type to be understood depends on it."""
    names = [name for name in MODULES if inside(name, "spxarb.sim") == (package == "spxarb.sim")]
    arrows = [(one.by, one.of) for one in ours() if one.by in names and one.of in names]
    assert circles(graph(names, arrows)) == []


def who_imports(of: str, *, among: str) -> set[str]:
    """The modules of a package that import `of` or something in it."""
    return {one.by for one in imports() if inside(one.by, among) and inside(one.of, of)}


def library_of(name: str) -> str:
    return name.partition(".")[0]


def test_the_core_knows_the_standard_library_and_itself_alone():
    beyond = [
        one
        for one in imports()
        if inside(one.by, "spxarb.core") and library_of(one.of) not in sys.stdlib_module_names
    ]
    assert [one for one in beyond if not inside(one.of, "spxarb.core")] == []


def test_the_simulated_gateway_knows_nothing_of_the_rest_and_no_client_library():
    beyond = [one for one in ours() if inside(one.by, "spxarb.sim") and not inside(one.of, "spxarb.sim")]
    assert beyond == []
    assert who_imports("ib_insync", among="spxarb.sim") == set()


@pytest.mark.parametrize("package", ["spxarb.jobs", "spxarb.trading"])
def test_no_job_knows_who_shows_its_result(package):
    assert who_imports("spxarb.cli", among=package) == set()


@pytest.mark.parametrize("shown", ["spxarb.cli.view", "spxarb.cli.screens", "spxarb.cli.shapes"])
def test_the_view_knows_jobs_by_their_result_alone(shown):
    assert {one.of for one in ours() if one.by == shown and inside(one.of, "spxarb.jobs")} == set()


def test_only_the_package_run_as_a_program_imports_the_command_line():
    assert {one.by for one in ours() if one.of == "spxarb.cli.commands"} == {"spxarb.__main__"}


def test_the_file_of_a_package_imports_nothing():
    assert [one for one in imports() if MODULES[one.by].is_package] == []


# --- one opener ---------------------------------------------------------------------------------------

CHANGES = {
    *(
        "write_text",
        "write_bytes",
        "mkdir",
        "makedirs",
        "chmod",
        "fchmod",
        "chown",
        "link",
        "symlink",
    ),
    *("hardlink_to", "symlink_to", "rename", "renames", "mknod", "mkfifo", "mkstemp", "mkdtemp", "copyfile"),
    *("copy2", "copytree", "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile"),
    *("FileHandler", "RotatingFileHandler", "WatchedFileHandler"),
}
"""Calls that make, change or move a file, whatever they are called on."""
OPENS = re.compile(rf"\b(?:{'|'.join(sorted({*CHANGES, 'open', 'fdopen', 'replace', 'move', 'touch'}))})\b")
"""In the text of each file that does any of that."""
SQLITE_OPENS = {
    "spxarb.ledger.opening",
    "spxarb.ledger.copies",
    "spxarb.ledger.schema",
    "spxarb.ledger.elsewhere",
}


def written_without_the_opener(text: str) -> list[str]:
    """The calls in a module that open for writing, make or move a file."""
    found = []
    for node in ast.walk(ast.parse(text)) if OPENS.search(text) else ():
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if not OPENS.fullmatch(name):
            continue
        on = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        words = " ".join(ast.unparse(part) for part in (*node.args, *(key.value for key in node.keywords)))
        writes = re.search(r"'([wax][bt+]*(:\w+)?|r[bt]?\+[bt]?)'", words) is not None
        by_flags = on == "os" and any(flag in words for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "flags"))
        replaced = name == "replace" and len(node.args) == 1 and not node.keywords and on
        if (
            (name in CHANGES and on not in {"files", "opener"})
            or (name == "open" and "os.devnull" not in words and (by_flags or (on != "os" and writes)))
            or (name == "fdopen" and writes and "files.open_to_write" not in words)
            or replaced
            or (name == "move" and on == "shutil")
            or (name == "touch" and not node.args)
        ):
            found.append(ast.unparse(node))
    return found


OPENED_ELSEWHERE = {
    "spxarb.children": ["tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)"],
    "spxarb.config.trusted": ["os.open(place, flags | os.O_NOFOLLOW)", "os.open(path, flags)"],
    "spxarb.lock": ["os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)"],
    "spxarb.sim.control": ["tempfile.TemporaryFile()"],
    "spxarb.sim.token": [
        "folder.mkdir(mode=448, exist_ok=True)",
        "os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 384)",
        "new.replace(path)",
        "os.fdopen(handle, 'w', encoding='ascii')",
        "os.open(folder / _name(host, port), flags)",
    ],
    "spxarb.trading.archive": ["tarfile.open(fileobj=file, mode='w:gz', compresslevel=6)"],
}
"""Each call by its words: those that only read, private folders of processes, files that the opener opened."""


def test_every_file_that_is_written_goes_through_the_one_opener():
    """The archive packs into a file that the opener has opened; the simulator's log has no name at all.

    Whether a lock is free is asked of a file that is there, and nothing is written to it. The reader of files opens
    with its flags, to read alone. The simulator shares no code: it writes its token beside, made anew, no link
    followed, and renames. A child runs in a private folder, made under a name that nobody can guess.
    """
    found = {
        name: calls
        for name, module in MODULES.items()
        if name != "spxarb.files" and (calls := written_without_the_opener(module.text))
    }
    assert found == OPENED_ELSEWHERE


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')", "path.open('ab')", "os.open(path, os.O_WRONLY | os.O_CREAT)", "path.write_text('x')",
        "path.mkdir(parents=True)", "shutil.copyfile(a, b)", "os.fdopen(handle, 'w')", "path.replace(other)",
        "path.chmod(0o600)", "tempfile.mkstemp()", "path.touch()", "os.link(a, b)", "open(path, mode='x')",
    ],
)  # fmt: skip
def test_that_reading_sees_what_writes(line):
    assert written_without_the_opener(line)


def test_sqlite_opens_files_in_the_ledger_alone():
    assert {name for name, module in MODULES.items() if "sqlite3.connect(" in module.text} == SQLITE_OPENS


# --- names --------------------------------------------------------------------------------------------


def test_jobs_holds_verbs_and_nothing_else():
    verbs = {verb.replace("-", "_") for verb in tree().commands}
    files = {name.rpartition(".")[2] for name in MODULES if name.startswith("spxarb.jobs.")}
    assert files - {"switch"} <= verbs
    assert {"start", "stop"} <= verbs, "what `switch` is"


def classes_by_name() -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, module in MODULES.items():
        for class_name in outline(module.text).classes:
            found[class_name].append(name)
    return found


def test_no_two_classes_have_the_same_name():
    assert {name for name, places in classes_by_name().items() if len(places) > 1} == set()


EACH = re.compile(r"\bfor\b.*\beach\b(?!\s+(?!(?:in|if|else|and|or|not|is|for)\b)\w)")
"""A loop over what is called so, or a sentence that looks like one; not `for each order`, which is none."""


def test_what_a_loop_holds_is_named_by_its_noun():
    found = [
        f"{file.relative_to(ROOT)}:{node.target.lineno}"
        for folder in ("spxarb", "tools", "tests", "benchmarks")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if EACH.search(text := text_of(file))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)
        if any(isinstance(name, ast.Name) and name.id == "each" for name in ast.walk(node.target))
    ]
    assert found == []


# --- libraries ----------------------------------------------------------------------------------------

IMPORT_NAMES = {"pyyaml": "yaml", "sqlite-utils": "sqlite_utils"}
LIBRARIES = {words(row[0])[0]: row for row in table(ARCHITECTURE, "library")}


def test_every_library_is_listed_with_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in project["dependencies"])
    assert {name: (words(row[1]) or [""])[0] for name, row in LIBRARIES.items()} == needed


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_by_its_owners_alone(library):
    owners = patterns(LIBRARIES[library][2])
    name = IMPORT_NAMES.get(library, library)
    users = {one.by for one in theirs() if library_of(one.of) == name}
    assert {user for user in users if not fits(user, owners)} == set()
    assert users or not owners, f"{library} is imported by nobody"


def test_no_library_is_imported_that_is_not_listed():
    listed = {IMPORT_NAMES.get(name, name) for name in LIBRARIES}
    assert {library_of(one.of) for one in theirs()} - listed == set()


# --- the ways and the names of the strategy's document ------------------------------------------------

PLACE = re.compile(r"`(spxarb/[\w/]+\.py)`: ((?:`\w+`(?:, )?)+)")


@cache
def used_in(path: str) -> Counter[str]:
    """How often a file uses each name, its definition aside."""
    nodes = ast.walk(ast.parse(text_of(ROOT / path)))
    return Counter(node.id if isinstance(node, ast.Name) else getattr(node, "attr", "") for node in nodes)


@pytest.mark.parametrize("way", tables(ARCHITECTURE, "stop"), ids=["entry", "exit"])
def test_each_stop_of_a_way_is_called_from_the_file_of_an_earlier_one(way):
    stops = [(found[1], words(found[2])[0]) for row in way if (found := PLACE.fullmatch(row[1]))]
    assert len(stops) == len(way) > 15, "a stop is one function of one file"
    assert [int(row[0]) for row in way] == list(range(1, len(way) + 1))
    for number, (_, function) in enumerate(stops[1:], start=1):  # `number` stops lie before it
        earlier = {path for path, _ in stops[:number]}
        assert any(used_in(path)[function] for path in earlier), f"stop {number + 1}: {function}"


DOCUMENT = """
connect disconnect is_connected get_current_price get_option_chain get_option_quote place_option_order
get_positions get_open_orders close_position get_account_summary
should_enter_trade calculate_entry_credit create_option_contracts should_exit_position calculate_exit_cost
calculate_final_pnl get_atm_strike get_0dte_expiration is_entry_time is_exit_time
get_active_positions monitor_positions handle_expiration check_risk_limits emergency_close_all
trades daily_summary system_state add_trade update_trade get_active_trades get_todays_trades
update_daily_summary get_system_state update_system_state
start_trading stop_trading morning_routine monitor_positions_routine end_of_day_routine get_system_status
get_positions_summary get_trade_history(limit=50) get_account_info get_market_prices get_performance_metrics
"""
QUOTED = {"Failed to connect to IB Gateway", "Order timeout", "Connection refused to localhost:5000"}
PANELS = ("System Status", "Account", "Daily P&L", "Market Prices", "Open Positions", "Recent Trades")


def test_every_name_of_the_strategys_document_has_its_place_or_the_reason_why_not():
    rows = dict(table(ARCHITECTURE, "in the document"))
    assert sorted(name for cell in rows for name in words(cell)) == sorted(DOCUMENT.split())
    assert {text for cell in rows for text in re.findall(r'^"(.+)"$', cell)} == QUOTED
    assert [cell for cell in rows if cell == f"panels {', '.join(PANELS)}"]
    for cell, place in rows.items():
        assert PLACE.search(place) or re.match(r"\[ledger\.md\]|not (?:here|an error)", place), cell


def test_the_tunings_that_the_strategys_document_suggests_are_all_shown():
    (tunings,) = blocks(ARCHITECTURE, "yaml")
    numbers = re.findall(r": \"?([\d.:]+)\"?$", tunings, re.MULTILINE)
    assert numbers == ["09:45", "15:30", "0.50", "500", "9.97", "10.03", "8", "1", "500", "300"]
