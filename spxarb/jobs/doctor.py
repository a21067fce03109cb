"""`doctor`: the whole set-up, part by part, and how to mend what is not in order.

It needs no ledger and no valid configuration: what is wrong with these is what it is asked for. It has no run
in the ledger and writes nothing, but for `--facts`, which keeps what a recording of paper has shown.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.results.doctor import DoctorMargin, DoctorResult, GatewayFact, RecordedGateway
from spxarb.core.results.going_live import LiveReadiness
from spxarb.core.sentences import sentence
from spxarb.errors import RefusedError, worst
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
    if found.config is None:
        return _result(found, answer, LiveReadiness())
    from spxarb.trading.set_up_live import look_at_live  # noqa: PLC0415 -- not without a configuration

    return _result(found, answer, look_at_live(found, found.config, found.net_liquidation))


def judge(file: Path, config_file: Path | None) -> DoctorResult:
    """Judge what is assumed of a real gateway by a recorded wire. Exit 5 when something is contradicted.

    What paper has shown is kept in the paper ledger, where there is one. Raises UsageError for a file that is
    no recording.
    """
    from spxarb.core.gateway_claims import Sighting, judge_all  # noqa: PLC0415 -- only `--facts` needs them
    from spxarb.trading.kept_facts import keep_facts  # noqa: PLC0415 -- likewise
    from spxarb.trading.wire_file import read_wire  # noqa: PLC0415 -- likewise

    record = read_wire(file)
    judged = judge_all(record)
    against = [found for found in judged if found.evidence is Sighting.CONTRADICTED]
    told = "; ".join(f"{found.claim.name} ({found.what})" for found in against)
    error = RefusedError(
        f"This gateway contradicts {len(against)} of {len(judged)} assumptions: {told}",
        risk="What rests on them may fail with it",
        mend="Do not trade with it, and report them with the file",
    )
    return DoctorResult(
        "doctor",
        datetime.now(NEW_YORK),
        None,
        exit_code=error.exit_code if against else 0,
        error=str(error) if against else None,
        notes=(
            *(["The last line of the file was cut off, and is left out."] if record.torn else []),
            keep_facts(config_file, record, judged),
        ),
        gateway=RecordedGateway(
            file=str(file),
            server_version=record.server_version,
            started=record.started,
            mode=record.mode,
            messages=len(record.messages),
            connections=len({message.connection for message in record.messages}),
        ),
        facts=tuple(
            GatewayFact(
                found.claim.name,
                found.claim.text,
                found.evidence,
                found.what or None,
                found.times,
                found.claim.why,
            )
            for found in judged
        ),
    )


def _result(found: SetUp, margin: DoctorMargin, live: LiveReadiness) -> DoctorResult:
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
        going_live=live,
    )
