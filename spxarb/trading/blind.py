"""Without a ledger that can be read: what the account shows is all there is to go by, and a human must act.

Nothing is sent: no intent could be stored, and what is ours cannot be told from what is the owner's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spxarb.broker.broker import Endpoint, connect
from spxarb.core.reconcile import may_be_ours
from spxarb.errors import HumanNeededError, SpxarbError, as_failure
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET

if TYPE_CHECKING:
    from spxarb.config.load import Config

QUESTIONS = 2
"""The lists of an account are asked for at once: the answers of two questions are time enough for them."""


def alarm_by_account(config: Config, error: Exception) -> SpxarbError:
    """The failure, and what the account shows: calls that may be ours need a human now.

    An exit of them may be due, by the clock or by a loss, and no ledger says so. Where the account cannot be
    asked either, the failure stays what it is and says that too: nothing is known.
    """
    failure = as_failure(error)
    try:
        shown = asyncio.run(_shown(config))
    except (SpxarbError, TimeoutError) as silent:
        why = silent.what if isinstance(silent, SpxarbError) else "it did not answer in time"
        risk = (
            f"{failure.risk}. Whether calls are held is not known, for the account could not be asked: {why}"
        )
        return type(failure)(failure.what, risk=risk, mend=failure.mend)
    if not shown:
        return failure
    return HumanNeededError(
        f"{failure.what}, and the account shows what may be ours: {'; '.join(shown)}",
        risk="An exit may be due, and nothing looks after it",
        mend=f"{failure.mend}. Close it by hand, or restore a backup (`spxarb restore FILE`), then `spxarb "
        "monitor`",
    )


async def _shown(config: Config) -> list[str]:
    ib, execution = config.ib, config.execution
    endpoint = Endpoint(
        ib.host,
        ib.port,
        ib.client_id + READ_ONLY_CLIENT_ID_OFFSET,
        ib.account,
        config.trading.mode,
        ib.gateway_user,
    )
    timeout, question = execution.connect_timeout_seconds, execution.question_timeout_seconds
    async with asyncio.timeout(timeout + QUESTIONS * question):
        async with connect(endpoint, timeout=timeout, question_timeout=question) as broker:
            return may_be_ours(broker.initial_snapshot)
