"""A file is written whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from spxarb.cli.atomic import write_whole


def test_a_file_is_made_for_its_owner_alone(tmp_path):
    write_whole(tmp_path / "a.csv", "x\n")
    assert (tmp_path / "a.csv").read_text() == "x\n"
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o600


def test_what_cannot_be_encoded_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "half\ud800")
    assert file.read_text() == "old"
    assert [other.name for other in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("place", ["none/a.csv", "."])
def test_where_nothing_can_be_written_it_says_so(tmp_path, place):
    with pytest.raises(OSError):
        write_whole(tmp_path / place, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("old" * 1000)
    with file.open() as reader:
        write_whole(file, "new")
        assert reader.read() == "old" * 1000
    assert file.read_text() == "new"


def test_a_link_stays_a_link(tmp_path):
    file, link = tmp_path / "a.csv", tmp_path / "b.csv"
    file.write_text("old")
    link.symlink_to(file)
    write_whole(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_pipe_is_written_into_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_whole, args=(pipe, "through"))
    writer.start()
    assert pipe.read_text() == "through"
    writer.join(10)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
