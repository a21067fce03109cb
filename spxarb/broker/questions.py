"""Questions to the gateway and their answers: matched, bounded in time, and void when the link was lost.

Most questions have an id of their own (an `int` key). Positions, orders and the time have none (a `str`
key): two of a kind at once could not be told apart, so they wait for each other. So do two for one market
rule, which are named by it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

TIME, OPEN_ORDERS, COMPLETED_ORDERS, POSITIONS = "the time", "open orders", "completed orders", "positions"
EXECUTIONS = "executions"

_MEND_SILENCE = {
    EXECUTIONS: (
        "Try again; if it stays silent, set in the Gateway's API settings "
        '"Send instrument-specific attributes for dual-mode API client in" to UTC format'
    ),
}


class RefusalError(GatewayError):
    """The gateway answered a question with an error"""

    def __init__(self, name: str, code: int, text: str) -> None:
        super().__init__(f"The gateway refused the question for {name}: {code} {text}")
        self.code, self.text = code, text


@dataclass(slots=True)
class Link:
    """The way to IB: our socket and the gateway's own link. `epoch` changes at each loss."""

    where: str
    up: bool = False
    epoch: int = 0
    why_down: str = "not yet made"

    def lose(self, why: str) -> None:
        self.epoch += self.up
        self.up, self.why_down = False, why

    def require(self, consequence: str) -> None:
        """GatewayError, telling the consequence, when the link is down."""
        if not self.up:
            raise self.lost(consequence)

    def lost(self, consequence: str) -> GatewayError:
        return GatewayError(
            f"The link of the gateway at {self.where} was lost ({self.why_down}): {consequence}",
            mend="Look at the Gateway; run the command again when it is connected",
        )


@dataclass(slots=True)
class Question:
    """What was asked, the rows that came, and the future that ends it."""

    name: str
    answer: asyncio.Future[list[Any]]
    rows: list[Any] = field(default_factory=list)


class Questions:
    """The questions now open on one connection, by key."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[Hashable, Question] = {}
        self._turns: dict[Hashable, asyncio.Lock] = {}
        self._owed: Counter[Hashable] = Counter()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open

    def names(self) -> set[str]:
        return {question.name for question in self._open.values()}

    def name(self, key: Hashable) -> str:
        """What is asked under the key; '' when nothing is."""
        question = self._open.get(key)
        return question.name if question else ""

    async def ask(
        self,
        key: Hashable,
        name: str,
        send: Callable[[], None],
        timeout: float,  # noqa: ASYNC109 (its end is an answer in words, not a TimeoutError)
        *,
        some_will_do: bool = False,
    ) -> list[Any]:
        """Send one question and return the rows of its answer.

        An answer that is owed to an earlier question of its kind, which gave up, is not taken for this
        one's. Raises GatewayError on silence, on a lost link, on rows that cannot be read; RefusalError when
        the gateway refuses. With `some_will_do` the rows that came before the deadline are the answer.
        """
        question = Question(name, asyncio.get_running_loop().create_future())
        turn = nullcontext() if isinstance(key, int) else self._turns.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(timeout), turn:
                return await self._asked(key, question, send)
        except TimeoutError:
            if some_will_do and question.rows:
                return question.rows
            where = self._link.where
            raise GatewayError(
                f"The gateway at {where} did not answer the question for {name} within {timeout:g} s",
                mend=_MEND_SILENCE.get(name, "Try again; if it stays silent, restart the Gateway"),
            ) from None

    async def _asked(self, key: Hashable, question: Question, send: Callable[[], None]) -> list[Any]:
        consequence = f"no answer to the question for {question.name}"
        self._link.require(consequence)
        epoch = self._link.epoch
        self._open[key] = question
        try:
            send()
            rows = await question.answer
        except asyncio.CancelledError:
            if isinstance(key, str):
                self._owed[key] += 1
            raise
        finally:
            del self._open[key]
        if epoch != self._link.epoch:
            raise self._link.lost(consequence)
        return rows

    def row(self, key: Hashable, row: Any) -> None:
        """One row of an answer; nobody's when nothing is asked under the key."""
        question = self._open.get(key)
        if question:
            question.rows.append(row)

    def end(self, key: Hashable, *rows: Any) -> None:
        """The end of an answer, with its last rows."""
        question = self._open.get(key)
        if self._owed[key]:
            self._owed[key] -= 1
            if question:
                question.rows.clear()
        elif question and not question.answer.done():
            question.answer.set_result([*question.rows, *rows])

    def fail(self, key: Hashable, error: GatewayError) -> None:
        question = self._open.get(key)
        if question and not question.answer.done():
            question.answer.set_exception(error)

    def fail_all(self) -> None:
        """The link was lost: what is open stays unanswered."""
        for key, question in self._open.items():
            self.fail(key, self._link.lost(f"no answer to the question for {question.name}"))
