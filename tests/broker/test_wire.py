"""The broker against a gateway that answers from a script over a real socket: above all when it does not answer.

A script maps the id of a request to the frames that answer it (`|` for NUL, `{1}` for the request's fields).
"""

import asyncio
import os
import random
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from spxarb.broker.broker import Broker, Endpoint, chosen_account, connect, gateway_time
from spxarb.broker.wire import Wire
from spxarb.core.broker_books import OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.model import Side
from spxarb.core.order_events import (
    CommissionReport,
    FillReport,
    LinkChange,
    OrderMessage,
    OrderUpdate,
    QuoteUpdate,
)
from spxarb.errors import GatewayError, RefusedError

LOGON = "71"
CALL = Contract(7, "SPX", "OPT", trading_class="SPXW", multiplier=100)
TICKET = OrderTicket("spxarb:1:SPX:1", CALL, Side.BUY, 1, Decimal("17.90"))
SILENCE: list[str] = []
HEALTHY = {
    LOGON: ["15|1|DU1|", "9|1|41|"],
    "49": ["49|1|1795530600|"],
    "61": ["62|1|"],
    "16": ["53|1|"],
    "99": ["102|"],
    "7": ["55|1|{2}|"],
    "62": ["64|1|{2}|"],
}
FILL = (
    "11|{id}|41|7|SPX|OPT|20261124|6975.0|C|100|CBOE|USD|x|SPXW|e.1.01|20261124 09:40:01 US/Eastern|{account}|"
    "CBOE|BOT|1|17.90|99|5|0|1|17.90|spxarb:1:SPX:1|||||"
)


def open_order(
    order_id: int, status: str, client: int = 5, ref: str = "spxarb:1:SPX:1", what_if: str = ""
) -> str:
    """A whole openOrder frame of version 176; `what_if` is the initial margin change."""
    unset = "1.7976931348623157E308"
    margins = [unset] * 9 if not what_if else ["1", "1", "1", what_if, what_if, "0", what_if, what_if, "9000"]
    fields = [
        f"5|{order_id}|7|SPX|OPT|20261124|6975|C|100|SMART|USD|x|SPXW|BUY|1|LMT|17.9|0.0|DAY||DU1||0|{ref}|{client}|99",
        "0|0|0||99.0/DU1/5|||||||"
        + "|" * 2
        + "|0||-1|0||||||2147483647|0|0|0||3|0|0||0|0||0|None||0||||?|0|0|",
        "0|0||||||0|0|0|2147483647|2147483647|||0||IB|0|0||0|"
        + ("1" if what_if or status == "WhatIf" else "0"),
        "|".join([status, *margins]) + "|1.64||||",
        f"0|0|0|None|{unset}|1|{unset}|{unset}|{unset}|{unset}|0||||0|1|0|0|0|||0|||||",
    ]
    return "|".join(fields) + "|"


class Script:
    """One listening gateway; `heard` holds the fields of every request."""

    def __init__(self, answers: dict[str, list[str]], version: str = "176") -> None:
        self.answers = {**HEALTHY, **answers}
        self.version = version
        self.heard: list[list[str]] = []
        self.port = 0
        self.left = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    def asked(self, msg_id: str) -> list[list[str]]:
        return [fields for fields in self.heard if fields[0] == msg_id]

    def say(self, *frames: str) -> None:
        """All frames in one piece, as a busy gateway sends them."""
        payloads = [frame.replace("|", "\0").encode() for frame in frames]
        self._writers[-1].write(b"".join(struct.pack(">I", len(data)) + data for data in payloads))

    def hang_up(self) -> None:
        self._writers[-1].close()

    def reset(self) -> None:
        """End the connection by a reset, now: before either loop hears of it."""
        ours = self._writers[-1].get_extra_info("socket")
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), ours.fileno())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(4)
            await self._frame(reader)
            if self.version:
                self.say(f"{self.version}|20261124 09:30:00 EST|")
            while fields := await self._frame(reader):
                self.heard.append(fields)
                answers = self.answers.get(fields[0], [])
                self.say(*[answer.format(*fields) for answer in answers if answer != "HANG UP"])
                if "HANG UP" in answers:
                    self.hang_up()
                    return
        self.left.set()
        writer.close()

    async def _frame(self, reader: asyncio.StreamReader) -> list[str]:
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        return (await reader.readexactly(size)).decode().split("\0")[:-1]


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[Script]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for writer in script._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def endpoint(script: Script, mode: str = "paper", account: str | None = None) -> Endpoint:
    return Endpoint("127.0.0.1", script.port, 5, account, mode)


def session(steps: Callable[[Broker, Script], object], timeout: float = 0.4, **answers: list[str]) -> None:
    """Connect to a healthy gateway but for `answers` (`on61=[...]`), and run the steps."""

    async def main() -> None:
        script = Script({key.removeprefix("on"): value for key, value in answers.items()})
        async with (
            listening(script),
            connect(endpoint(script), timeout=2, question_timeout=timeout) as broker,
        ):
            await steps(broker, script)

    asyncio.run(main())


def failure(script: Script, mode: str = "paper", account: str | None = None, timeout: float = 0.4) -> str:
    """What connecting fails with, as the user reads it."""

    async def main() -> str:
        async with listening(script):
            with pytest.raises((GatewayError, RefusedError)) as caught:
                async with connect(
                    endpoint(script, mode, account), timeout=timeout, question_timeout=timeout
                ):
                    pass
            return str(caught.value)

    text = asyncio.run(main())
    assert "\n" not in text
    return text


async def events(broker: Broker, count: int) -> list[object]:
    async with asyncio.timeout(2):
        return [await broker.events.get() for _ in range(count)]


# --- the logon ------------------------------------------------------------------------------------


def test_a_port_where_nothing_listens_is_named_with_what_to_do():
    async def main() -> str:
        async with listening(Script({})) as script:
            port = script.port
        with pytest.raises(GatewayError) as caught:
            await gateway_time(Endpoint("localhost", port, 1, None, "paper"), 5)
        assert f"localhost:{port}" in str(caught.value)
        return str(caught.value)

    text = asyncio.run(main())
    assert "Nothing listens" in text
    assert "4002 paper, 4001 live" in text
    assert "\n" not in text


def test_an_unknown_host_is_named():
    with pytest.raises(GatewayError, match=r"host name 'no\.such\.host\.invalid' cannot be resolved"):
        asyncio.run(gateway_time(Endpoint("no.such.host.invalid", 4002, 1, None, "paper"), 5))


def test_a_gateway_that_says_nothing_is_given_up_at_the_deadline():
    assert "accepted the connection but sent nothing within 0.4 s" in failure(Script({}, version=""))


def test_a_gateway_that_never_tells_its_accounts_is_given_up_at_the_deadline():
    assert "never sent its accounts within 0.4 s" in failure(Script({LOGON: ["9|1|41|"]}))


def test_a_gateway_that_closes_at_once_is_told_from_one_that_is_silent():
    assert "closed it at once" in failure(Script({LOGON: ["HANG UP"]}), timeout=3)


def test_a_client_id_in_use_is_tried_until_the_deadline_and_named():
    script = Script({LOGON: ["4|2|-1|326|Unable to connect as the client id is already in use||", "HANG UP"]})
    assert "Client id 5 is already in use" in failure(script, timeout=1.0)
    assert len(script.asked(LOGON)) > 1


def test_a_client_id_that_comes_free_is_taken():
    async def main() -> None:
        script = Script({LOGON: ["4|2|-1|326|in use||", "HANG UP"]})
        async with listening(script):
            asyncio.get_running_loop().call_later(0.3, script.answers.update, {LOGON: HEALTHY[LOGON]})
            async with connect(endpoint(script), timeout=5, question_timeout=1) as broker:
                assert broker.account == "DU1"

    asyncio.run(main())


def test_a_gateway_of_too_old_a_version_is_refused_with_its_version():
    assert "version must be" in failure(Script({}, version="100"))


# --- the account ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "named", "managed", "said"),
    [
        ("paper", None, ("U1",), "Account U1"),
        ("paper", None, ("SIM1",), "Account SIM1"),
        ("live", "DU1", ("DU1",), "Account DU1"),
        ("live", "SIM1", ("SIM1",), "Account SIM1"),
        ("sim", None, ("DU1",), "Account DU1"),
        ("paper", "DU2", ("DU1", "DU3"), "not the configured account DU2"),
        ("paper", None, ("DU1", "DU3"), "Name one of them"),
        ("live", None, ("U1", "U2"), "Name one of them"),
    ],
)
def test_an_account_that_does_not_fit_its_mode_is_refused(mode, named, managed, said):
    with pytest.raises(RefusedError, match=said):
        chosen_account(Endpoint("h", 1, 1, named, mode), managed)


@pytest.mark.parametrize(
    ("mode", "named", "managed"),
    [
        ("paper", None, ("DU1",)),
        ("paper", "DF2", ("DU1", "DF2")),
        ("live", "U1", ("U1",)),
        ("sim", None, ("SIM1",)),
    ],
)
def test_an_account_that_fits_its_mode_is_taken(mode, named, managed):
    assert chosen_account(Endpoint("h", 1, 1, named, mode), managed) == (named or managed[0])


def test_nothing_is_sent_to_a_gateway_of_the_wrong_account():
    script = Script({LOGON: ["15|1|U1|", "9|1|1|"]})
    assert "Account U1" in failure(script)
    assert [fields[0] for fields in script.heard] == [LOGON]


def test_live_mode_without_a_named_account_does_not_even_connect():
    script = Script({})
    assert "Set ib.account" in failure(script, mode="live")
    assert script.heard == []


# --- the first questions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("msg_id", "name"),
    [
        ("49", "the time"),
        ("61", "positions"),
        ("16", "open orders"),
        ("7", "executions"),
    ],
)
def test_a_question_without_an_answer_fails_the_connection_and_is_named(msg_id, name):
    assert f"did not answer the request for {name} within 0.4 s" in failure(Script({msg_id: SILENCE}))


def test_a_read_only_api_is_named_with_the_way_to_mend_it():
    refusal = "4|2|-1|321|Error validating request.-'bT' : cause - The API interface is currently in Read-Only mode.||"
    said = failure(Script({"16": [refusal], "99": [refusal]}), timeout=3)
    assert "Read-Only API" in said
    assert "Clear" in said


def test_a_gateway_that_resets_the_connection_while_it_is_closed_changes_nothing():
    said: list[list[str]] = []

    async def steps(broker: Broker, script: Script) -> None:
        said.append(broker.notices)
        script.reset()

    session(steps)
    assert said == [[]]


def test_a_connection_that_was_reset_just_before_is_given_up_without_a_word():
    async def main() -> None:
        script = Script({})
        async with listening(script):
            wire = Wire("127.0.0.1", script.port, 5)
            await wire.open()
            script.reset()
            wire._client.disconnect()
            await asyncio.wait_for(wire.closed, 5)
            assert not wire._client.conn.isConnected()
            assert wire.notices == []

    asyncio.run(main())


def test_a_gateway_that_hangs_up_in_the_middle_of_an_answer_did_not_answer():
    row = "61|3|DU1|7|SPX|OPT|20261124|6975|C|100||USD|x|SPXW|1|1790|"
    assert "no answer to the request for" in failure(Script({"61": [row, "HANG UP"]}), timeout=3)


@pytest.mark.parametrize("answer", [SILENCE, ["4|2|-1|321|The request was refused||"]])
def test_completed_orders_that_do_not_come_are_unknown_and_hold_nothing_up(answer):
    """The Gateway leaves that request unanswered while another client's is pending (ib_insync#355, #224)."""

    async def steps(broker: Broker, script: Script) -> None:
        assert broker.initial_snapshot.completed_orders is None
        began = asyncio.get_running_loop().time()
        assert (await broker.snapshot()).positions == ()
        assert asyncio.get_running_loop().time() - began < 1.0
        assert any("completed orders are not known" in notice for notice in broker.notices)

    session(steps, timeout=2, on99=answer)


def test_completed_orders_that_came_are_a_list_even_when_it_is_empty():
    async def steps(broker: Broker, script: Script) -> None:
        assert broker.initial_snapshot.completed_orders == ()

    session(steps)


APPLE = "AAPL|STK||0|||SMART|USD|AAPL|NMS"
UNREADABLE_ROWS = {
    "a short sale": ("16", "5|9|265598|" + APPLE + "|SSHORT|100|LMT|200|0.0|DAY||DU1||0||8|77|", 265598),
    "an order without a size": (
        "16",
        open_order(9, "Submitted", 8, "").replace("|BUY|1|", f"|BUY|{1.7976931348623157e308}|"),
        7,
    ),
    "a combination": ("16", "5|9||AAPL|BAG||0|||SMART|USD||COMB|BUY|", None),
    "a status of a fraction": ("16", "3|9|Submitted|x.5|0|0|77|0|0|eight||0|", None),
    "a completed order": ("99", "101|265598|" + APPLE + "|SSHORT|100|", 265598),
    "an execution of an unknown side": (
        "7",
        FILL.format(id="{2}", account="DU1").replace("|BOT|", "|SSHORT|"),
        7,
    ),
    "an execution without its request": ("7", "11|?|41|265598|AAPL|", 265598),
    "a position of no size": ("61", "61|3|DU1|265598|" + APPLE + "|many|1790|", 265598),
}


@pytest.mark.parametrize("kind", UNREADABLE_ROWS)
def test_a_row_that_cannot_be_read_is_kept_as_such_and_hides_no_other(kind):
    msg_id, frame, con_id = UNREADABLE_ROWS[kind]
    good = {
        "16": [open_order(41, "Submitted")],
        "99": [],
        "7": [FILL.format(id="{2}", account="DU1")],
        "61": ["61|3|DU1|7|SPX|OPT|20261124|6975|C|100||USD|x|SPXW|1|1790|"],
    }

    async def steps(broker: Broker, script: Script) -> None:
        seen = broker.initial_snapshot
        (row,) = seen.unreadable
        assert row.con_id == con_id
        rows = {"16": seen.open_orders, "99": (None,), "7": seen.executions, "61": seen.positions}
        assert len(rows[msg_id]) == 1, "the other row of the list"
        assert any("cannot be read" in notice for notice in broker.notices)

    session(steps, **{f"on{msg_id}": [frame, *good[msg_id], *HEALTHY[msg_id]]})


def test_an_answer_about_a_contract_that_cannot_be_read_is_no_answer():
    async def steps(broker: Broker, script: Script) -> None:
        with pytest.raises(GatewayError, match=r"cannot be read .* in answer to the request for 12345"):
            await broker.contract(12345)

    session(steps, on9=["10|{2}|SPX|", "52|1|{2}|"])


def test_the_books_are_asked_at_once_and_held_by_the_broker():
    async def steps(broker: Broker, script: Script) -> None:
        assert (
            broker.initial_snapshot.positions,
            broker.initial_snapshot.open_orders,
            broker.initial_snapshot.executions,
        ) == (
            (),
            (),
            (),
        )
        assert broker.initial_snapshot.time.isoformat() == "2026-11-24T09:30:00-05:00"
        asked = [fields[0] for fields in script.heard]
        assert set(asked[1:4]) == {"49", "61", "99"}, "at once"
        assert asked.index("49") < asked.index("16") < asked.index("7"), "executions last"

    session(steps)


def test_an_end_of_orders_that_nobody_asked_for_is_not_the_end_of_ours():
    """Gateways set to download open orders on connection send one just after the logon."""
    early = [open_order(3, "Submitted"), "53|1|", *HEALTHY["49"]]
    late = [open_order(8, "Submitted", client=6), open_order(3, "Submitted"), "53|1|"]

    async def steps(broker: Broker, script: Script) -> None:
        assert {order.order_id for order in broker.initial_snapshot.open_orders} == {3, 8}

    session(steps, on49=early, on16=late)


# --- answers -----------------------------------------------------------------------------------------


def test_positions_are_those_of_our_account_and_a_closed_one_is_left_out():
    row = "61|3|{}|{}|SPX|OPT|20261124|6975|C|100||USD|x|SPXW|{}|1790|"
    rows = [
        row.format("DU1", 7, 1),
        row.format("DU1", 8, -10),
        row.format("DU1", 8, 0),
        row.format("DU2", 9, 5),
    ]

    async def steps(broker: Broker, script: Script) -> None:
        assert [(p.con_id, p.quantity) for p in broker.initial_snapshot.positions] == [(7, 1)]
        assert len(script.asked("64")) == 1  # no stream of changes goes on

    session(steps, on61=[*rows, "62|1|"])


def test_open_orders_carry_the_latest_status_and_ended_ones_are_left_out():
    frames = [
        open_order(41, "PreSubmitted"),
        "3|41|Submitted|0|1|0|99|0|0|5||0|",
        open_order(42, "Submitted"),
        "3|42|Filled|1|0|17.9|99|0|17.9|5||0|",
        "53|1|",
    ]

    async def steps(broker: Broker, script: Script) -> None:
        (order,) = broker.initial_snapshot.open_orders
        assert (order.order_id, order.status, order.filled, order.order_ref) == (
            41,
            "Submitted",
            0,
            "spxarb:1:SPX:1",
        )
        assert broker.next_order_id() == 43

    session(steps, on16=frames)


def test_an_execution_comes_with_its_commission_and_an_unset_one_is_none():
    second = FILL.replace("e.1.01", "e.2.01")
    rows = [
        FILL.format(id="{2}", account="DU1"),
        "59|1|e.1.01|1.64|USD|1.7976931348623157E308|1.7976931348623157E308||",
        second.format(id="{2}", account="DU1"),
        "59|1|e.2.01|1.7976931348623157E308|USD|||",
        FILL.replace("e.1.01", "e.3.01").format(id="{2}", account="DU2"),
        "55|1|{2}|",
    ]

    async def steps(broker: Broker, script: Script) -> None:
        found = [(e.exec_id, e.commission) for e in broker.initial_snapshot.executions]
        assert found == [("e.1.01", Decimal("1.64")), ("e.2.01", None)]
        assert broker.events.empty()  # it belongs to the answer and is no event

    session(steps, on7=rows)


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones():
    async def steps(broker: Broker, script: Script) -> None:
        script.answers["61"] = SILENCE
        with pytest.raises(GatewayError, match="positions"):
            await broker.positions()
        # The first answer arrives only now, half of it before the second question.
        script.say("61|3|DU1|7|SPX|OPT|20261124|6975|C|100||USD|x|SPXW|1|1790|")
        asking = asyncio.create_task(broker.positions())
        await asyncio.sleep(0.05)
        script.say("62|1|", "61|3|DU1|8|SPX|OPT|20261124|6975|C|100||USD|x|SPXW|2|1790|", "62|1|")
        assert [p.con_id for p in await asking] == [8]

    session(steps)


def test_what_another_kind_of_message_says_under_a_request_id_is_neither_a_row_nor_an_end():
    others = [
        "63|1|{2}|DU1|NetLiquidation|1|USD|",
        "73|1|{2}|DU1||NetLiquidation|1|USD|",
        "10|{2}|odd|",
        "17|{2}|a|b|0|",
        open_order(41, "WhatIf", what_if="100").replace("5|41|", "5|{2}|", 1),
        *(f"{end}|1|{{2}}|" for end in (52, 64, 74)),
    ]

    async def steps(broker: Broker, script: Script) -> None:
        script.answers["7"] = [*others, FILL.format(id="{2}", account="DU1"), "55|1|{2}|"]
        assert [row.exec_id for row in await broker.executions()] == ["e.1.01"]
        row = "63|1|{2}|DU1|NetLiquidation|1|USD|"
        script.answers["62"] = [
            "11|{2}|odd|",
            FILL.format(id="{2}", account="DU1"),
            "55|1|{2}|",
            row,
            "64|1|{2}|",
        ]
        assert (await broker.account_values()).net_liquidation == 1

    session(steps)


def test_a_text_of_a_row_is_cleaned_before_anybody_has_it():
    evil = "spx\x1b[2J\u202earb:1:SPX:1\r"

    async def steps(broker: Broker, script: Script) -> None:
        script.answers["7"] = [
            FILL.replace("spxarb:1:SPX:1", evil).format(id="{2}", account="DU1"),
            "55|1|{2}|",
        ]
        script.answers["16"] = [open_order(41, "Submitted", ref=evil), "53|1|"]
        rows = [*await broker.executions(), *await broker.open_orders()]
        assert [row.order_ref for row in rows] == ["spxarb:1:SPX:1 "] * 2

    session(steps)


def test_two_questions_of_one_kind_are_asked_one_after_the_other():
    async def steps(broker: Broker, script: Script) -> None:
        answers = await asyncio.gather(*(broker.open_orders() for _ in range(3)))
        assert answers == [(), (), ()]

    session(steps)


def test_two_questions_for_one_market_rule_both_get_their_answer():
    async def steps(broker: Broker, script: Script) -> None:
        rules = await asyncio.gather(broker._tick_rule(26), broker._tick_rule(26))
        assert [rule.lowest for rule in rules] == [Decimal("0.01")] * 2

    session(steps, on91=["93|26|1|0|0.01|"])


def test_account_values_free_their_subscription():
    async def steps(broker: Broker, script: Script) -> None:
        values = await broker.account_values()
        assert (values.account_id, values.net_liquidation) == ("DU1", 1_000_000)
        await broker.server_time()
        (asked,), (freed,) = script.asked("62"), script.asked("63")
        assert asked[2] == freed[2]

    session(steps, on62=["63|1|{2}|DU1|NetLiquidation|1000000.00|USD|", "64|1|{2}|"])


def test_account_updates_tell_more_and_free_their_subscription():
    async def steps(broker: Broker, script: Script) -> None:
        values = await broker.margin_values()
        assert (values.previous_day_equity, values.post_expiration_excess) == (900, -7)
        await broker.server_time()
        (asked,), (freed,) = script.asked("76"), script.asked("77")
        assert (asked[2], asked[3:6]) == (freed[2], ["DU1", "", "0"])

    rows = ["PreviousDayEquityWithLoanValue|900|USD|", "PostExpirationExcess|-7|USD|"]
    session(
        steps,
        on76=[
            *(f"73|1|{{2}}|DU1||{row}" for row in rows),
            "73|1|{2}|DU2||PostExpirationExcess|5|USD|",
            "74|1|{2}|",
        ],
    )


def test_a_contract_that_is_not_known_is_a_clear_failure():
    async def steps(broker: Broker, script: Script) -> None:
        with pytest.raises(GatewayError, match="lists 0 contracts for 12345"):
            await broker.contract(12345)

    session(steps, on9=["4|2|{2}|200|No security definition has been found||"])


def test_a_refused_question_is_told_in_the_gateways_words():
    async def steps(broker: Broker, script: Script) -> None:
        with pytest.raises(GatewayError, match="321 Invalid account"):
            await broker.account_values()

    session(steps, on62=["4|2|{2}|321|Invalid account||"])


# --- the link ----------------------------------------------------------------------------------------


def test_a_lost_socket_is_an_event_and_no_question_is_answered_after_it():
    async def steps(broker: Broker, script: Script) -> None:
        epoch = broker.link_epoch
        script.hang_up()
        (change,) = await events(broker, 1)
        assert (change.up, broker.link_up) == (False, False)
        assert broker.link_epoch != epoch
        for ask in (broker.positions, broker.executions, broker.open_orders, broker.server_time):
            with pytest.raises(GatewayError, match="was lost"):
                await ask()
        with pytest.raises(GatewayError):
            broker.place(TICKET, 41)
        with pytest.raises(GatewayError):
            broker.cancel(41)

    session(steps)


@pytest.mark.parametrize("code", [1100, 2110])
def test_while_the_gateway_is_cut_off_nothing_is_asked_and_no_order_leaves(code):
    async def steps(broker: Broker, script: Script) -> None:
        epoch = broker.link_epoch
        script.say(f"4|2|-1|{code}|Connectivity between IB and the gateway has been lost||")
        assert (await events(broker, 1))[0].up is False
        with pytest.raises(GatewayError, match=str(code)):
            await broker.positions()
        with pytest.raises(GatewayError, match=str(code)):
            broker.place(TICKET, 41)
        script.say("4|2|-1|1102|restored, data maintained||")
        assert await events(broker, 1) == [
            LinkChange(True, 1102, "restored, data maintained", data_lost=False)
        ]
        assert await broker.positions() == ()
        assert broker.link_epoch == epoch + 1
        assert script.asked("3") == []

    session(steps)


@pytest.mark.parametrize("end_first", [False, True])
def test_an_answer_that_spans_a_loss_of_the_link_is_no_answer(end_first):
    async def steps(broker: Broker, script: Script) -> None:
        loss, end = ["4|2|-1|1100|lost||", "4|2|-1|1102|restored||"], ["62|1|"]
        script.answers["61"] = [*end, *loss] if end_first else [*loss, *end]
        with pytest.raises(GatewayError, match="no answer to the request for positions"):
            await broker.positions()

    session(steps)


def test_watched_contracts_are_asked_again_when_the_data_was_lost():
    async def steps(broker: Broker, script: Script) -> None:
        broker.watch([CALL, CALL])
        script.say("4|2|-1|1100|lost||", "4|2|-1|1101|restored, data lost||")
        await events(broker, 2)
        await broker.server_time()
        first, second = script.asked("1")
        assert first[2] != second[2]
        assert first[3] == second[3] == "7"

    session(steps)


# --- quotes ------------------------------------------------------------------------------------------


def test_live_data_is_asked_for_before_the_first_quote():
    async def steps(broker: Broker, script: Script) -> None:
        quotes = await broker.quotes([CALL], 2)
        assert (quotes[7].bid, quotes[7].ask, quotes[7].data_type) == (Decimal("17.8"), Decimal("17.9"), 1)
        asked = [fields[0] for fields in script.heard if fields[0] in {"59", "1"}]
        assert asked == ["59", "1"]
        update = (await events(broker, 1))[0]
        assert isinstance(update, QuoteUpdate)
        assert update.con_id == 7

    session(steps, on1=["58|1|{2}|1|", "1|6|{2}|1|17.80|5|0|", "1|6|{2}|2|17.90|5|0|"])


def test_quotes_give_what_there_is_when_a_side_never_comes():
    async def steps(broker: Broker, script: Script) -> None:
        assert (await broker.quotes([CALL], 0.1))[7].ask == Decimal("0.1")
        assert (await broker.quotes([CALL], 9, enough=lambda _, q: q.ask is not None))[7].bid is None

    session(steps, on1=["1|6|{2}|1|-1|0|0|", "1|6|{2}|2|0.10|5|0|"])


def test_refused_data_ends_the_wait_and_leaves_a_notice():
    async def steps(broker: Broker, script: Script) -> None:
        async with asyncio.timeout(3):
            assert (await broker.quotes([CALL], 60))[7].ask is None
        assert any("354 not subscribed" in notice for notice in broker.notices)

    session(steps, on1=["4|2|{2}|354|not subscribed||"])


def test_quotes_fail_when_the_link_is_lost():
    async def steps(broker: Broker, script: Script) -> None:
        with pytest.raises(GatewayError, match="quotes"):
            await broker.quotes([CALL], 9)

    session(steps, on1=["HANG UP"])


# --- orders ------------------------------------------------------------------------------------------


def test_an_order_is_sent_once_with_everything_said_and_changed_under_its_own_id():
    async def steps(broker: Broker, script: Script) -> None:
        order_id = broker.next_order_id()
        broker.place(TICKET, order_id)
        broker.cancel(order_id)
        await broker.server_time()
        (placed,), (cancelled,) = script.asked("3"), script.asked("4")
        assert placed[1] == cancelled[2] == "41"
        assert (placed[2], placed[16:20], placed[21]) == ("7", ["BUY", "1", "LMT", "17.9"], "DAY")
        assert (placed[23], placed[26], placed[27], placed[33]) == ("DU1", "spxarb:1:SPX:1", "1", "0")
        assert broker.next_order_id() == 42

    session(steps)


def test_every_status_of_the_wire_is_seen_and_no_other():
    async def steps(broker: Broker, script: Script) -> None:
        broker.place(TICKET, broker.next_order_id())
        script.say(
            open_order(41, "Submitted"),
            "3|41|Submitted|0|1|0|99|0|0|5||0|",
            "4|2|41|10349|Order TIF was set to DAY based on order preset.||",
            "4|2|41|104|Cannot modify a filled order.||",
            "3|41|Filled|1|0|17.9|99|0|17.9|5||0|",
            "3|41|Submitted|0|1|0|98|0|0|6||0|",
        )
        found = await events(broker, 5)
        ref = "spxarb:1:SPX:1"
        assert found[0] == OrderUpdate(ref, 41, "Submitted", perm_id=99)
        assert found[1] == OrderUpdate(ref, 41, "Submitted", Decimal(0), Decimal(1), 99)
        assert [(m.order_ref, m.code) for m in found[2:4] if isinstance(m, OrderMessage)] == [
            (ref, 10349),
            (ref, 104),
        ]
        assert found[4] == OrderUpdate(ref, 41, "Filled", Decimal(1), Decimal(0), 99)
        await broker.server_time()
        assert broker.events.empty()  # the last was of another client's order 41

    session(steps)


def test_a_fill_and_its_commission_are_news():
    async def steps(broker: Broker, script: Script) -> None:
        script.say(FILL.format(id=-1, account="DU1"), "59|1|e.1.01|1.64|USD|0|0||")
        fill, commission = await events(broker, 2)
        assert isinstance(fill, FillReport)
        assert (fill.execution.order_ref, fill.execution.price) == ("spxarb:1:SPX:1", Decimal("17.9"))
        assert commission == CommissionReport("e.1.01", Decimal("1.64"))

    session(steps)


def test_the_commission_of_a_live_fill_is_news_though_executions_are_being_asked():
    async def steps(broker: Broker, script: Script) -> None:
        script.say(FILL.format(id=-1, account="DU1"))
        commission = "59|1|e.1.01|1.64|USD|0|0||"
        script.answers["7"] = [commission, FILL.format(id="{2}", account="DU1"), "55|1|{2}|"]
        (listed,) = await broker.executions()
        assert listed.commission == Decimal("1.64")
        assert (await events(broker, 2))[1] == CommissionReport("e.1.01", Decimal("1.64"))

    session(steps)


def test_the_second_answer_to_a_what_if_is_awaited_when_the_first_holds_no_numbers():
    async def steps(broker: Broker, script: Script) -> None:
        answer = await broker.what_if(TICKET)
        assert (answer.initial_change, answer.equity_with_loan_after) == (Decimal("188130.5"), 9000)
        assert answer.rejected == ""
        assert script.asked("3")[0][85] == "1"

    session(steps, on3=[open_order(41, "WhatIf"), open_order(41, "PreSubmitted", what_if="188130.5")])


def test_a_what_if_without_numbers_says_none_and_one_without_answer_fails():
    async def steps(broker: Broker, script: Script) -> None:
        assert (await broker.what_if(TICKET)).initial_change is None
        script.answers["3"] = SILENCE
        with pytest.raises(GatewayError, match="the what-if order"):
            await broker.what_if(TICKET)

    session(steps, on3=[open_order(41, "WhatIf")], timeout=0.2)


def test_a_late_word_on_a_what_if_is_not_taken_for_one_on_the_order():
    async def steps(broker: Broker, script: Script) -> None:
        await broker.what_if(TICKET)
        script.say("4|2|41|201|Order rejected||")
        await broker.server_time()
        assert broker.events.empty()
        assert broker.notices == ["201 Order rejected"]

    session(steps, on3=[open_order(41, "PreSubmitted", what_if="1")])


def test_a_rejected_what_if_is_an_answer_in_the_brokers_words():
    async def steps(broker: Broker, script: Script) -> None:
        answer = await broker.what_if(TICKET)
        assert answer.rejected == "201 Order rejected - reason: margin é"
        assert answer.initial_change is None

    session(steps, on3=[r"4|2|{1}|201|Order rejected - reason: margin \u00e9||"])


# --- unreadable frames ---------------------------------------------------------------------------


def test_frames_that_make_no_sense_are_told_and_break_nothing():
    async def steps(broker: Broker, script: Script) -> None:
        script.say(
            "3|41|Filled|",
            "9999|1|",
            "abc|",
            "4|2|",
            "59|",
            "1|6|x|1|",
            "11|-1|41|",
            "21|9|13|0||||||||",
            "93|9|",
        )
        await broker.server_time()
        assert broker.link_up
        assert any("executions cannot be read" in notice for notice in broker.notices)

    session(steps)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_never_break_the_door(seed):
    noise = random.Random(seed)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(50):
                data = noise.randbytes(noise.randrange(1, 40))
                writer.write(struct.pack(">I", len(data)) + data)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GatewayError):
            await gateway_time(Endpoint("127.0.0.1", port, 5, None, "paper"), 0.3)
        server.close()

    asyncio.run(main())


# --- messages, pacing, start ----------------------------------------------------------------------------------------


def test_messages_of_the_gateway_are_notices_once_and_its_chatter_is_not():
    async def steps(broker: Broker, script: Script) -> None:
        chatter, news = "4|2|-1|2104|Market data farm connection is OK||", "4|2|-1|2103|farm is broken||"
        script.say(chatter, news, news)
        await broker.server_time()
        assert broker.notices == ["2103 farm is broken"]

    session(steps)


def test_leaving_sends_what_waits_even_over_unread_data():
    """More requests than the pace of 45 a second lets through at once, and quotes that nobody reads."""

    async def main() -> None:
        script = Script({})
        async with listening(script):
            async with connect(endpoint(script), timeout=2, question_timeout=1) as broker:
                for order_id in range(41, 91):
                    broker.cancel(order_id)
                script.say(*["1|6|9|1|17.80|5|0|"] * 100)
            await asyncio.wait_for(script.left.wait(), 2)
            assert len(script.asked("4")) == 50

    asyncio.run(main())


def test_the_gateways_clock_is_one_question():
    async def main() -> None:
        script = Script({})
        async with listening(script):
            assert (await gateway_time(endpoint(script), 2)).hour == 9
        assert [fields[0] for fields in script.heard] == [LOGON, "49"]

    asyncio.run(main())


def test_the_door_opens_where_no_event_loop_appears_by_itself():
    """As on Python 3.14, where asking for one raises; and it leaves no loop open behind it."""
    program = """
import asyncio
class Strict(asyncio.DefaultEventLoopPolicy):
    def get_event_loop(self):
        if self._local._loop is None:
            raise RuntimeError("There is no current event loop")
        return self._local._loop
asyncio.set_event_loop_policy(Strict())
import spxarb.broker.broker
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
