"""What of the configuration goes into a backup: no secret, whatever it is called and wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from spxarb.config.file import read_env_file
from spxarb.config.load import load, salvage
from spxarb.config.secrets import files_without_secrets

if TYPE_CHECKING:
    from pathlib import Path


def files_of(folder: Path, text: str, env: str | None = None) -> tuple[dict[str, str], list[str]]:
    (folder / "c.yaml").write_text(text)
    if env is not None:
        (folder / ".env").write_text(env)
    return files_without_secrets(salvage(folder / "c.yaml", {}))


def test_settings_come_back_as_they_were(tmp_path):
    text = 'trading: {entry_time: "09:40", min_entry_credit: 500.5}\ncalendar: {closed: [2026-01-09]}\n'
    files, left_out = files_of(tmp_path, text, 'MAX_DAILY_LOSS=900\nIB_ACCOUNT="DU 1 # x"\n')
    assert left_out == []
    (tmp_path / "again").mkdir()
    for name, content in files.items():
        (tmp_path / "again" / name).write_text(content)
    again = load(tmp_path / "again" / "config.yaml", {})
    before = load(tmp_path / "c.yaml", {})
    assert again.model_dump(exclude={"source"}) == before.model_dump(exclude={"source"})
    assert (again.ib.account, again.trading.entry_time.minute) == ("DU 1 # x", 40)


@pytest.mark.parametrize(
    "line",
    [
        "SPXARB_NOTIFY_URL=tgram://hunter2/1",
        "SPXARB_FLEX_TOKEN=hunter2",
        "export SMTP_PASSWORD='hunter2'",
        "ANYTHING_ELSE=hunter2",
        "# my password is hunter2",
        "IB_HOST=mailto://me:hunter2@example.org",
        "no line of a .env: hunter2",
    ],
)
def test_what_is_or_may_be_a_secret_in_the_env_file_is_left_out(tmp_path, line):
    files, left_out = files_of(tmp_path, "ib: {port: 4003}\n", f"MAX_DAILY_LOSS=900\n{line}\n")
    assert "hunter2" not in "".join(files.values())
    (tmp_path / "kept.env").write_text(files[".env"])
    kept = read_env_file(tmp_path / "kept.env")
    assert (kept.values, kept.problems) == ({"MAX_DAILY_LOSS": "900"}, [])
    assert bool(left_out) is not line.startswith("#")
    assert "hunter2" not in "".join(left_out)


@pytest.mark.parametrize(
    "text",
    [
        "notifications: {email_address: 'mailto://me:hunter2@example.org'}\n",
        "notifications:\n  smtp_password: hunter2\n",
        "notifications:\n  urls:\n    - tgram://hunter2/1\n",
        "hunter2: 1\nib: {port: 4003}\n",
        "# hunter2\nib: {port: 4003}\n",
        "anything: [hunter2]\n",
        "ib: {port: 4003\nhunter2: [\n",
    ],
)
def test_what_is_or_may_be_a_secret_in_the_yaml_file_is_left_out(tmp_path, text):
    files, left_out = files_of(tmp_path, text)
    assert "hunter2" not in "".join(files.values()).replace("hunter2 was left", "")
    assert yaml.safe_load(files.get("config.yaml", "a: 1")) is None or left_out or "#" in text


def test_the_value_of_a_secret_is_left_out_wherever_else_it_stands(tmp_path):
    env = "SPXARB_FLEX_TOKEN=abcdefgh\nSPXARB_FLEX_QUERY_ID=7\n"
    files, left_out = files_of(tmp_path, "ib: {host: abcdefgh}\n", env)
    assert "abcdefgh" not in "".join(files.values())
    assert left_out == ["ib.host", "SPXARB_FLEX_TOKEN (.env)"]
