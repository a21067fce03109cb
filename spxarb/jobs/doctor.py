"""`doctor`: the whole set-up, part by part, and how to mend what is not in order.

It needs no ledger and no valid configuration: what is wrong with these is what it is asked for. It writes
nothing, and has no run in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.results.doctor import DoctorMargin, DoctorResult
from spxarb.core.sentences import sentence
from spxarb.errors import worst
from spxarb.trading.set_up import look_at_machine

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.trading.set_up_found import SetUp


def run(config_file: Path | None, *, margin: bool, send_test: bool = False) -> DoctorResult:
    """Look at everything; `margin`: with what-if orders, which change nothing at the broker.

    `send_test`: an alert is really sent.
    """
    logging.getLogger("spxarb").addHandler(logging.NullHandler())  # what is found is in the result
    found = look_at_machine(config_file, send_test=send_test)
    answer = DoctorMargin()
    if found.config is not None:
        from spxarb.trading.set_up_gateway import look_at_gateway  # noqa: PLC0415 -- ib_insync comes with it

        answer = asyncio.run(look_at_gateway(found, found.config, margin=margin))
    return _result(found, answer)


def _result(found: SetUp, margin: DoctorMargin) -> DoctorResult:
    failed = [line for line in found.lines if line.ok is False]
    told = [f"{line.name}: {line.message} {sentence(line.mend or '')}".strip() for line in failed]
    return DoctorResult(
        "doctor",
        found.now or datetime.now(NEW_YORK),
        found.config.trading.mode if found.config else None,
        exit_code=worst(*(line.exit_code for line in failed)),
        error=" ".join(told) or None,
        checks=tuple(found.lines),
        margin=margin,
    )
