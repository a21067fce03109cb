"""Questions to the gateway and their answers: matched, bounded in time, void when the link was lost.

Most questions carry a request id (an `int` key). Positions, orders and the time have none (a `str` key): the
answers to two of a kind could not be told apart, so the second waits for the first. So do two for one market
rule, whose answer carries the rule's id and no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from spxarb.broker.bounds import Answer
from spxarb.core.broker_words import Message
from spxarb.core.unreadable import EXECUTIONS
from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

TIME = "the time"
QUESTION_OF: dict[str, str | int] = {"10": 1, "17": 1, "49": TIME, "63": 2, "73": 2}
"""The question that a frame answers: its name, or the field that holds its request id."""

# Some builds never send execDetailsEnd unless this setting is "UTC format" (ib_insync issue 638, ib_async
# issues 54 and 82).
_MEND_SILENCE = {
    EXECUTIONS: (
        "Try again; if this persists, set in the Gateway's API settings "
        '"Send instrument-specific attributes for dual-mode API client in" to UTC format'
    ),
}


class Rows(IntEnum):
    """The message that has the rows of the answer to a question with a request id."""

    WHAT_IF = 5
    CONTRACTS = 10
    FILLS = 11
    BARS = 17
    SUMMARY = 63
    UPDATES = 73


class RefusalError(GatewayError):
    """The gateway answered a question with an error"""

    def __init__(self, name: str, code: int, text: str) -> None:
        message = Message(code, text)
        super().__init__(f"The gateway refused the request for {name}: {message}", mend=message.advice)
        self.code, self.text = code, text


@dataclass(slots=True)
class Link:
    """Our socket and the gateway's own link to IB, as one. `epoch` goes up at each loss."""

    where: str
    up: bool = False
    epoch: int = 0
    why_down: str = "not yet made"
    cut: str = ""
    """Why we ended the connection ourselves: what the gateway did that none does."""
    blocked: Message | None = None
    """With which words the gateway said that it answers nothing until a human has done something there."""

    def lose(self, why: str) -> None:
        self.epoch += self.up
        self.up, self.why_down = False, why

    def require(self, consequence: str) -> None:
        """Raises GatewayError naming the consequence when the link is down."""
        if not self.up:
            raise self.lost(consequence)

    def lost(self, consequence: str) -> GatewayError:
        return GatewayError(
            f"The link to IB through the gateway at {self.where} was lost ({self.why_down}): {consequence}",
            mend="Check the Gateway and run the command again when it is connected",
        )


@dataclass(slots=True)
class Question:
    """An open question: its name, the rows received, and the future that the end of the answer resolves."""

    name: str
    answer: asyncio.Future[list[Any]]
    by: Rows | None = None
    """None where the key says it."""
    received: Answer = field(default_factory=Answer)

    @property
    def rows(self) -> list[Any]:
        return self.received.rows


class Questions:
    """The open questions of one connection, by key."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[Hashable, Question] = {}
        self._turns: dict[Hashable, asyncio.Lock] = {}
        self._owed: Counter[Hashable] = Counter()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open

    def names(self) -> set[str]:
        return {question.name for question in self._open.values()}

    def key_of(self, name: str) -> Hashable:
        """Under which key that is being asked; None for nowhere."""
        return next((key for key, question in self._open.items() if question.name == name), None)

    def name(self, key: Hashable) -> str:
        """What is being asked under the key; '' for nothing."""
        question = self._open.get(key)
        return question.name if question else ""

    async def ask(
        self,
        key: Hashable,
        name: str,
        send: Callable[[], None],
        timeout: float,  # noqa: ASYNC109 (a timeout is reported in words, not as a TimeoutError)
        *,
        by: Rows | None = None,
        accept_partial: bool = False,
    ) -> list[Any]:
        """Send one question and return the rows of its answer, within `timeout` seconds.

        `by`: the message that has its rows; what another one brings under the same request id is none. With
        `accept_partial` the rows that arrived before the deadline are the answer. Raises GatewayError on
        silence, on a lost link and on rows that cannot be read, RefusalError when the gateway refuses.
        """
        question = Question(name, asyncio.get_running_loop().create_future(), by)
        turn = nullcontext() if isinstance(key, int) else self._turns.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(timeout), turn:
                return await self._asked(key, question, send)
        except TimeoutError:
            if accept_partial and question.rows:
                return question.rows
            where, blocked = self._link.where, self._link.blocked
            if blocked:
                raise blocked_error(where, blocked) from None
            raise GatewayError(
                f"The gateway at {where} did not answer the request for {name} within {timeout:g} s",
                mend=_MEND_SILENCE.get(name, "Try again; if this persists, restart the Gateway"),
            ) from None

    async def _asked(self, key: Hashable, question: Question, send: Callable[[], None]) -> list[Any]:
        consequence = _unanswered(question)
        self._link.require(consequence)
        epoch = self._link.epoch
        self._open[key] = question
        try:
            send()
            rows = await question.answer
        except asyncio.CancelledError:
            # The answer may still come, and would look like that to the next question of this kind. (One with
            # a request id of its own cannot be confused.)
            if isinstance(key, str):
                self._owed[key] += 1
            raise
        finally:
            del self._open[key]
        # An answer that began before a loss of the link and ended after it may have a hole.
        if epoch != self._link.epoch:
            raise self._link.lost(consequence)
        return rows

    def row(self, key: Hashable, row: Any, size: int = 0, by: Rows | None = None) -> bool:
        """Take one row of an answer of so many bytes; False: nothing of the kind is asked under the key.

        Raises TooMuchError for an answer without end.
        """
        question = self._open.get(key)
        if question is None or question.by != by or question.answer.done():
            return False
        question.received.add(row, size, question.name)
        return True

    def end(self, key: Hashable, *rows: Any, by: Rows | None = None) -> None:
        """Take the end of an answer, with its last rows."""
        question = self._open.get(key)
        if question and question.by != by:
            return
        if self._owed[key]:
            self._owed[key] -= 1
            if question:
                question.received = Answer()
        elif question and not question.answer.done():
            question.answer.set_result([*question.rows, *rows])

    def fail(self, key: Hashable, error: GatewayError) -> None:
        question = self._open.get(key)
        if question and not question.answer.done():
            question.answer.set_exception(error)

    def fail_all(self) -> None:
        """The link was lost: whatever is open fails."""
        for key, question in self._open.items():
            self.fail(key, self._link.lost(_unanswered(question)))


def read_only_error(where: str) -> GatewayError:
    """What 321 means where it names the setting."""
    return GatewayError(
        f"The gateway at {where} has Read-Only API set (321): it lists no orders and accepts none",
        mend='Clear "Read-Only API" in the Gateway under Configure, Settings, API, Settings',
    )


def blocked_error(where: str, message: Message) -> GatewayError:
    """What the gateway's silence means after such a message."""
    return GatewayError(f"The gateway at {where} blocks the API: {message}", mend=message.advice)


def _unanswered(question: Question) -> str:
    return f"no answer to the request for {question.name}"
