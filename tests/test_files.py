"""The one opener: a regular file of ours, whole or not at all, or a clear no; nothing hangs, nothing else changes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from functools import partial

import pytest

from spxarb import files
from spxarb.files import open_to_write, write_whole


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


def refusal(action) -> str:
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.strerror or str(caught.value)


@pytest.mark.parametrize("opened", [open_to_write, lambda path: write_whole(path, "x")])
def test_no_link_is_followed_and_what_it_leads_to_stays(tmp_path, opened):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    victim.chmod(0o644)
    link.symlink_to(victim)
    assert "symbolic link" in refusal(lambda: opened(link))
    link.unlink()
    link.symlink_to(tmp_path / "nothing")
    assert "symbolic link" in refusal(lambda: opened(link))
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("opened", [open_to_write, lambda path: write_whole(path, "x")])
def test_a_pipe_is_refused_and_waits_for_nobody(tmp_path, opened):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(lambda: opened(pipe)) == "it is not a regular file"
    assert "a folder" in refusal(lambda: opened(tmp_path))


def test_a_file_that_has_another_name_is_refused_where_it_would_be_written_into(tmp_path):
    file = tmp_path / "a"
    file.write_text("precious")
    os.link(file, tmp_path / "b")
    assert "hard link" in refusal(lambda: open_to_write(file))
    write_whole(file, "new")
    assert (tmp_path / "b").read_text() == "precious", (
        "a file that is put in its place leaves the other alone"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can give a file away")
@pytest.mark.parametrize("opened", [open_to_write, lambda path: write_whole(path, "x")])
def test_a_file_of_another_user_is_refused_by_name(tmp_path, opened):
    file = tmp_path / "a"
    file.write_text("theirs")
    os.chown(file, 54321, 54321)
    assert refusal(lambda: opened(file)) == "it belongs to user 54321, not to root"
    assert file.read_text() == "theirs"


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can give a file away")
def test_what_a_library_has_opened_is_judged_by_what_is_open_and_not_by_its_name(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for file in (ours, theirs):
        file.write_text("")
    os.chown(theirs, 54321, 54321)
    for path, refused in ((ours, ""), (theirs, "a file of user 54321 was put in its place")):
        before = files.descriptors()
        with path.open("rb"):
            if refused:
                assert refusal(partial(files.check_opened, before)) == refused
            else:
                files.check_opened(before)
            files.check_opened(files.descriptors())


def test_an_allowed_device_is_written_into_and_keeps_its_mode():
    before = files.Path("/dev/null").stat().st_mode
    write_whole(files.Path("/dev/null"), "gone")
    assert files.Path("/dev/null").stat().st_mode == before
    assert "No space left" in refusal(lambda: write_whole(files.Path("/dev/full"), "x"))
    assert "not a regular file" in refusal(lambda: open_to_write(files.Path("/dev/null")))


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can make a device")
def test_any_other_device_is_refused(tmp_path):
    device = tmp_path / "device"
    try:
        os.mknod(device, 0o644 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("NOT TESTED: no device can be made here")
    assert files.open_stream(device) is None
    assert "not a regular file" in refusal(lambda: open_to_write(device))
    assert stat.S_IMODE(device.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_the_streams_of_the_process_are_written_into(name):
    program = (
        f"from pathlib import Path; from spxarb.files import write_whole; write_whole(Path({name!r}), 'x')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "x"


def test_a_database_is_not_replaced_by_a_text(tmp_path):
    file = tmp_path / "other.db"
    file.write_bytes(files.SQLITE + b"rows")
    assert refusal(lambda: write_whole(file, "x")) == "it is a database"
    assert file.read_bytes().endswith(b"rows")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", ""),
        ("09:35 § line\n".encode(), ""),
        (("x" * 4095 + "§").encode()[:4096], ""),
        (files.SQLITE, "it is a database"),
        (b"\x1f\x8b\x08", "it holds no text"),
        (b"\x7fELF\x02\x01", "it holds no text"),
        (b"line\x00\x00", "it holds no text"),
        (b"caf\xe9", "it holds no text"),
    ],
)
def test_what_holds_no_text_is_told_by_how_it_begins(head, why):
    assert files.not_text(head) == why


def test_missing_folders_are_made_for_their_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        files.make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700] * 2
    (tmp_path / "file").write_text("")
    refusal(lambda: files.make_folder(tmp_path / "file"))
