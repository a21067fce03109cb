"""What nobody meant to write: paths, names, numbers and files that are told and change nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.config.load import ledger_candidates, load, read
from spxarb.config.paths import path_problem
from spxarb.errors import ConfigError
from spxarb.ledger.ledger import Ledger


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working folder and home, so that no file of the machine is found."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return folder


def complaint(path: Path | None = None, environ=None, verb: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {}, verb=verb)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 600
    return said


def written(folder: Path, text: str | bytes, name: str = "settings.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- paths ------------------------------------------------------------------------------------------

ODD_PATHS = {
    "$HOME/trading.db": "variables such as $HOME",
    "${XDG_STATE_HOME}/trading.db": "variables such as $HOME",
    "/data/$(whoami)/trading.db": "variables such as $HOME",
    "%h/trading.db": "specifiers such as %h",
    "/data/%USERPROFILE%/trading.db": "specifiers such as %h",
    '"/data/trading.db"': "quotation marks",
    "'/data/trading.db'": "quotation marks",
    '"/data/trading.db': "quotation marks",
    "“/data/trading.db”": "quotation marks",
    "/data/trading.db\r": "carriage return",
    "/data/trad\ring.db": "carriage return",
    "/data/trading.db\n": "cannot be seen",
    "/data/\ttrading.db": "cannot be seen",
    "/data/trading\u200b.db": "cannot be seen",
    "/data/trading\xa0.db": "cannot be seen",
    "/data/trading.db ": "a blank begins or ends",
    " /data/trading.db": "a blank begins or ends",
    "/data /trading.db": "a blank begins or ends",
    "file:///data/trading.db": "a URL",
    "sqlite:////data/trading.db": "a URL",
    "https://example.com/trading.db": "a URL",
    "file:trading.db": "a URL",
    "~nobody-of-that-name/trading.db": "no user nobody-of-that-name",
    "/data/~/trading.db": "a ~ stands in the middle",
    "C:\\data\\trading.db": "path of Windows",
    "/data/trading.db/": "a folder does",
    ".": "a folder does",
    "/data/..": "a folder does",
    "~": "a folder does",
}


@pytest.mark.parametrize("text", ODD_PATHS)
def test_a_path_that_nobody_meant_is_refused_wherever_it_stands(text, tmp_path):
    why = ODD_PATHS[text]
    quoted = (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'
    )
    quoted = quoted.replace("\t", "\\t")
    for key in ("storage.database", "logging.path", "trading.blackout_file"):
        section, _, name = key.partition(".")
        said = complaint(written(tmp_path, f"{section}: {{{name}: {quoted}}}\n"))
        assert f"{key} (line 1): " in said
        assert why in said
    assert f"SPXARB_DATABASE (storage.database): {text!r} is not the path"[:40] in complaint(
        environ={"SPXARB_DATABASE": text}
    )


@pytest.mark.parametrize(
    "text",
    [
        "/home/me/Library/Application Support/spxarb/trading.db",
        "/home/o'brien/trading.db",
        "~/ledger/trading.db",
        "ledger/börse.db",
        "../trading.db",
        "/data/a,b;c=d&e#f@g!(1)[2]{3}.db",
        "/data/100%.db",
    ],
)
def test_an_unusual_path_that_somebody_meant_is_taken(text):
    assert path_problem(text) == ""
    assert load(environ={"SPXARB_DATABASE": text}).storage.database is not None


@given(st.text(min_size=1))
def test_whatever_the_text_the_answer_is_a_path_or_a_reason(text):
    assert path_problem(text).isprintable()


def test_in_dotenv_quotes_are_the_shells_and_variables_stay_what_they_are(elsewhere, tmp_path):
    (elsewhere / ".env").write_text(f'SPXARB_DATABASE="{tmp_path}/my ledger.db"  # mine\n')
    assert load(environ={}).database_path() == tmp_path / "my ledger.db"
    (elsewhere / ".env").write_text('SPXARB_DATABASE="$HOME/trading.db"\n')
    assert "SPXARB_DATABASE in .env (storage.database): '$HOME/trading.db'" in complaint()


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"STATE_DIRECTORY": "$HOME/state"}, "variables such as $HOME"),
        ({"STATE_DIRECTORY": "%S/spxarb"}, "specifiers such as %h"),
        ({"STATE_DIRECTORY": "state"}, "must begin with /"),
    ],
)
def test_a_state_folder_that_nobody_meant_is_refused_too(environ, why):
    assert why in complaint(environ=environ)


def test_a_ledger_at_a_path_that_is_refused_now_is_still_looked_for(tmp_path):
    """A spread may be open in it."""
    place = tmp_path / "$HOME" / "trading.db"
    Ledger.open(place, mode="paper").close()
    path = written(tmp_path, "storage: {database: $HOME/trading.db}\n")
    assert ledger_candidates(path, {})[0] == place
    assert ledger_candidates(None, {"SPXARB_DATABASE": f"{place}"})[0] == place


# --- names in .env ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("IB_PROT=4001", "did you mean IB_PORT?"),
        ("ib_port=4001", "did you mean IB_PORT?"),
        ("IBPORT=4001", "did you mean IB_PORT?"),
        ("TRADNG_MODE=paper", "did you mean TRADING_MODE?"),
        ("MAX_SPREADS=1", "did you mean MAX_SPREADS_PER_DAY?"),
        ("IB_ACOUNT=DU1", "did you mean IB_ACCOUNT?"),
        ("SPXARB_DATABSE=/x.db", "did you mean SPXARB_DATABASE?"),
        ("SPXARB_PORT=1", "did you mean"),
        ("MAX_POSITION_LOSS=300", "risk_management.max_position_loss has none: set it in the YAML file"),
        ("EXIT_CHECK_TIME=15:30", "trading.exit_check_time has none"),
        ("TRADING_MAX_RATIO=10.03", "trading.max_ratio has none"),
        ("MAX_POSITION_LOS=300", "did you mean risk_management.max_position_loss? Set it in the YAML file"),
        ("TRADING_MIN_ENTRY_CREDIT=1", "did you mean MIN_ENTRY_CREDIT?"),
    ],
)
def test_a_name_in_dotenv_that_was_meant_for_us_is_a_problem_with_the_right_name(elsewhere, line, hint):
    (elsewhere / ".env").write_text(f"{line}\n")
    said = complaint()
    assert f"{line.partition('=')[0]} in .env: no such variable" in said
    assert hint in said


def test_another_programs_names_in_dotenv_stop_nothing_and_are_known(elsewhere):
    names = [
        "TWS_USERID",
        "TWS_PASSWORD",
        "VNC_SERVER_PASSWORD",
        "TZ",
        "DB_HOST",
        "DB_PORT",
        "PORT",
        "HOST",
        "PATH",
        "LEVEL",
        "MODE",
    ]
    (elsewhere / ".env").write_text("".join(f"{name}=x\n" for name in names))
    reading = read(environ={})
    assert reading.problems == ()
    assert reading.sources.foreign == tuple(names)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('IB_HOST="abc', "line 1: the quotation marks around IB_HOST do not fit"),
        ('IB_HOST="abc"def', "line 1: the quotation marks around IB_HOST do not fit"),
        ("IB_PORT=1\nIB_PORT=2", "IB_PORT is set twice (lines 1 and 2): keep one"),
        ("export IB_PORT", "line 1: expected KEY=value"),
    ],
)
def test_a_line_of_dotenv_that_says_two_things_is_told(elsewhere, line, part):
    (elsewhere / ".env").write_text(f"{line}\n")
    assert part in complaint()


# --- numbers and dates --------------------------------------------------------------------------------

NUMBERS = ("9" * 5000, "-" + "1" * 5000, "1" + "0" * 4200, ".inf", "-.inf", ".nan", "1e999", "9" * 30)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:8])
@pytest.mark.parametrize("key", ["ib.port", "trading.min_entry_credit", "execution.order_timeout_seconds"])
def test_a_number_beyond_all_bounds_names_its_key_and_is_shown_short(tmp_path, number, key):
    section, _, name = key.partition(".")
    said = complaint(written(tmp_path, f"{section}: {{{name}: {number}}}\n"))
    assert f"{key} (line 1): " in said
    assert "a bug" not in said


@pytest.mark.parametrize("number", [*NUMBERS, "inf", "nan", "infinity", "1_000_000_000_000", "0x10", "٣"])
@pytest.mark.parametrize("name", ["IB_PORT", "MIN_ENTRY_CREDIT", "SPXARB_WAIT_SCALE"])
def test_so_does_a_variable(number, name):
    assert name in complaint(environ={name: number, "TRADING_MODE": "sim"})


def test_a_date_that_does_not_exist_names_its_key(tmp_path):
    said = complaint(written(tmp_path, "calendar: {closed: [2026-02-30]}\n"))
    assert "calendar.closed (line 1): ['2026-02-30'] is not a list of dates" in said


# --- files --------------------------------------------------------------------------------------------


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    text = "ib:\r\n  port: 7\r\n  host: here\r\nstorage: {database: l.db}\r\n"
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfIB_CLIENT_ID=9\r\nIB_ACCOUNT=DU1\r\n")
    for mark, encoding in (
        ("", "utf-8"),
        ("\ufeff", "utf-8"),
        ("\ufeff", "utf-16-le"),
        ("\ufeff", "utf-16-be"),
    ):
        config = load(written(tmp_path, (mark + text).encode(encoding)), {})
        assert (config.ib.port, config.ib.host, config.ib.client_id) == (7, "here", 9)
        assert (config.ib.account, config.database_path()) == ("DU1", tmp_path / "l.db")


def test_what_is_no_text_or_no_file_is_told_and_not_waited_for(tmp_path, elsewhere):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "cannot be read: it is not a regular file" in complaint(tmp_path / "pipe.yaml")
    assert "cannot be read: it is not a regular file" in complaint(Path("/dev/zero"))
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(2_000_000_000)
    assert "it is larger than 262,144 bytes" in complaint(huge)
    assert "not valid YAML" in complaint(written(tmp_path, b"ib: {host: \xe4\xf6}\n"))
    (elsewhere / ".env").write_bytes("IB_PORT=7\n".encode("utf-16"))
    assert ".env cannot be read: it is not UTF-8 text" in complaint()
    (elsewhere / ".env").unlink()
    os.mkfifo(elsewhere / ".env")
    assert ".env cannot be read: it is not a regular file" in complaint()
    (elsewhere / ".env").unlink()
    (elsewhere / ".env").mkdir()
    assert ".env cannot be read: Is a directory" in complaint()


# --- the dashboard's settings -------------------------------------------------------------------------

DASHBOARDS = {
    "dashboard: {port: 99999}": "dashboard.port (line 1): 99999",
    "dashboard: {host: 0.0.0.0}": "dashboard.host '0.0.0.0' must be a loopback address",
    "dashboard: {host: example.com}": "dashboard.host 'example.com' must be a loopback address",
    "dashboard: {prot: 1}": "dashboard.prot (line 1): no such key",
    "dashboard: 5000": "dashboard (line 1): 5000 is not a section",
    "dashboard:\n  port: 1\n  port: 2": "dashboard.port is set twice",
    "dashboard: {refresh_interval_seconds: soon}": "dashboard.refresh_interval_seconds (line 1): 'soon'",
}


@pytest.mark.parametrize("text", DASHBOARDS)
def test_what_is_wrong_with_the_dashboard_stops_its_own_verb_alone_and_is_told(tmp_path, text):
    path = written(tmp_path, f"{text}\n")
    for verb in ("monitor", "enter", "close-all", "status", ""):
        config = load(path, {}, verb=verb)
        assert (config.dashboard.host, config.dashboard.refresh_interval_seconds) == ("127.0.0.1", 5)
        assert DASHBOARDS[text] in config.advice[0]
    assert DASHBOARDS[text] in complaint(path, verb="dashboard")
    path.write_text(f"{text}\nib: {{port: x}}\n")
    assert DASHBOARDS[text] in complaint(path, verb="monitor"), "with another problem all are named"


@pytest.mark.parametrize("name", ["DASHBOARD_PORT", "DASHBOARD_PROT", "DASHBOARD_SHOW_GREEKS"])
def test_so_does_a_wrong_variable_of_the_dashboard(elsewhere, name):
    (elsewhere / ".env").write_text(f"{name}=x\n")
    assert name in load(environ={}, verb="monitor").advice[0]
    assert name in complaint(verb="dashboard")


# --- what is in force is not what was set -------------------------------------------------------------


def test_a_time_exit_too_close_to_the_close_is_told_and_an_earlier_one_is_not(tmp_path):
    path = written(tmp_path, "trading: {exit_check_time: 15:50}\n")
    config = load(path, {})
    assert config.advice == (
        "trading.exit_check_time 15:50 is less than 15 minutes before the close: the time exit is at 15:45.",
    )
    assert config.notes_of("monitor") == config.notes_of("enter") == config.advice
    assert load(environ={}).advice == ()
    assert load(written(tmp_path, "trading: {exit_check_time: 15:30}\n"), {}).advice == ()


def test_a_value_that_is_overruled_is_named_with_the_one_that_wins(tmp_path):
    path = written(tmp_path, "ib: {port: 4001, account: U7654321}\ntrading:\n  min_entry_credit: 400.0\n")
    (tmp_path / ".env").write_text("IB_PORT=4002\nIB_ACCOUNT=DU1234567\nMIN_ENTRY_CREDIT=400\n")
    (tmp_path / ".env").chmod(0o600)
    told = load(path, {"IB_PORT": "7497"}).overruled
    env = tmp_path / ".env"
    assert told == (
        f"ib.port is 4002 by IB_PORT in {env}, which wins over 4001 in {path} (line 1).",
        f"ib.account is DU***567 by IB_ACCOUNT in {env}, which wins over U***321 in {path} (line 1).",
        f"ib.port is 7497 by IB_PORT, which wins over 4002 in IB_PORT in {env}.",
    )
    config = load(path, {})
    assert config.notes_of("enter") == config.overruled
    assert config.notes_of("settle") == ()


# --- what grows when it is read -------------------------------------------------------------------------

BOMBS = {
    "anchor": ("ib: &x {port: 1}", "line 1: not valid YAML, anchors (&) and aliases (*) are refused"),
    "alias": ("ib: {port: 1}\ntrading: *x", "line 2: not valid YAML, anchors (&) and aliases (*)"),
    "merge key": ("<<: {ib: {port: 1}}", "<< (line 1): no such section"),
    "depth": ("ib: " + "[" * 100_000, "more than 8 levels"),
    "mappings in mappings": ("ib: " + "{a: " * 50_000, "more than 8 levels"),
    "many values": (f"calendar: {{closed: [{'1, ' * 80_000}]}}", "more than 5,000 values"),
    "many keys": ("".join(f"k{number}: 1\n" for number in range(20_000)), "more than 5,000 values"),
    "many unknown keys": ("".join(f"key{number}:\n" for number in range(2000)), "and 1,960 more"),
    "size": ("# " + "x" * 300_000, "larger than 262,144 bytes"),
    "one long text": (f"ib: {{host: [{'x' * 200_000}]}}", "ib.host (line 1): ['xxxx"),
    "a list for a number": ("ib: {port: [4002]}", "ib.port (line 1): [4002] is not a whole number"),
    "a mapping for a number": ("ib: {port: {a: 1}}", "ib.port (line 1): {'a': 1} is not a whole number"),
    "a list for a path": ("storage: {database: [a]}", "storage.database (line 1): ['a'] is not a path"),
    "a mapping for a choice": ("trading: {mode: {paper: 1}}", "{'paper': 1} is not one of"),
    "a list in a list of dates": ("calendar: {closed: [[2026-01-02]]}", "is not a list of dates"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_grows_when_it_is_read_is_refused_in_one_line_and_at_once(tmp_path, bomb):
    text, told = BOMBS[bomb]
    began = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text + "\n"), {})
    assert told in str(caught.value), str(caught.value)[:500]
    assert len(str(caught.value)) < 6000
    assert time.process_time() - began < 2


NUMBERS = (
    *("1e-999999", "1e999999", "-1e999999", "1E+999999", "1e-19", "0e999999", "1.5e99999999999999999999"),
    *("9" * 100_000, "0." + "9" * 100_000, "1e" + "9" * 100_000, "-" + "1" * 65),
)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:24])
def test_a_number_that_no_setting_can_be_is_refused_wherever_it_stands_and_never_written_out(
    tmp_path, elsewhere, number
):
    """Unquoted, 1e-999999 would be 0, and written out it has a million digits."""
    for key in ("ib.port", "trading.min_entry_credit", "execution.order_timeout_seconds", "backup.keep_days"):
        section, _, name = key.partition(".")
        for text in (number, f'"{number}"'):
            said = complaint(written(tmp_path, f"{section}: {{{name}: {text}}}\n"))
            assert f"{key} (line 1)" in said
    for name in ("IB_PORT", "MAX_DAILY_LOSS", "MIN_ENTRY_CREDIT"):
        assert name in complaint(environ={name: number})
        (elsewhere / ".env").write_text(f"{name}={number}\n")
        assert name in complaint()
        (elsewhere / ".env").unlink()
