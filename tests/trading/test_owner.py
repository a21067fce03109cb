"""Root that stays root: what it read to find the ledger's owner is what the command gets, once."""

from __future__ import annotations

import pytest

from spxarb.config.load import load, read, read_already
from spxarb.trading import owner


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A configuration of which all belongs to root, whoever runs the tests."""
    monkeypatch.setattr(owner, "_owner", lambda _: owner.ROOT)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"trading: {{mode: sim}}\nstorage: {{database: {tmp_path}/trading.db}}\nib: {{port: 4001}}\n"
    )
    path.chmod(0o600)
    return path


def test_the_command_reads_the_file_no_second_time_and_whatever_comes_after_does(file):
    assert owner.become_owner(file).told == ""
    file.write_text(file.read_text().replace("4001", "4002"))
    assert [load(file).ib.port, load(file).ib.port] == [4001, 4002]


def test_other_options_or_another_environment_are_read_for_themselves(file):
    owner.become_owner(file)
    file.write_text(file.read_text().replace("4001", "4002"))
    assert read(file, environ={"HOME": str(file.parent)}).config.ib.port == 4002
    owner.become_owner(file)
    assert load(file, overrides={"ib.port": 4003}).ib.port == 4003
    assert read_already == {}


def test_of_a_file_that_is_wrong_the_command_tells_what_root_has_read(file):
    file.write_text(file.read_text().replace("4001", "none"))
    owner.become_owner(file)
    assert "ib.port" in str(read(file).problems[0])
