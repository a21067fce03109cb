"""Independent clients, each in an environment of its own, hold one conversation with the simulated gateway."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spxarb.sim.control import RunningSim

pytest.register_assert_rewrite("conversation.script")
from conversation import script  # noqa: E402 -- after the rewriting of its asserts is asked for

ROOT = Path(__file__).parents[2]
DRIVERS = Path(script.__file__).parent
CLIENTS = {
    "ib_insync": (Path(sys.prefix), ["with_ib.py", "ib_insync"], 176),
    "ib_async": (ROOT / ".venv-ib_async", ["with_ib.py", "ib_async"], 176),
    "ibapi of 2020": (ROOT / ".venv-ibapi-2020", ["with_ibapi.py", "157"], 157),
    "ibapi": (ROOT / ".venv-ibapi", ["with_ibapi.py", "226"], 176),
    **{
        f"ibapi held to {version}": (ROOT / ".venv-ibapi", ["with_ibapi.py", str(version)], version)
        for version in (159, 160, 162, 163, 164, 166, 169, 170, 174)
    },
}
"""Environment, driver with its words, and the version that must be agreed on: each side of every gate."""


class Talk:
    """A client in its own process: ``talk.NAME(..)`` has it do NAME and gives what it answers."""

    def __init__(self, process, version):
        self._process = process
        self.version = version

    def __getattr__(self, name):
        def ask(*words):
            self._process.stdin.write(json.dumps({"do": name, "with": words}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            if not line:
                pytest.fail(f"{name}{words}: {self._process.communicate()[1][-3000:]}")
            return json.loads(line)

        return ask


@pytest.fixture
def talk(request):
    home, words, version = CLIENTS[request.param]
    python = home / "bin" / "python"
    if not python.exists():
        pytest.skip(
            f"NOT PROVEN: no environment {home.name}; `make clients` builds it from the package index"
        )
    command = [python, DRIVERS / words[0], *words[1:]]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield Talk(process, version)
        process.kill()


@pytest.mark.parametrize("talk", CLIENTS, indirect=True)
def test_every_client_understands_every_message_of_the_conversation(talk):
    with RunningSim(date=script.DAY, at=script.AT, speed=0) as sim:
        script.converse(talk, sim)
