"""A statement from IB's Flex web service, by ib_insync's client: within a deadline, its token never told.

The client waits without end, for each answer and for the statement; it reads any answer that it does not know
for the statement; and it puts the token into every address (ib_insync 0.9.86, flexreport). So it works in a
thread that is left behind at the deadline, its sockets have a time-out, what it brought is looked at, and of
what it raises only words without the token go on.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.error import URLError

from spxarb.broker.flex import MOST_BYTES, FlexAnswerError, FlexFileError, read_statements
from spxarb.errors import ConfigError, GatewayError
from spxarb.imports import trimmed

with trimmed("ib_insync"):
    from ib_insync.flexreport import FlexError, FlexReport

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

# IBKR, Flex Web Service, error codes.
TRY_AGAIN = frozenset({"1001", "1004", "1005", "1006", "1007", "1008", "1009", "1018", "1019", "1021"})
"""Not now: the statement is being made, or the service is busy."""
SET_RIGHT = {
    "1010": "use an activity or trade confirmation flex query",
    "1012": "its token has expired: make a new one in Client Portal, Flex Web Service",
    "1013": "its token is for another address of this machine: change it in Client Portal, Flex Web Service",
    "1014": "the query id is not one of this account: see Client Portal, Flex Queries",
    "1015": "its token is not valid: copy it again from Client Portal, Flex Web Service",
    "1016": "the account is not one of this token's user",
    "1020": "token or query id are not of the form that the service takes",
}
"""What a human must set right, by the code."""
ANSWER_SECONDS = 20.0
_HIDDEN = "…"


@dataclass
class _Download:
    """One try in a thread of its own."""

    token: str
    query_id: str
    data: bytes | None = None
    failure: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            self.data = FlexReport(self.token, self.query_id).data  # type: ignore[no-untyped-call]
        except BaseException as error:  # noqa: BLE001 -- told by the thread that waits
            self.failure = error
        finally:
            self.done.set()


def fetch_statement(token: str, query_id: str, seconds: float, pause: float) -> bytes:
    """The statement that the query makes, as it came. Ends within `seconds`, a pause between two tries.

    Raises ConfigError for a token or query id that the service refuses; GatewayError when it is not reached,
    has no statement in time, or answers with something else.
    """
    deadline = time.monotonic() + seconds
    why = "it did not answer"
    with _answers_within(ANSWER_SECONDS):
        while time.monotonic() < deadline:
            download = _Download(token, query_id)
            threading.Thread(target=download.run, daemon=True).start()
            if not download.done.wait(deadline - time.monotonic()):
                break
            try:
                return _looked_at(download)
            except FlexAnswerError as answer:
                why = _without(str(answer), token)
                if answer.code in SET_RIGHT:
                    raise ConfigError(_upper(why), mend=_upper(SET_RIGHT[answer.code])) from None
                if answer.code not in TRY_AGAIN:
                    raise _failed(why) from None
                log.info("%s: trying again", why)
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
    raise _failed(f"no statement came within {seconds:.0f} s: {why}")


def _looked_at(download: _Download) -> bytes:
    """What a try brought, if it is a statement. Raises FlexAnswerError for the service's own words.

    Raises GatewayError for whatever else came or went wrong.
    """
    error, token = download.failure, download.token
    if isinstance(error, FlexError):
        code, _, text = str(error).partition(": ")
        if not code.isdigit():  # as the older version of the service answers
            busy = "in progress" in str(error)
            code, text = ("1019" if busy else ""), str(error).strip(": ")
        raise FlexAnswerError(code, _without(text, token))
    if isinstance(error, OSError):
        reason = error.reason if isinstance(error, URLError) else error
        words = _without(str(reason) or type(error).__name__, token)
        raise _failed(f"the Flex web service could not be reached: {words}") from None
    if error is not None:  # the client expects an answer to be well-formed and of its kind
        raise _failed(
            f"what the Flex web service sent is no statement: {_without(str(error), token)}"
        ) from None
    data = download.data or b""
    if len(data) > MOST_BYTES:
        raise _failed(f"its answer is larger than {MOST_BYTES // 10**6} MB")
    try:
        read_statements(data)
    except FlexAnswerError:
        raise
    except FlexFileError as wrong:
        raise _failed(f"what the Flex web service sent is no statement: {wrong}") from None
    return data


@contextmanager
def _answers_within(seconds: float) -> Iterator[None]:
    """New sockets in the block wait no longer than this for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _failed(why: str) -> GatewayError:
    return GatewayError(
        _upper(why),
        risk="Nothing was compared",
        mend="Try again later, or download the statement in Client Portal and give it with --statement",
    )


def _without(text: str, token: str) -> str:
    return text.replace(token, _HIDDEN)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
