"""`config`: every setting, its value and its place; nothing is made, and secrets are shown nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from actions import lonely
from harness import Done, read_object
from relay import free_port

from spxarb.config.load import Config, load
from spxarb.config.schema import every_key

if TYPE_CHECKING:
    from harness import Stage


@pytest.fixture
def stage(tmp_path) -> Stage:
    return lonely(tmp_path, free_port())


def row(done: Done, key: str) -> dict:
    (found,) = [row for row in done["settings"] if row["key"] == key]
    return found


def test_every_setting_is_shown_with_where_it_comes_from_and_no_secret_is(stage):
    stage.config.write_text("ib: {port: 4001}\ntrading:\n  max_ratio: 10.03\n")
    (stage.folder / ".env").write_text(
        "IB_PORT=4002\nIB_CLIENT_ID=7\nTWS_USERID=me\nSPXARB_FLEX_TOKEN=hush\n"
    )
    (stage.folder / ".env").chmod(0o600)
    environ = {"IB_PORT": "7497", "SPXARB_NOTIFY_URL": "mailtos://me:hush@example.com"}
    done = stage.run("config", env=environ)
    assert done.code == 0
    assert [row["key"] for row in done["settings"]][: len(every_key())] == list(every_key())
    env, config = str(stage.folder / ".env"), str(stage.config)
    assert row(done, "ib.port") == {
        "key": "ib.port",
        "value": 7497,
        "source": "environment",
        "place": "IB_PORT",
        "default": 4002,
        "overruled": [
            {"value": 4002, "source": "dotenv", "place": f"IB_PORT in {env}"},
            {"value": 4001, "source": "yaml", "place": f"{config} (line 1)"},
        ],
        "problem": None,
    }
    assert [row(done, "ib.client_id")[name] for name in ("value", "source")] == [7, "dotenv"]
    assert [row(done, "trading.max_ratio")[name] for name in ("value", "place")] == [
        10.03,
        f"{config} (line 3)",
    ]
    assert [row(done, "trading.min_ratio")[name] for name in ("value", "source")] == [9.95, "default"]
    assert (done["unknown"], done["files"]["env"]) == (["TWS_USERID"], env)
    secrets = [row(done, name)["value"] for name in ("SPXARB_NOTIFY_URL", "SPXARB_FLEX_TOKEN")]
    assert secrets == ["***", "***"]
    shown = stage.run("config", as_json=False, env=environ)
    assert "hush" not in done.out + shown.out
    assert "ib.port is 7497 by IB_PORT, which wins over 4002 in IB_PORT in" in " ".join(shown.out.split())
    assert sorted(path.name for path in stage.folder.iterdir()) == [".env", "config.yaml"]


def test_what_is_wrong_is_shown_with_its_setting_and_what_is_in_force_instead(stage):
    stage.config.write_text("ib: {port: 99999}\nstorage: {database: $HOME/x.db}\ndashboard: {port: no}\n")
    done = stage.run("config")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert row(done, "ib.port")["value"] == 4002
    assert "99999 is not a whole number" in row(done, "ib.port")["problem"]
    assert (len(done["problems"]), done["files"]["database"]) == (3, None)
    stage.config.write_text("dashboard: {port: no}\n")
    done = stage.run("config")
    assert (done.code, len(done["problems"]), row(done, "dashboard.port")["value"]) == (0, 1, 5000)


def test_the_examples_are_files_to_begin_with(stage):
    text = stage.run("config", "--example", as_json=False)
    stage.config.write_text(text.out)
    assert (text.code, text.err) == (0, "")
    assert load(stage.config, {}).model_dump() == Config().model_dump()
    assert [f"{name}.{key}" for name, keys in yaml.safe_load(text.out).items() for key in keys] == list(
        every_key()
    )
    env = stage.run("config", "--example", "--env", as_json=False)
    (stage.folder / ".env").write_text(env.out)
    assert "#IB_PORT=4002\n" in env.out
    assert load(stage.config, {}).model_dump() == Config().model_dump()
    (stage.folder / ".env").write_text(env.out.replace("#IB_PORT=4002", "IB_PORT=4001"))
    assert load(stage.config, {}).ib.port == 4001
    assert stage.run("config", "--example", "--env")["example"] == env.out
    assert stage.run("config", "--env").code == 2


@pytest.mark.parametrize("columns", ["80", "120", "0", "-1", "many", "1"])
def test_it_is_drawn_at_any_width(stage, columns):
    done = stage.run("config", as_json=False, env={"COLUMNS": columns})
    assert done.code == 0
    if columns in {"80", "120"}:
        assert max(map(len, done.out.splitlines())) <= int(columns)
        assert re.search(r"worst_case_within_daily_loss +true", done.out)


def test_an_open_stdout_is_not_needed(stage):
    command = " ".join(stage.command("config"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} >&-"],
        capture_output=True,
        text=True,
        check=False,
        env=stage.environment(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} 2>&-"],
        capture_output=True,
        text=True,
        check=False,
        env=stage.environment(),
    )
    assert (done.returncode, read_object(done.stdout)["command"]) == (0, "config")
    assert sys.executable in command
