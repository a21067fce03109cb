"""A statement from the Flex web service, by the real client over TLS: within its deadline, its token never told."""

from __future__ import annotations

import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from actions import lonely, seen_today
from flex_service import SENT, FlexService, refused

from spxarb.broker.flex_service import SET_RIGHT, TRY_AGAIN, fetch_statement
from spxarb.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "945692423458902392892687"
STATEMENT = (
    '<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1">'
    '<FlexStatement accountId="DU1" fromDate="20260213" toDate="20260213"><Trades /></FlexStatement>'
    "</FlexStatements></FlexQueryResponse>"
)
IN_PROGRESS = refused("1019", "Statement generation in progress. Please try again shortly.", "Warn")
OLD_IN_PROGRESS = "<FlexStatementOperationMessage><code>Statement generation in progress, please try again.</code></FlexStatementOperationMessage>"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("flex")


@pytest.fixture
def running(certificates) -> Iterator[FlexService]:
    with FlexService(certificates) as service:
        yield service


@pytest.fixture
def service(certificates, monkeypatch) -> Iterator[FlexService]:
    """For a client in this process. One that goes on after its deadline ends with the service that it asks."""
    before = threading.enumerate()
    with FlexService(certificates) as service:
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        # The library keeps the proxies that it saw first.
        monkeypatch.setattr(urllib.request, "_opener", None)
        yield service
    until = time.monotonic() + 20
    while left := set(threading.enumerate()).difference(
        before
    ):  # one may just be starting: it cannot be joined yet
        assert time.monotonic() < until, left
        time.sleep(0.01)


def fetch(seconds: float = 20) -> bytes:
    return fetch_statement(TOKEN, "272555", seconds, pause=0.05)


def test_a_statement_is_asked_for_and_fetched_by_its_reference(service):
    service.answers = [SENT, STATEMENT]
    assert fetch() == STATEMENT.encode()
    first, second = service.asked
    assert "SendRequest" in first
    assert "q=4711" in second


@pytest.mark.parametrize("busy", [IN_PROGRESS, OLD_IN_PROGRESS], ids=["version 3", "version 2"])
def test_a_statement_that_is_being_made_is_waited_for(service, busy):
    service.answers = [SENT, busy, SENT, STATEMENT] if busy is IN_PROGRESS else [SENT, busy, STATEMENT]
    assert fetch() == STATEMENT.encode()


@pytest.mark.parametrize("code", sorted(TRY_AGAIN))
def test_a_service_that_is_busy_is_asked_again(service, code):
    service.answers = [refused(code, "Please try again shortly."), refused("1012", "Token has expired.")]
    with pytest.raises(ConfigError):
        fetch()
    assert len(service.asked) == 2


@pytest.mark.parametrize("code", sorted(SET_RIGHT))
def test_a_token_or_query_that_is_refused_is_a_matter_of_configuration(service, code):
    service.answers = [refused(code, f"Not with {TOKEN}.")]
    with pytest.raises(ConfigError) as found:
        fetch()
    assert code in str(found.value)
    assert TOKEN not in str(found.value)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([refused("1003", "Statement is not available.")], "1003 Statement is not available"),
        ([SENT, "<html>down</html>"], "is no statement"),
        ([SENT, STATEMENT[:-30]], "is no statement"),
        (["not xml"], "is no statement"),
        ([SENT, refused("1020", "")], "1020"),
        ([OLD_IN_PROGRESS.replace("code", "message")], "answered with neither a code nor words"),
    ],
)
def test_whatever_else_comes_is_told_in_one_line_and_not_asked_for_again(service, answers, said):
    service.answers = answers
    with pytest.raises((GatewayError, ConfigError)) as found:
        fetch()
    assert said in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.timeout(30)  # far more than its deadline: what it meets goes on for ever
@pytest.mark.parametrize("answers", [[None], [SENT, None], [IN_PROGRESS], [SENT, OLD_IN_PROGRESS]])
def test_silence_and_a_statement_that_never_comes_end_at_the_deadline(service, answers):
    service.answers = answers
    with pytest.raises(GatewayError, match="within 1 s"):
        fetch(seconds=1)


def test_a_service_that_nobody_answers_for_could_not_be_reached(service, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(GatewayError, match="could not be reached"):
        fetch()


# --- the command ----------------------------------------------------------------------------------------


def test_the_command_fetches_and_the_token_is_nowhere(running, tmp_path):
    stage = lonely(tmp_path, 1)
    stage.write_config(trading={"mode": "paper"}, logging={"console": True, "level": "DEBUG"})
    seen_today(stage)
    environment = {**running.environment, "SPXARB_FLEX_TOKEN": TOKEN, "SPXARB_FLEX_QUERY_ID": "272555"}
    told = []
    for answers, code in (
        ([SENT, STATEMENT], 0),
        ([refused("1012", "Token has expired.")], 3),
        ([refused("1003", f"Statement for {TOKEN} is not available.")], 4),
    ):
        running.answers = list(answers)
        done = stage.run("reconcile", "--fetch", env=environment)
        assert done.code == code, done.err
        told += [done.out, done.err]
    log = "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.suffix in {".log", ".db"}
    )
    assert TOKEN not in "".join([*told, log])


def test_without_access_nothing_is_fetched_and_a_token_that_all_can_read_is_refused(tmp_path):
    stage = lonely(tmp_path, 1)
    done = stage.run("reconcile", "--fetch")
    assert (done.code, "SPXARB_FLEX_TOKEN" in done.err) == (3, True)
    secrets = tmp_path / ".env"
    secrets.write_text(f"SPXARB_FLEX_TOKEN={TOKEN}\nSPXARB_FLEX_QUERY_ID=1\n")
    secrets.chmod(0o644)
    done = stage.run("reconcile", "--fetch")
    assert (done.code, "chmod 600" in done.err, TOKEN in done.err) == (3, True, False)
