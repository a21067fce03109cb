"""Configuration that others may have written is not read: exit 3, while exits go on with the stored limits."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, lonely, playing, settings
from harness import Done
from relay import free_port
from sink import listening_sink

from spxarb.config.load import ledger_candidates
from spxarb.config.trusted import Trust, read

if TYPE_CHECKING:
    from harness import Stage

STRANGER = 48_271
"""A user of whom this machine knows nothing."""
PLANTED = "logging: {path: planted.log}\nib: {port: 1}\n"


@pytest.fixture
def stage(tmp_path) -> Stage:
    return lonely(tmp_path, free_port())


def spxarb(stage: Stage, *words: str, cwd: Path | None = None, **options: Any) -> Done:
    """A command that names no configuration."""
    done = subprocess.run(
        [sys.executable, "-m", "spxarb", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        cwd=cwd or stage.folder,
        env=stage.environment(**options),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def give_away(path: Path) -> None:
    """Let it belong to a stranger, as what a stranger has planted does."""
    if os.geteuid() != 0:
        pytest.skip("LOUD: only root can give a file away, so a planted one cannot be staged here")
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


def assert_refused(done: Done, *words: str) -> None:
    assert done.code == 3, (done.code, done.err, done.out)
    assert done.err.count("\n") == 1, done.err
    for word in ("is not trusted, and was not read", *words):
        assert word in done.err, done.err


# --- what is planted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.yaml", ".env"])
@pytest.mark.parametrize(
    "how", ["a stranger's", "everybody's", "in a folder of all", "in a folder like /tmp"]
)
def test_what_may_be_planted_in_the_working_folder_is_refused_and_changes_nothing(stage, tmp_path, name, how):
    shared = tmp_path / "shared"
    shared.mkdir()
    text = PLANTED if name == "config.yaml" else f"SPXARB_DATABASE={shared}/planted.db\nIB_PORT=1\n"
    (shared / name).write_text(text)
    why = {
        "a stranger's": f"it belongs to user {STRANGER}",
        "everybody's": f"others may write it (mode 0666): `chmod go-w {shared / name}`",
        "in a folder of all": f"others may write the folder {shared} (mode 0775): `chmod go-w {shared}`",
        "in a folder like /tmp": f"others may make files in its folder {shared} (mode 1777)",
    }[how]
    if how == "a stranger's":
        give_away(shared / name)
    elif how == "everybody's":
        (shared / name).chmod(0o666)
    else:
        (shared / name).chmod(0o644)
        shared.chmod(0o1777 if "tmp" in how else 0o775)
    for words in (("status", "--offline"), ("enter",), ("close-all", "--yes")):
        assert_refused(spxarb(stage, *words, cwd=shared), name, why)
    assert "is not trusted" in spxarb(stage, "doctor", cwd=shared).json["error"]
    assert [path.name for path in shared.iterdir()] == [name], "nothing was made at a place that it names"


def test_a_configuration_that_is_named_leaves_the_working_folders_env_unread(stage, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / ".env").write_text("IB_PORT=1\nIB_PROT=2\n")
    shared.chmod(0o1777)
    for words, more in (
        (("--config", str(stage.config), "config"), {}),
        (("config",), {"SPXARB_CONFIG": str(stage.config)}),
    ):
        done = spxarb(stage, *words, cwd=shared, **more)
        assert (done.code, done["files"]["env"]) == (0, None), done.err
    (stage.folder / ".env").write_text("IB_PORT=3\n")
    (stage.folder / ".env").chmod(0o600)
    done = spxarb(stage, "--config", str(stage.config), "config", cwd=shared)
    assert (done.code, done["files"]["env"]) == (0, str(stage.folder / ".env"))


@pytest.mark.parametrize("name", ["config.yaml", ".env"])
def test_a_pipe_in_the_working_folder_keeps_nobody_waiting(stage, tmp_path, name):
    folder = tmp_path / "here"
    folder.mkdir()
    os.mkfifo(folder / name)
    done = spxarb(stage, "close-all", "--yes", cwd=folder)
    assert done.code == 3, done.err
    assert "it is not a regular file" in done.err


def test_a_file_of_the_kernels_that_would_be_waited_for_keeps_nobody_waiting():
    kernel = Path("/proc/kmsg")
    if not os.access(kernel, os.R_OK):
        pytest.skip("NOT TESTED: no such file of the kernel's can be read here")
    try:
        read(kernel, Trust.ANYBODY)
    except OSError as error:
        assert error.strerror  # noqa: PT017 -- a kernel with something to tell is read


# --- what is named --------------------------------------------------------------------------------------


def test_a_named_file_is_read_where_nobody_else_may_write_it_or_put_another_in_its_place(stage, tmp_path):
    folders = tmp_path / "a/b"
    folders.mkdir(parents=True)
    file = folders / "mine.yaml"
    file.write_text("ib: {client_id: 77}\n")

    def told() -> Done:
        return spxarb(stage, "--config", str(file), "config")

    for mode in (0o600, 0o640, 0o644, 0o444):
        file.chmod(mode)
        assert told().code == 0
    for mode in (0o620, 0o602, 0o664, 0o666):
        file.chmod(mode)
        assert_refused(told(), f"others may write it (mode {mode:04o}): `chmod go-w {file}`")
    file.chmod(0o600)
    for folder in (folders, tmp_path / "a"):
        for mode, sound in ((0o755, True), (0o1777, True), (0o775, False), (0o757, False)):
            folder.chmod(mode)
            done = told()
            assert (done.code == 0) == sound, (oct(mode), done.err)
            if not sound:
                assert_refused(done, f"others may write the folder {folder}", f"`chmod go-w {folder}`")
        folder.chmod(0o755)


def test_a_link_is_as_good_as_the_folders_on_its_way(stage, tmp_path):
    """/etc is full of links; one that others can turn is theirs."""
    for name in ("links", "target", "open"):
        (tmp_path / name).mkdir()
    (tmp_path / "target/real.yaml").write_text("ib: {client_id: 77}\n")
    good, turned = tmp_path / "links/config.yaml", tmp_path / "open/config.yaml"
    good.symlink_to("../target/real.yaml")
    turned.symlink_to(good)
    assert spxarb(stage, "--config", str(turned), "config").code == 0
    (tmp_path / "open").chmod(0o777)
    assert_refused(spxarb(stage, "--config", str(turned), "config"), f"the folder {tmp_path / 'open'}")
    assert spxarb(stage, "--config", str(good), "config").code == 0
    (tmp_path / "target").chmod(0o777)
    assert_refused(spxarb(stage, "--config", str(good), "config"), f"the folder {tmp_path / 'target'}")
    (tmp_path / "target").chmod(0o755)
    (tmp_path / "open").chmod(0o1777)
    give_away(turned)
    assert_refused(spxarb(stage, "--config", str(turned), "config"), f"the link {turned} belongs to user")


def test_a_strangers_folder_or_file_is_refused_by_name_too(stage, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "c.yaml").write_text("ib: {client_id: 77}\n")
    give_away(folder / "c.yaml")
    done = spxarb(stage, "--config", str(folder / "c.yaml"), "config")  # root reads nothing of another user
    assert (done.code in {3, 5}, f"belongs to user {STRANGER}" in done.err) == (True, True), done.err
    os.chown(folder / "c.yaml", 0, 0)
    give_away(folder)
    done = spxarb(stage, "monitor", SPXARB_CONFIG=str(folder / "c.yaml"))
    assert_refused(done, f"the folder {folder} belongs to user {STRANGER}")


def test_the_blackout_file_too_is_read_only_where_nobody_else_may_write_it(stage):
    dates = stage.folder / "dates.csv"
    dates.write_text("2035-01-03,a holiday of ours\n")
    stage.write_config(trading={"mode": "paper", "blackout_file": "dates.csv"})
    assert stage.run("stop").code == 0  # it makes the ledger
    assert "dates.csv" not in stage.run("doctor").out
    dates.chmod(0o666)
    assert "dates.csv cannot be read (others may write it (mode 0666)" in stage.run("doctor").out


@pytest.mark.parametrize(
    "words", [("doctor", "--facts"), ("reconcile", "--statement"), ("restore", "--check")], ids=" ".join
)
def test_a_pipe_named_on_the_command_line_keeps_nobody_waiting(stage, words):
    os.mkfifo(stage.folder / "pipe")
    done = stage.run(*words, str(stage.folder / "pipe"), timeout=20)
    assert done.code == 2, done.err
    assert "pipe" in done.err


# --- exits ------------------------------------------------------------------------------------------------


def _everybody_writes_it(stage: Stage) -> None:
    stage.config.chmod(0o666)


def _everybody_writes_the_env(stage: Stage) -> None:
    (stage.folder / ".env").write_text(f"SPXARB_DATABASE={stage.database}\n")
    (stage.folder / ".env").chmod(0o622)


def _a_pipe(stage: Stage) -> None:
    stage.config.unlink()
    os.mkfifo(stage.config)


def _a_bomb(stage: Stage) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    stage.config.write_text(stage.config.read_text() + "\n".join(lines) + "\n")


def _too_large(stage: Stage) -> None:
    stage.config.write_text(stage.config.read_text() + "# remark\n" * 40_000)


def _a_folder_of_all(stage: Stage) -> None:
    stage.folder.chmod(0o777)


TROUBLE = {
    "written by all": (_everybody_writes_it, "was not read"),
    "its .env written by all": (_everybody_writes_the_env, "was not read"),
    "in a folder of all, its ledger too": (_a_folder_of_all, "others may write the folder"),
    "a pipe": (_a_pipe, "it is not a regular file"),
    "a bomb": (_a_bomb, "anchors (&) and aliases (*) are refused"),
    "too large": (_too_large, "it is larger than 262,144 bytes"),
}


def limited_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_an_exit_goes_on_with_the_stored_limits_whatever_is_refused(tmp_path, trouble, verb):
    """And is told once: the ledger beside the file is ours, whatever the file would say of it."""
    make, why = TROUBLE[trouble]
    with playing(tmp_path) as stage, listening_sink() as sink:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        stage.at("15:46")
        make(stage)
        words = ["close-all", "--yes"] if verb == "close-all" else [verb]
        done = stage.run(*words, env=sink.variables, timeout=60)
        assert done.code == 3, (done.err, done.out)
        assert why in done.err, done.err
        assert stage.positions() == {}
        assert [position["action"] for position in done["positions"]] == ["closed"]
        assert len(sink.alerts) == 1, sink.alerts


def test_a_ledger_that_others_can_have_written_closes_nothing_beside_a_refused_file_and_a_human_is_told(
    tmp_path,
):
    with playing(tmp_path) as stage, listening_sink() as sink:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        stage.at("15:46")
        stage.config.chmod(0o666)
        stage.database.chmod(0o666)
        for number, verb in enumerate((("monitor",), ("close-all", "--yes")), start=1):
            done = stage.run(*verb, env=sink.variables)
            assert (done.code, len(stage.positions()), len(sink.alerts)) == (6, 2, number), done.err
            assert "trade 1 is open, may have been written by others: nothing was closed" in sink.alerts[-1]
            assert done.err.count("\n") == 1, done.err
        stage.database.chmod(0o600)
        assert stage.run("close-all", "--yes").code == 3
        assert stage.positions() == {}
        stage.database.chmod(0o666)
        assert stage.run("close-all", "--yes").code == 3, "nothing is open in it"


def test_an_exit_with_neither_configuration_nor_ledger_asks_the_account(tmp_path):
    """A ledger that is damaged beside a slip in the configuration is worse than either, and no less told."""
    with playing(tmp_path) as stage, listening_sink() as sink:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        stage.at("15:46")
        text = stage.config.read_text()
        stage.config.write_text(f"{text}ibb: {{}}\n")
        ledger = stage.database.read_bytes()
        stage.database.write_bytes(bytes(5000))
        done = stage.run("monitor", env=sink.variables)
        assert (done.code, len(sink.alerts)) == (6, 1), done.err
        for words in ("ibb", "is damaged", "the account shows what may be ours: +1 SPXW"):
            assert words in sink.alerts[0], sink.alerts
        stage.database.unlink()
        os.mkfifo(stage.database)
        done = stage.run("close-all", "--yes", env=sink.variables, timeout=30)
        assert (done.code, len(sink.alerts)) == (6, 2), done.err
        stage.database.unlink()
        stage.database.write_bytes(ledger)
        assert stage.run("monitor").code == 3
        assert stage.positions() == {}


def test_the_ledger_of_a_source_that_is_trusted_comes_before_that_of_a_refused_file(tmp_path, monkeypatch):
    """A planted file leads away from no ledger that the environment names."""
    monkeypatch.chdir(tmp_path)
    for name in ("own.db", "decoy.db"):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "config.yaml").write_text("storage: {database: decoy.db}\n")
    (tmp_path / "config.yaml").chmod(0o666)
    found = ledger_candidates(tmp_path / "config.yaml", {"SPXARB_DATABASE": str(tmp_path / "own.db")})
    assert found == (tmp_path / "own.db", tmp_path / "decoy.db")
