"""The machines of an order: every state with every event, what the wire's words mean, and their document."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from spxarb.core.broker_codes import CANCEL_REFUSALS, CANCELLATION, CHANGE_REFUSALS
from spxarb.core.orders import (
    CANCEL_TRANSITIONS,
    CHANGE_TRANSITIONS,
    FIRST_ABSENCE,
    HAD_BY_THE_BROKER,
    PRESENCE_TRANSITIONS,
    SAID_OF_PRESENCE,
    SILENT,
    TRANSITIONS,
    CancelEvent,
    CancelState,
    ChangeEvent,
    ChangeState,
    OrderEvent,
    OrderState,
    Presence,
    PresenceEvent,
    diagram,
    event_of_code,
    event_of_status,
)
from tools.docs import order_life

# --- the tables -----------------------------------------------------------------------------------

# `=` it stays, `-` cannot happen. An order is sent again, under its own id, only while it is live or unheard of,
# cancelled only while it may fill or come back to life, and what is final is not looked for any more.
ORDER = """
event          | intended      | sent           | live           | pending cancel | reported done  | filled | ended
sent           | sent          | =              | =              | -              | -              | -      | -
not sent       | ended         | ended          | =              | =              | =              | =      | =
noted          | =             | =              | =              | =              | =              | =      | =
spoken of      | =             | =              | =              | =              | =              | =      | =
working        | live          | live           | =              | =              | live           | =      | live
filled partly  | live          | live           | =              | =              | =              | ended  | =
filled wholly  | filled        | filled         | filled         | filled         | filled         | =      | filled
cancel sent    | pending cancel | pending cancel | pending cancel | =              | pending cancel | -      | -
cancel refused | =             | =              | =              | =              | =              | =      | =
cancelled      | reported done | reported done  | reported done  | reported done  | =              | =      | =
refused        | reported done | reported done  | reported done  | reported done  | =              | =      | =
seen live      | live          | live           | =              | =              | live           | -      | live
seen inactive  | reported done | reported done  | reported done  | =              | =              | -      | reported done
seen ended     | ended         | ended          | ended          | ended          | ended          | -      | -
absent twice   | ended         | ended          | =              | ended          | ended          | -      | -
never arrived  | ended         | ended          | =              | ended          | =              | -      | -
"""

# The second snapshot of a proof needs a first, and what is proven over is not proven over once more.
PRESENCE = """
event           | unheard      | spoken of    | acknowledged | listed       | silent once  | absent once  | gone once    | absent       | completed
acknowledged    | acknowledged | acknowledged | =            | =            | acknowledged | acknowledged | acknowledged | acknowledged | acknowledged
spoken of       | spoken of    | =            | =            | =            | spoken of    | spoken of    | acknowledged | =            | =
restarted       | =            | =            | =            | =            | unheard      | spoken of    | acknowledged | =            | =
listed          | listed       | listed       | listed       | =            | listed       | listed       | listed       | listed       | listed
completed       | completed    | completed    | completed    | completed    | completed    | completed    | completed    | -            | -
uncounted       | silent once  | absent once  | gone once    | gone once    | =            | =            | =            | -            | -
uncounted again | -            | -            | -            | -            | completed    | completed    | completed    | -            | -
missing         | silent once  | absent once  | gone once    | gone once    | =            | =            | =            | -            | -
missing again   | -            | -            | -            | -            | absent       | absent       | absent       | -            | -
inconclusive    | =            | =            | =            | acknowledged | unheard      | spoken of    | acknowledged | =            | =
"""

# Once a change was refused, no other is sent.
CHANGE = """
event          | unchanged      | change sent    | change refused
change sent    | change sent    | =              | -
change refused | change refused | change refused | =
"""

CANCEL = """
event          | not sent    | cancel sent    | cancel refused | not found
cancel sent    | cancel sent | =              | cancel sent    | =
cancel refused | =           | cancel refused | =              | cancel refused
not found      | =           | not found      | not found      | =
order sent again | =         | not sent       | not sent       | not sent
"""

MACHINES = {
    "order": (OrderState, OrderEvent, TRANSITIONS, ORDER),
    "presence": (Presence, PresenceEvent, PRESENCE_TRANSITIONS, PRESENCE),
    "change": (ChangeState, ChangeEvent, CHANGE_TRANSITIONS, CHANGE),
    "cancel": (CancelState, CancelEvent, CANCEL_TRANSITIONS, CANCEL),
}
every_machine = pytest.mark.parametrize("name", MACHINES)


def cells(name):
    """The table of a machine as written above: (state, event) -> cell."""
    states, events, _, text = MACHINES[name]
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return {
        (states(state), events(line[0])): cell
        for line in lines
        for state, cell in zip(head[1:], line[1:], strict=True)
    }


POSSIBLE = {pair for pair, cell in cells("order").items() if cell != "-"}


@every_machine
def test_the_tables_above_cover_every_state_and_every_event(name):
    states, events, table, _ = MACHINES[name]
    assert set(cells(name)) == set(product(states, events))
    assert list(table) == list(states)


@every_machine
def test_an_event_leads_where_it_must_or_cannot_happen(name):
    states, _, table, _ = MACHINES[name]
    for (state, event), cell in cells(name).items():
        if cell == "-":
            with pytest.raises(KeyError):
                table[state][event]
        else:
            assert table[state][event] is (state if cell == "=" else states(cell)), (state, event)


@every_machine
def test_every_state_can_be_reached(name):
    _, _, table, _ = MACHINES[name]
    reached = {next(iter(table))}
    while more := {target for state in reached for target in table[state].values()} - reached:
        reached |= more
    assert reached == set(table)


FROM_THE_BROKER = [
    (TRANSITIONS, event)
    for event in OrderEvent
    if event
    not in {OrderEvent.SENT, OrderEvent.CANCEL_SENT, OrderEvent.ABSENT_TWICE, OrderEvent.NEVER_ARRIVED}
    and not event.value.startswith("seen")
]
FROM_THE_BROKER += [
    (PRESENCE_TRANSITIONS, event)
    for event in (
        *(PresenceEvent.ACKNOWLEDGED, PresenceEvent.SPOKEN_OF, PresenceEvent.RESTARTED),
        PresenceEvent.LISTED,
    )
]
FROM_THE_BROKER += [(CHANGE_TRANSITIONS, ChangeEvent.REFUSED)]
FROM_THE_BROKER += [(CANCEL_TRANSITIONS, event) for event in (CancelEvent.REFUSED, CancelEvent.NOT_FOUND)]


@pytest.mark.parametrize(("table", "event"), FROM_THE_BROKER, ids=lambda value: str(value)[:20])
def test_whatever_the_broker_says_can_come_in_every_state(table, event):
    assert all(event in row for row in table.values())


def test_only_lists_executions_and_what_never_arrived_end_an_order():
    ending = {
        event
        for (state, event), cell in cells("order").items()
        if cell in {"filled", "ended"} and state is not OrderState.FILLED
    }
    assert ending == {
        OrderEvent.FILLED_WHOLLY,
        OrderEvent.SEEN_ENDED,
        OrderEvent.ABSENT_TWICE,
        OrderEvent.NOT_SENT,
        OrderEvent.NEVER_ARRIVED,
    }


def test_only_two_snapshots_or_a_completed_row_prove_an_order_over():
    proving = {event for (_, event), cell in cells("presence").items() if cell in {"absent", "completed"}}
    assert proving == {
        PresenceEvent.COMPLETED,
        PresenceEvent.UNCOUNTED_AGAIN,
        PresenceEvent.MISSING_AGAIN,
    }


def test_an_order_that_the_broker_had_never_counts_as_unheard_again():
    for state in HAD_BY_THE_BROKER:
        unknown = {Presence.UNHEARD, Presence.SPOKEN_OF, Presence.SILENT_ONCE, Presence.ABSENT_ONCE}
        assert unknown.isdisjoint(PRESENCE_TRANSITIONS[state].values())


def test_only_word_from_the_broker_ends_the_silence_of_an_order():
    for state, (event, target) in product(SILENT, PRESENCE_TRANSITIONS[Presence.SILENT_ONCE].items()):
        if event not in {
            *SAID_OF_PRESENCE.values(),
            PresenceEvent.MISSING_AGAIN,
            PresenceEvent.UNCOUNTED_AGAIN,
        }:
            assert target in SILENT, state


def test_every_sign_that_the_broker_has_it_ends_a_proof_of_absence_that_was_begun():
    for state, event in product(FIRST_ABSENCE, SAID_OF_PRESENCE.values()):
        assert PRESENCE_TRANSITIONS[state][event] not in FIRST_ABSENCE


# --- the wire's words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("PreSubmitted", OrderEvent.WORKING),
        ("Submitted", OrderEvent.WORKING),
        ("Cancelled", OrderEvent.CANCELLED),
        ("ApiCancelled", OrderEvent.CANCELLED),
        ("Inactive", OrderEvent.REFUSED),
        ("Filled", OrderEvent.NOTED),
        ("PendingSubmit", OrderEvent.NOTED),
        ("ApiPending", OrderEvent.NOTED),
        ("PendingCancel", OrderEvent.NOTED),
        ("PreCancelled", OrderEvent.NOTED),
        ("WarnState", OrderEvent.NOTED),
        ("", OrderEvent.NOTED),
    ],
)
def test_a_status_means(status, event):
    assert event_of_status(status) is event


def test_every_code_of_the_wire_has_a_meaning_in_every_state():
    for code, state in product(range(-1, 11000), OrderState):
        assert (state, event_of_code(code, state, changed=False)) in POSSIBLE
        assert (state, event_of_code(code, state, changed=True)) in POSSIBLE


# --- the document ---------------------------------------------------------------------------------


@every_machine
def test_a_diagram_shows_every_change_of_state(name):
    states, _, table, _ = MACHINES[name]
    arrows = [line for line in diagram(table).splitlines() if "-->" in line]
    shown = {
        (source.strip(), target, cause)
        for source, _, rest in (line.partition(" --> ") for line in arrows)
        for target, _, causes in [rest.partition(": ")]
        for cause in causes.split(", ")
    }
    wanted = {
        (state.value.replace(" ", "_"), cell.replace(" ", "_"), event.value)
        for (state, event), cell in cells(name).items()
        if cell not in {"=", "-"}
    }
    first = next(iter(states)).value.replace(" ", "_")
    assert shown == wanted | {("[*]", first, "")}


def test_the_document_of_the_order_life_is_what_the_code_says():
    written = Path(__file__).parents[2] / "docs" / "order-life.md"
    assert written.read_text(encoding="utf-8") == order_life.order_life(), (
        "run: python -m tools.docs.order_life"
    )


@every_machine
def test_the_document_explains_every_state_and_every_event(name, tmp_path):
    order_life.write(tmp_path)
    text = (tmp_path / "docs" / "order-life.md").read_text(encoding="utf-8")
    states, events, table, _ = MACHINES[name]
    assert diagram(table) in text
    for word in (*states, *events):
        assert f"| {word.value} |" in text


def test_the_document_has_every_code_that_bears_on_an_order():
    text = order_life.order_life()
    for code in CANCEL_REFUSALS | CHANGE_REFUSALS | {CANCELLATION, 104, 110, 201, 399, 404, 10349}:
        assert str(code) in text
