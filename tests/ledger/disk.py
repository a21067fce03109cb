"""The ledger seen from outside: its files, other processes, other users, refusals."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest
from warm_starts import scripts

from spxarb.errors import Exit, RefusedError
from spxarb.ledger.ledger import Ledger

NOBODY = 65534


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def contents(path):
    """The file and its write-ahead log. The shared memory beside them holds no facts."""
    beside = sorted(path.parent.glob(f"{path.name}*"))
    return {file.name: file.read_bytes() for file in beside if not file.name.endswith("-shm")}


def refused(path, *words, mode="paper", read_only=False):
    """Opening is refused with exit code 5, in one line that names the file and says these words."""
    with pytest.raises(RefusedError) as caught:
        Ledger.open(path, mode=mode, read_only=read_only)
    line = str(caught.value)
    assert caught.value.exit_code is Exit.REFUSED
    assert "\n" not in line
    assert path.name in line
    assert caught.value.mend
    for word in words:
        assert word in line
    return line


def python(code, *arguments, cold=False, **options):
    """A process that runs this; `cold`: it is about what is imported."""
    if not cold:
        scripts.add(code)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@contextmanager
def running(code, *arguments, **options):
    """A real process, killed at the end if it still runs."""
    process = python(code, *arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def as_nobody():
    """As a user who owns nothing here. A user other than root is already bound by the file's rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
