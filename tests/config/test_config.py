"""The configuration: where values come from, which one wins, and what is reported about bad ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spxarb.config.load import STORED_SECTIONS, Config, ledger_candidates, load, salvage
from spxarb.config.schema import SECTIONS, every_key, field_of
from spxarb.config.variables import ENVIRONMENT
from spxarb.errors import ConfigError, Exit
from tools.docs import configuration

ROOT = Path(__file__).parents[2]

CONTRACT = """
ib:        {host: 127.0.0.1, port: 4002, client_id: 1, account: null}
trading:
  mode: paper
  max_spreads_per_day: 2
  min_entry_credit: 400
  assignment_risk_threshold: 10
  entry_time: "09:35"
  entry_cutoff: "10:00"
  exit_check_time: "15:45"
  spy_contracts_per_spread: 10
  spx_contracts_per_spread: 1
  min_ratio: 9.95
  max_ratio: 10.05
  max_spx_spread: 0.50
  max_spy_spread: 0.05
  max_strike_distance_spx: 2.5
  max_strike_distance_spy: 0.5
risk_management:
  max_daily_loss: 1000
  max_position_loss: 500
  emergency_exit_enabled: true
execution:
  order_timeout_seconds: 30
  max_retry_attempts: 3
  use_limit_orders: true
dashboard: {host: 127.0.0.1, port: 5000, refresh_interval_seconds: 5, show_greeks: true, show_pnl_chart: true}
logging:   {level: INFO, console: true, file: true, path: null}
storage:   {database: null}
notifications: {email_enabled: false, email_address: null}
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working folder and home, so that no file of the machine is found."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return folder


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "settings.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def complaint(path: Path | None = None, environ=None, overrides=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {}, overrides)
    said = str(caught.value)
    assert caught.value.exit_code == Exit.CONFIG
    assert "\n" not in said
    return said


# --- defaults and precedence ----------------------------------------------------------------------


def test_without_any_file_the_defaults_are_the_contracts_and_trade_on_paper():
    config = load(environ={})
    assert config.trading.mode == "paper"
    for section, keys in yaml.safe_load(CONTRACT).items():
        dumped = config.model_dump(mode="json")[section]
        assert {key: dumped[key] for key in keys} == keys


def test_the_contracts_own_example_is_accepted_and_changes_nothing(file):
    assert load(file(CONTRACT), {}).model_dump() == Config().model_dump()


def test_money_is_decimal_and_reads_as_it_was_written(file):
    config = load(file("trading: {max_spx_spread: 0.10, min_entry_credit: 17.35}"), {})
    assert config.trading.max_spx_spread == Decimal("0.1")
    assert config.trading.min_entry_credit == Decimal("17.35")


def test_an_option_beats_the_environment_beats_dotenv_beats_the_file_beats_the_default(file, tmp_path):
    path = file("ib: {port: 1, host: a, client_id: 11}\ndashboard: {port: 6000}")
    assert load(path, {}).ib.port == 1
    (tmp_path / ".env").write_text("IB_PORT=2\nIB_HOST=b\n")
    assert load(path, {}).ib.port == 2
    assert load(path, {"IB_PORT": "3"}).ib.port == 3
    config = load(path, {"IB_PORT": "3"}, {"ib.port": 4, "ib.host": None})
    assert (config.ib.port, config.ib.host, config.ib.client_id, config.dashboard.port) == (4, "b", 11, 6000)


def test_dotenv_stands_beside_the_file_else_in_the_working_folder_where_nobody_named_the_file(
    file, tmp_path, elsewhere
):
    path = file("{}")
    (elsewhere / ".env").write_text("IB_PORT=5\n")
    assert load(path, {}).ib.port == load(None, {"SPXARB_CONFIG": str(path)}).ib.port == 4002
    (tmp_path / ".env").write_text("IB_PORT=6\n")
    assert load(path, {}).ib.port == load(None, {"SPXARB_CONFIG": str(path)}).ib.port == 6
    assert load(None, {}).ib.port == 5
    user = tmp_path / "home/.config/spxarb"
    user.mkdir(parents=True)
    (user / "config.yaml").write_text("ib: {client_id: 9}")
    found = load(environ={}).ib
    assert (found.port, found.client_id) == (5, 9), "a file in a default place was named by nobody"
    (user / ".env").write_text("IB_PORT=7\n")
    assert load(environ={}).ib.port == 7


def test_the_file_is_sought_here_then_in_the_users_folder(elsewhere, tmp_path):
    user = tmp_path / "home/.config/spxarb"
    user.mkdir(parents=True)
    (user / "config.yaml").write_text("ib: {port: 22}")
    assert load(environ={}).ib.port == 22
    (elsewhere / "config.yaml").write_text("ib: {port: 11}")
    assert load(environ={}).ib.port == 11


def test_the_option_for_the_file_beats_the_variable_for_it(file):
    one, two = file("ib: {port: 1}", "one.yaml"), file("ib: {port: 2}", "two.yaml")
    assert load(None, {"SPXARB_CONFIG": str(two)}).ib.port == 2
    assert load(one, {"SPXARB_CONFIG": str(two)}).ib.port == 1


def test_dotenv_in_the_working_folder_may_name_the_file(file, elsewhere):
    (elsewhere / ".env").write_text(f"SPXARB_CONFIG={file('ib: {port: 3}')}\n")
    assert load(environ={}).ib.port == 3
    assert load(environ={"SPXARB_CONFIG": str(file("ib: {port: 4}", "b.yaml"))}).ib.port == 4


def test_a_file_that_may_not_be_looked_at_is_told_and_not_passed_over(elsewhere):
    (elsewhere / "config.yaml").symlink_to("config.yaml")
    assert "config.yaml cannot be read: Too many levels of symbolic links" in complaint()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("IB_HOST", "gw", "gw"),
        ("IB_PORT", " 7497 ", 7497),
        ("IB_CLIENT_ID", "9", 9),
        ("IB_ACCOUNT", "DU123", "DU123"),
        ("TRADING_MODE", "sim", "sim"),
        ("MAX_SPREADS_PER_DAY", "1", 1),
        ("MIN_ENTRY_CREDIT", "412.50", Decimal("412.5")),
        ("MAX_DAILY_LOSS", "750", Decimal(750)),
        ("DASHBOARD_HOST", "::1", "::1"),
        ("DASHBOARD_PORT", "8080", 8080),
        ("EMAIL_ENABLED", "no", False),
        ("EMAIL_ADDRESS", "me@example.com", "me@example.com"),
        ("SPXARB_DATABASE", "/var/ledger.db", Path("/var/ledger.db")),
    ],
)
def test_every_environment_variable_reaches_its_key(name, text, value):
    config = load(environ={name: text})
    section, _, key = ENVIRONMENT[name][0].partition(".")
    assert getattr(getattr(config, section), key) == value


def test_every_variable_of_the_contract_is_known():
    promised = (
        "IB_HOST IB_PORT IB_CLIENT_ID IB_ACCOUNT TRADING_MODE MAX_SPREADS_PER_DAY MIN_ENTRY_CREDIT "
        "MAX_DAILY_LOSS DASHBOARD_HOST DASHBOARD_PORT EMAIL_ENABLED EMAIL_ADDRESS SPXARB_DATABASE"
    )
    assert {*promised.split(), "SPXARB_PING_URL"} == set(ENVIRONMENT)


@pytest.mark.parametrize(
    "address", ["ftp://host/SECRETkey", "http://me:SECRETkey@host/", "SECRETkey", "http:///SECRETkey"]
)
def test_an_address_of_pings_is_shown_as_scheme_and_host_alone_also_where_it_is_wrong(address):
    good = load(environ={"SPXARB_PING_URL": "https://hc-ping.com/SECRETkey/{command}"})
    assert good.ping.url_of("enter") == "https://hc-ping.com/SECRETkey/enter"
    assert good.ping.url_of("status") is None
    assert good.model_dump(mode="json")["ping"]["url"] == "https://hc-ping.com/***"
    with pytest.raises(ConfigError, match="is not an http or https address") as caught:
        load(environ={"SPXARB_PING_URL": address})
    assert "SECRET" not in f"{caught.value}{good!r}"


def test_an_empty_variable_counts_as_not_set(file):
    assert load(file("ib: {port: 7}"), {"IB_PORT": "", "IB_ACCOUNT": "  "}).ib.port == 7


def test_dotenv_understands_export_quotes_and_remarks(elsewhere):
    (elsewhere / ".env").write_text(
        "# remark\n\nexport IB_PORT=7 # trailing\nIB_HOST='a # b'\nIB_ACCOUNT=\"DU1\"\nOTHER_PROGRAM=x\n"
    )
    config = load(environ={})
    assert (config.ib.port, config.ib.host, config.ib.account) == (7, "a # b", "DU1")


# --- what YAML would get wrong ----------------------------------------------------------------------


def test_a_time_without_quotes_stays_a_time(file):
    config = load(file("trading: {entry_time: 9:40, entry_cutoff: 11:00, exit_check_time: 15:30:30}"), {})
    times = config.trading
    assert (times.entry_time, times.entry_cutoff, times.exit_check_time) == (
        time(9, 40),
        time(11),
        time(15, 30, 30),
    )


def test_a_leading_zero_does_not_turn_a_number_octal(file):
    assert load(file("ib: {port: 04002}"), {}).ib.port == 4002


def test_dates_are_read_with_and_without_quotes(file):
    config = load(file("calendar: {closed: [2026-12-01, '2026-12-02']}"), {})
    assert config.calendar.closed == (date(2026, 12, 1), date(2026, 12, 2))


def test_an_empty_section_is_no_problem(file):
    assert load(file("trading:\nib:\n"), {}).model_dump() == Config().model_dump()


@pytest.mark.parametrize("text", ["", "\n \n", "# all gone\n", "---\n", "null\n", "~", "--- # a\n...\n"])
def test_a_named_file_without_a_setting_is_a_problem_and_one_that_was_found_is_hollow(file, elsewhere, text):
    assert "it holds no setting" in complaint(file(text))
    assert "it holds no setting" in complaint(None, {"SPXARB_CONFIG": str(file(text))})
    (elsewhere / "config.yaml").write_text(text)
    found = load(None, {})
    assert (found.hollow, found.model_dump()) == (True, Config().model_dump())


# --- problems -------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_path_line_value_and_expectation(file):
    said = complaint(
        file("ib: {port: 70000}\ntrading:\n  mode: papr\n  max_ration: 10\nlogging: {console: 3}\n"),
        {"IB_CLIENT_ID": "one", "EMAIL_ENABLED": "perhaps"},
    )
    assert "ib.port (line 1): 70000 is not a whole number from 1 to 65535" in said
    assert "trading.mode (line 3): 'papr' is not one of paper, live, sim (did you mean paper?)" in said
    assert "trading.max_ration (line 4): no such key (did you mean trading.max_ratio?)" in said
    assert "logging.console (line 5): 3 is not true or false" in said
    assert "IB_CLIENT_ID (ib.client_id): 'one' is not a whole number" in said
    assert "EMAIL_ENABLED (notifications.email_enabled): 'perhaps' is not true or false" in said


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "trading: {max_daily_loss: 5}",
            "trading.max_daily_loss (line 1): no such key (did you mean risk_management.max_daily_loss?)",
        ),
        ("min_ratio: 5", "min_ratio (line 1): no such section (did you mean trading.min_ratio?)"),
        ("tradng: {mode: sim}", "tradng (line 1): no such section (did you mean trading?)"),
        ("risk_management: {zzz: 1}", "risk_management.zzz (line 1): no such key;"),
        ("ib: {pot: 1}", "ib.pot (line 1): no such key (did you mean ib.port?)"),
    ],
)
def test_an_unknown_key_is_told_with_its_near_miss(file, text, hint):
    assert hint in complaint(file(text + "\n"), {"IB_PORT": "x"})


@pytest.mark.parametrize(
    "text",
    [
        'ib: {port: "4002"}',
        "ib: {port: true}",
        "ib: {port: 4002.0}",
        "ib: {port: null}",
        "ib: {host: 1}",
        "ib: {account: 12345}",
        "ib: {port: [1]}",
        "trading: {max_spreads_per_day: -1}",
        "trading: {max_spreads_per_day: 1.5}",
        "trading: {min_entry_credit: .nan}",
        "trading: {max_spx_spread: -.inf}",
        "trading: {max_spx_spread: '0.5'}",
        "trading: {entry_time: 935}",
        "trading: {entry_time: 25:00}",
        "trading: {entry_time: '09:35+01:00'}",
        "execution: {order_timeout_seconds: 0}",
        "execution: {order_timeout_seconds: true}",
        "execution: {use_limit_orders: 'yes'}",
        "logging: {level: LOUD}",
        "logging: {path: ''}",
        "calendar: {closed: 2026-12-01}",
        "calendar: {closed: [tomorrow]}",
        "calendar: {closed: [2026-12-01 10:00:00]}",
    ],
)
def test_a_wrong_type_or_range_names_its_key_and_never_becomes_something_else(file, text):
    key = re.sub(r": \{(\w+):.*", r".\1", text)
    assert f"{key} (line 1): " in complaint(file(text))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("trading: {min_ratio: 10.05}", "trading.min_ratio 10.05 must be below trading.max_ratio 10.05"),
        (
            "trading: {entry_time: 10:00}",
            "trading.entry_time 10:00 must be before trading.entry_cutoff 10:00",
        ),
        (
            "trading: {entry_cutoff: 15:45}",
            "trading.entry_cutoff 15:45 must be before trading.exit_check_time 15:45",
        ),
        (
            "trading: {entry_time: 09:29}",
            "trading.entry_time 09:29 must not be before the market opens at 09:30",
        ),
        (
            "trading: {exit_check_time: 16:00}",
            "trading.exit_check_time 16:00 must be before the market closes",
        ),
        (
            "trading: {spy_contracts_per_spread: 11}",
            "trading.spy_contracts_per_spread 11 must be at most 10 x",
        ),
        ("trading: {mode: live}", "ib.account must name the account when trading.mode is live"),
        (
            "notifications: {email_enabled: true}",
            "notifications.email_address (or SPXARB_NOTIFY_URL) must be set",
        ),
        ("calendar: {closed: [2026-12-01], early_close: [2026-12-01]}", "2026-12-01 cannot be both"),
    ],
)
def test_values_that_contradict_each_other_are_refused(file, text, part):
    assert part in complaint(file(text))


def test_live_with_an_account_and_loopback_names_are_accepted(file):
    path = file("trading: {mode: live}\nib: {account: U123}\ndashboard: {host: localhost}")
    assert load(path, {}).ib.account == "U123"


def test_a_rule_about_a_bad_value_is_not_told_as_well(file):
    said = complaint(file("trading: {min_ratio: high, max_ratio: 5}"))
    assert "trading.min_ratio (line 1): 'high'" in said
    assert "must be below" not in said


def test_a_bad_value_is_told_even_where_the_environment_overrides_it(file):
    assert "ib.port (line 1)" in complaint(file("ib: {port: x}"), {"IB_PORT": "4002"})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ib: {port: 1}\nib: {port: 2}", "ib is set twice (lines 1 and 2): keep one"),
        ("ib:\n  port: 1\n  port: 2", "ib.port is set twice (lines 2 and 3): keep one"),
        ("[1, 2]", "line 1: expected sections such as `trading:`, not a list"),
        ("hello", "expected sections such as `trading:`, not a single value"),
        ("ib: [1]", "ib (line 1): [1] is not a section"),
        ("ib: {port: 1", "not valid YAML"),
        ("ib:\n\tport: 1", "line 2: not valid YAML"),
        ("ib: !!python/object:os.system {}", "not valid YAML"),
        ("a: &a [*a]\n? [b]\n: 1", "not valid YAML"),
        ("[" * 2000, "line 1: not valid YAML, more than 8 levels"),
        ("--- {}\n--- {}", "not valid YAML"),
        ("ib: {port: \x00}", "not valid YAML"),
    ],
)
def test_a_file_of_the_wrong_shape_is_explained(file, text, part):
    assert part in complaint(file(text))


def test_a_huge_value_is_shown_short(file):
    assert len(complaint(file(f"ib: {{port: {'x' * 100_000}}}"))) < 400


def test_a_missing_file_is_told_with_who_named_it(tmp_path):
    gone = tmp_path / "gone.yaml"
    assert f"{gone} does not exist (--config names it)" in complaint(gone)
    assert f"{gone} does not exist (SPXARB_CONFIG names it)" in complaint(None, {"SPXARB_CONFIG": str(gone)})


def test_a_folder_and_binary_rubbish_are_no_configuration(tmp_path):
    assert "cannot be read" in complaint(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\xff\x80\x81")
    assert "not valid YAML" in complaint(tmp_path / "b.yaml")


def test_a_bad_line_in_dotenv_is_told(elsewhere):
    (elsewhere / ".env").write_text("IB_PORT 7\n")
    assert ".env line 1: expected KEY=value" in complaint()
    (elsewhere / ".env").write_text("IB_PORT=seven\n")
    assert "IB_PORT in .env (ib.port): 'seven' is not a whole number" in complaint()


KEYS = sorted({key.partition(".")[2] for key in every_key()} | {"zzz"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "x", "9:35", "paper", "\n", "\x07"])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.integers(), SCALARS, max_size=2)
SECTIONS = st.sampled_from([*SECTIONS, "zzz"])


@given(
    st.dictionaries(SECTIONS, VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), max_size=4)
)
def test_whatever_the_file_holds_the_answer_is_a_configuration_or_one_line(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    said = ""
    try:
        load(path, {})
    except ConfigError as error:
        said = str(error)
    assert said.isprintable()


# --- a broken configuration does not strand a position ------------------------------------------------


def test_limits_survive_json_and_come_back_as_they_were(file):
    path = file(CONTRACT.replace("9.95", "9.9501").replace("max_daily_loss: 1000", "max_daily_loss: 999.99"))
    config = load(path, {"IB_PORT": "7777", "IB_ACCOUNT": "DU1"})
    stored = json.loads(json.dumps(config.limits()))
    back = Config.from_limits(stored)
    assert back.limits() == config.limits()
    assert (back.ib, back.trading, back.risk_management, back.execution) == (
        config.ib,
        config.trading,
        config.risk_management,
        config.execution,
    )
    assert set(stored) == {"ib", "trading", "risk_management", "execution", "prices"}


def test_what_is_stored_of_a_section_is_what_the_library_would_dump(file):
    keys = "{min_entry_credit: 1e3, min_ratio: 9.9500, entry_cutoff: '09:59:30', blackout_file: dates.txt}"
    for config in (load(file("{}"), {}), load(file(f"trading: {keys}\nib: {{account: U1234567}}\n"), {})):
        stored = {name: getattr(config, name).model_dump(mode="json") for name in STORED_SECTIONS}
        assert config.limits() == stored


def test_the_rest_of_restored_limits_comes_from_what_was_left_of_the_configuration(file):
    path = file("storage: {database: /x/l.db}\ntrading: {mode: nonsense}\n")
    salvaged = salvage(path, {})
    back = Config.from_limits(load(environ={"TRADING_MODE": "sim"}).limits(), salvaged)
    assert back.trading.mode == "sim"
    assert back.database_path() == Path("/x/l.db")


def test_stored_limits_that_make_no_sense_are_told():
    with pytest.raises(ConfigError, match=r"stored with the trade cannot be used: trading\.min_ratio: 'x'"):
        Config.from_limits({"trading": {"min_ratio": "x"}})


def test_salvage_keeps_each_good_key_of_a_bad_file(file):
    salvaged = salvage(
        file("trading: {mode: sim, min_ratio: x}\nib: {port: 9, hots: y}\n"), {"IB_CLIENT_ID": "z"}
    )
    assert (salvaged.trading.mode, salvaged.ib.port) == ("sim", 9)
    assert (salvaged.trading.min_ratio, salvaged.ib.client_id) == (Decimal("9.95"), 1)


def test_with_a_broken_mode_the_ledgers_of_all_modes_are_candidates(file):
    path = file("trading: {mode: lvie}")
    found = ledger_candidates(path, {"STATE_DIRECTORY": "/s"})
    assert found == tuple(Path(f"/s/{mode}/trading.db") for mode in ("paper", "live", "sim"))
    assert ledger_candidates(path, {"SPXARB_DATABASE": "/d.db"}) == (Path("/d.db"),)


# --- where the ledger and the log are ------------------------------------------------------------------


def test_the_ledger_lies_in_the_modes_folder_under_the_state_folder(tmp_path):
    assert load(environ={"STATE_DIRECTORY": "/s:/t"}).database_path() == Path("/s/paper/trading.db")
    sim = load(environ={"TRADING_MODE": "sim"})
    assert sim.database_path() == tmp_path / "home/.local/state/spxarb/sim/trading.db"
    assert sim.log_path() == tmp_path / "home/.local/state/spxarb/sim/trading.log"


def test_a_named_ledger_wins_and_the_log_lies_beside_it(file):
    config = load(file("storage: {database: /d/mine.db}"), {"STATE_DIRECTORY": "/s"})
    assert config.database_path() == Path("/d/mine.db")
    assert config.log_path() == Path("/d/trading.log")
    assert load(environ={}, overrides={"logging.path": "/l/x.log"}).log_path() == Path("/l/x.log")


def test_a_relative_path_in_the_file_counts_from_the_files_folder(file, tmp_path):
    assert load(file("storage: {database: sub/l.db}"), {}).database_path() == tmp_path / "sub/l.db"
    assert load(file("storage: {database: ~/l.db}"), {}).database_path() == tmp_path / "home/l.db"


# --- what a Config is ---------------------------------------------------------------------------------


def test_a_configuration_cannot_be_changed():
    config = Config()
    for target, name in ((config, "ib"), (config.ib, "port")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(target, name, 1)


def test_the_secret_address_for_alerts_is_never_shown():
    config = load(environ={"SPXARB_NOTIFY_URL": "mailtos://me:swordfish@x.org", "EMAIL_ENABLED": "true"})
    assert config.notify_url is not None
    assert (
        "swordfish"
        not in f"{config!r} {config} {config.model_dump()} {config.limits()} {config.model_dump_json()}"
    )


def test_an_option_for_a_key_that_does_not_exist_is_a_bug():
    with pytest.raises(KeyError):
        load(environ={}, overrides={"ib.prot": 1})


def test_the_import_brings_no_library_that_it_does_not_need():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, spxarb.config.load; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {
        "platformdirs",
        "holidays",
        "apprise",
        "rich",
        "ib_insync",
        "sqlite_utils",
        "asyncio",
    }


# --- documents ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.example.yaml", configuration.example),
        ("env.example", configuration.env_example),
        ("docs/configuration.md", configuration.table),
    ],
)
def test_the_documents_are_what_the_schema_says(name, text):
    if os.environ.get("UPDATE_DOCS"):
        configuration.write(ROOT)
    assert (ROOT / name).read_text(encoding="utf-8") == text(), "run: python -m tools.docs.configuration"


def test_every_key_is_documented_with_a_sentence():
    table = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for key in every_key():
        assert (field_of(key).description or "").endswith("."), key
        assert f"| `{key}` |" in table, key
    for name in ENVIRONMENT:
        assert f"`{name}`" in table, name


def test_the_example_is_a_valid_configuration_equal_to_the_defaults():
    example = ROOT / "config.example.yaml"
    assert load(example, {}).model_dump() == Config().model_dump()
    given = yaml.safe_load(example.read_text(encoding="utf-8"))
    assert [f"{section}.{key}" for section, keys in given.items() for key in keys] == list(every_key())
