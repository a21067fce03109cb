"""Opening and closing a spread against a broker that is a model: its truth is compared with what was done."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spxarb.core.broker_books import BrokerOrder, BrokerSnapshot, Execution, OrderTicket
from spxarb.core.contracts import SPX_OPTION_TICKS, Contract, Quote
from spxarb.core.execution import (
    ClosePlan,
    Ending,
    OpenPlan,
    Outcome,
    closing,
    opening,
)
from spxarb.core.failsafe import failsafe
from spxarb.core.fees import FeeSchedule
from spxarb.core.limits import Limits
from spxarb.core.model import NEW_YORK, ZERO, LegName, Side, dec
from spxarb.core.order_events import (
    FillReport,
    LinkChange,
    NotSent,
    OrderMessage,
    OrderUpdate,
    QuoteUpdate,
    SnapshotFailed,
    SnapshotTaken,
    StopRequested,
    Timer,
)
from spxarb.core.order_words import Purpose
from spxarb.core.orders import OrderState, Presence
from spxarb.core.records import OrderName
from spxarb.core.steps import Cancel, Place, Reprice, SpreadState, Tactics, TakeSnapshot, Wake, finish
from spxarb.core.strategy import spx_price_cap, spy_price_floor
from spxarb.core.tracking import TrackedOrder
from tests.effort import examples

SPX, SPY = LegName.SPX, LegName.SPY
DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
SPX_CALL = Contract(
    61, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=Decimal(6000), right="C", multiplier=100,
    ticks=SPX_OPTION_TICKS,
)  # fmt: skip
SPY_CALL = Contract(
    62, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=Decimal(600), right="C", multiplier=100
)
SPX_INDEX = Contract(60, "SPX", "IND")
CALLS = {SPX: SPX_CALL, SPY: SPY_CALL}
TAG, TRADE = "4f1c", 12


# --- the broker's truth ---------------------------------------------------------------------------

WORKING, DYING, INACTIVE, OVER = "working", "dying", "inactive", "over"
TRAVELLING, SILENT, LOST = "travelling", "silent", "lost"
CANNOT_FILL = frozenset({OVER, LOST})


@dataclass
class Deal:
    """One order as it is in truth. `dying`: said to be cancelled, though a fill may still cross that.

    `silent`: the gateway has it, and not a word of it comes for a while. `lost`: it never arrived, and arrives
    if it is sent again.
    """

    ticket: OrderTicket
    leg: LegName
    purpose: Purpose
    limit: Decimal | None
    perm_id: int
    state: str = TRAVELLING
    status: str = ""
    asleep: bool = False
    listed: bool = False  # an inactive one is among the open orders
    completes: float = 0.0  # from then on it is among the completed orders
    on_cancel: object = None

    @property
    def ref(self):
        return self.ticket.order_ref

    @property
    def may_fill(self):
        return self.state not in CANNOT_FILL


class Exchange:
    """Orders, executions and positions in truth, and the news of them that are on their way."""

    def __init__(self, held=None):
        self.now = 0.0
        self.base = {SPX: 0, SPY: 0, **(held or {})}
        self.deals: dict[str, Deal] = {}
        self.executions: dict[str, Execution] = {}  # by family, with every revision in `told`
        self.told: list[Execution] = []
        self.mail: deque = deque()
        self.numbers = count(1)
        self.link_up = True

    # --- truth

    def filled(self, deal):
        ref = deal.ticket.order_ref
        return int(sum([e.quantity for e in self.executions.values() if e.order_ref == ref], ZERO))

    def left(self, deal):
        return deal.ticket.quantity - self.filled(deal)

    def position(self, leg):
        moved = ZERO
        for e in self.executions.values():
            if e.symbol == leg:
                moved += e.quantity if e.side is Side.BUY else -e.quantity
        return self.base[leg] + int(moved)

    def may_fill(self, leg):
        return [d for d in self.deals.values() if d.leg is leg and d.state not in CANNOT_FILL]

    # --- what happens to an order

    def place(self, ticket, leg, purpose):
        deal = Deal(ticket, leg, purpose, ticket.limit, 1000 + next(self.numbers))
        self.deals[ticket.order_ref] = deal
        return deal

    def accept(self, deal, status="Submitted"):
        deal.state, deal.status = WORKING, status
        self.tell_status(deal)

    def fill(self, deal, quantity, price=None, *, report=True, status=True):
        """Contracts change hands; the news of it may be lost."""
        quantity = min(quantity, self.left(deal))
        family = f"00.{next(self.numbers)}.1"
        price = price or deal.limit or Decimal(1)
        execution = Execution(
            exec_id=f"{family}.01", order_ref=deal.ref, order_id=1, client_id=1, perm_id=deal.perm_id,
            con_id=deal.ticket.contract.con_id, symbol=deal.leg, side=deal.ticket.side,
            quantity=Decimal(quantity), price=price, time=NOON + timedelta(seconds=self.now),
        )  # fmt: skip
        self._book(execution)
        if not self.left(deal):
            deal.state, deal.status = OVER, "Filled"
        if report:
            self.mail.append(FillReport(execution))
        if status:
            self.tell_status(deal)

    def _book(self, execution):
        self.executions[execution.family] = execution
        self.told.append(execution)

    def correct(self, execution, quantity, *, report=True):
        """The exchange replaces an execution by another revision of it."""
        number = int(execution.revision) + 1
        newer = replace(execution, exec_id=f"{execution.family}.{number:02}", quantity=Decimal(quantity))
        self._book(newer)
        if report:
            self.mail.append(FillReport(newer))

    def end(self, deal, *, status=True, code=202, completes=None):
        deal.state, deal.status = OVER, "Cancelled"
        deal.completes = self.now if completes is None else completes
        if status:
            self.tell_status(deal)
        if code:
            self.message(deal, code, "Order Canceled - reason:")

    def refuse(self, deal, code=201, text="Order rejected - reason:", *, status="Inactive", completes=0.0):
        deal.state, deal.completes = OVER, completes
        deal.status = status or deal.status
        if code:
            self.message(deal, code, text)
        if status:
            self.tell_status(deal)

    # --- news

    def tell_status(self, deal):
        done = Decimal(self.filled(deal))
        left = Decimal(self.left(deal))
        self.mail.append(OrderUpdate(deal.ref, 1, deal.status, done, left, deal.perm_id))

    def message(self, deal, code, text="words"):
        self.mail.append(OrderMessage(deal.ref, 1, code, text))

    def listing(self, deal):
        t = deal.ticket
        filled = Decimal(self.filled(deal))
        return BrokerOrder(
            deal.ref, 1, 1, deal.perm_id, t.contract.con_id, deal.leg, t.side, Decimal(t.quantity), deal.limit,
            deal.status, filled,
        )  # fmt: skip

    def open_orders(self):
        shown = (d for d in self.deals.values() if d.state == WORKING or (d.state == INACTIVE and d.listed))
        return tuple(map(self.listing, shown))

    def completed_orders(self):
        shown = (d for d in self.deals.values() if d.state == OVER and d.status and d.completes <= self.now)
        return tuple(map(self.listing, shown))


# --- the laws -------------------------------------------------------------------------------------


class Laws:
    """Watches one procedure over the shoulder: what it asks for, against the truth."""

    def __init__(self, exchange, spread, *, cap=None, floor=None, ratio=None, strict=True):
        self.exchange, self.spread = exchange, spread
        self.cap, self.floor, self.ratio = cap, floor, ratio
        self.strict = strict  # no correction has changed what was filled
        self.placed: set[str] = set()

    def of_action(self, action):
        match action:
            case Place():
                assert action.ticket.order_ref not in self.placed, "an order is sent once"
                self.placed.add(action.ticket.order_ref)
                assert self.spread.link_up
                assert action.ticket.quantity > 0
                self._price(action.ticket, action.purpose, action.ticket.limit)
                self._alone(action)
                self._quantity(action)
            case Reprice():
                order = self.spread.orders[action.ref]
                unheard = order.state is OrderState.SENT and order.silent
                assert order.state is OrderState.LIVE or unheard, "only what lives, or nobody has heard of"
                self._beside(order.leg, action.ref)
                assert self.spread.link_up
                self._price(order.ticket, order.purpose, action.limit)

    def _price(self, ticket, purpose, limit):
        if limit is None:
            return
        assert ticket.contract.ticks.legal(limit)
        if purpose is Purpose.ENTRY and ticket.side is Side.BUY:
            assert self.cap is not None
            assert limit <= self.cap
        if purpose is Purpose.ENTRY and ticket.side is Side.SELL:
            paid = self.spread.orders[str(OrderName(TAG, TRADE, SPX, Purpose.ENTRY, 1))].average_price
            assert limit >= self.floor(paid)

    def _alone(self, action):
        self._beside(action.leg, action.ticket.order_ref)

    def _beside(self, leg, ref):
        others = [deal.ref for deal in self.exchange.may_fill(leg) if deal.ref != ref]
        assert not others, f"{ref} beside {others}"
        assert all(t.proven for t in self.spread.orders.values() if t.leg is leg and t.ref != ref)

    def _quantity(self, action):
        if not self.strict:
            return
        quantity, position = action.ticket.quantity, self.exchange.position(action.leg)
        if action.purpose is Purpose.ENTRY:
            if action.leg is SPY:
                assert quantity * self.ratio[0] <= self.exchange.position(SPX) * self.ratio[1]
            return
        assert action.ticket.side is (Side.SELL if position > 0 else Side.BUY)
        assert quantity == abs(position), "exactly what is held"

    def of_truth(self):
        """After every event: who is short, who is hedged, what may still fill."""
        of_spx, of_spy = self.exchange.may_fill(SPX), self.exchange.may_fill(SPY)
        assert len(of_spx) <= 1, "never two orders that may fill for one leg"
        assert len(of_spy) <= 1, "never two orders that may fill for one leg"
        if not self.strict:
            return
        spx, spy = self.exchange.position(SPX), self.exchange.position(SPY)
        assert spx >= 0, "never more sold than is long"
        assert spy <= 0, "never more bought back than is short"
        buys = sum(self.exchange.left(d) for d in of_spy if d.ticket.side is Side.BUY)
        sells = sum(self.exchange.left(d) for d in of_spx if d.ticket.side is Side.SELL)
        assert spy + buys <= 0
        assert spx - sells >= 0
        if any(d.ticket.side is Side.SELL for d in of_spx):
            assert spy == 0, "SPX is not for sale while SPY is short"
        if self.ratio:
            might = -spy + sum(self.exchange.left(d) for d in of_spy if d.ticket.side is Side.SELL)
            assert might * self.ratio[0] <= spx * self.ratio[1], "hedge first"

    def of_outcome(self, outcome, wanted=None):
        """An ending is told only when the truth is so."""
        exchange = self.exchange
        spx, spy = exchange.position(SPX), exchange.position(SPY)
        ending = outcome.ending
        if ending is Ending.UNPROVEN:
            assert not all(order.proven for order in self.spread.orders.values())
            return
        assert not exchange.may_fill(SPX)
        assert not exchange.may_fill(SPY)
        if not self.strict:
            return
        assert (self.spread.held(SPX), self.spread.held(SPY)) == (spx, spy)
        match ending:
            case Ending.FLAT | Ending.UNWOUND:
                assert (spx, spy) == (0, 0)
            case Ending.NOTHING:
                assert not exchange.executions
            case Ending.OPENED:
                assert (spx, spy) == wanted
            case Ending.RESIDUAL:
                assert spy == 0
                assert spx > 0
            case Ending.INCOMPLETE:
                assert spx or spy


def drive(steps, broker, laws, most=5_000):
    """As the desk does it: the actions in their order, then one event."""
    try:
        actions = next(steps)
        for _ in range(most):
            for action in actions:
                laws.of_action(action)
                broker.perform(action)
            laws.of_truth()
            event = broker.next_event()
            laws.of_truth()
            actions = steps.send(event)
        raise AssertionError(f"no end after {most} events")
    except StopIteration as done:
        return done.value


# --- a broker by script ---------------------------------------------------------------------------


class Script(Exchange):
    """Fills at the quotes, at once and wholly, but where a play says otherwise. Nothing is left to chance.

    `plays` are by the order's short name, such as "SPY e1": what happens when that order arrives.
    """

    def __init__(self, spread, plays=None, held=None):
        super().__init__(held)
        self.spread, self.plays = spread, plays or {}
        self.log: list[str] = []
        self.ready: deque = deque()
        self.due: list = []
        self.quotes = dict(spread.quotes)
        self.on_fill: dict = {}
        self.matched: set[str] = set()
        self.epoch = 1
        self.answers = True  # the books are told

    def at(self, seconds, deed):
        heapq.heappush(self.due, (self.now + seconds, next(self.numbers), deed))

    def next_event(self):
        while True:
            for box in (self.ready, self.mail):
                if box:
                    return box.popleft()
            assert self.due, "nothing will ever happen again"
            self.now, _, deed = heapq.heappop(self.due)
            event = deed()
            if event is not None:
                return event

    # --- what is asked

    def perform(self, action):
        match action:
            case Place():
                self._place(action)
            case Reprice():
                self.log.append(f"{short(action.ref)} -> {action.limit}")
                self.at(0.1, lambda: self._reprice(self.deals[action.ref], action.limit))
            case Cancel():
                self.log.append(f"cancel {short(action.ref)}")
                if self.link_up:
                    self.at(0.1, lambda: self._cancel(self.deals[action.ref]))
            case TakeSnapshot():
                self._look()
            case Wake():
                self.at(action.seconds, lambda: Timer(action.name))

    def _place(self, action):
        t, name = action.ticket, short(action.ticket.order_ref)
        price = "at the market" if t.limit is None else f"at {t.limit}"
        self.log.append(f"{name}: {t.side.lower()} {t.quantity} {price}")
        track = self.spread.orders[t.order_ref]
        track.client_id, track.order_id = 1, len(self.deals) + 1
        if not self.link_up:
            self.ready.append(NotSent(t.order_ref, "the link is down"))
            return
        deal = self.place(t, action.leg, action.purpose)
        self.at(0.1, lambda: self.plays.get(name, Script.match)(self, deal))

    def _reprice(self, deal, limit):
        if deal.state == SILENT:
            deal.limit = limit
            return
        if deal.state == LOST:
            deal.limit = limit
            deal.state = TRAVELLING
            self.plays.get(f"{short(deal.ref)} again", Script.match)(self, deal)
            return
        if not deal.may_fill:
            self.message(deal, 104, "Cannot modify a filled order.")
            return
        deal.limit = limit
        self.tell_status(deal)
        self._try(deal)

    def _cancel(self, deal):
        if deal.state in {SILENT, LOST} and not deal.on_cancel:
            self.message(deal, 10147, "needs to be cancelled is not found")
        elif not (deal.may_fill or (deal.on_cancel and not deal.status)):
            self.message(deal, 10148, f"cannot be cancelled, state: {deal.status}")
        elif deal.on_cancel:
            deal.on_cancel(self, deal)
        else:
            self.end(deal)

    def _look(self):
        epoch = self.epoch
        up = self.link_up and self.answers

        def answer():
            if not (up and self.link_up):
                return SnapshotFailed("not told in time")
            shown = BrokerSnapshot(NOON, tuple(self.told), self.open_orders(), self.completed_orders(), ())
            return SnapshotTaken(shown, self.now, epoch)

        self.at(0.1 if up else 2.0, answer)

    # --- what happens

    def match(self, deal):
        """Accept it, and fill it as soon as the quotes allow."""
        self.matched.add(deal.ref)
        self.accept(deal)
        self._try(deal)

    def _try(self, deal):
        quote = self.quotes[deal.ticket.contract.con_id]
        buy = deal.ticket.side is Side.BUY
        touch = quote.ask if buy else quote.bid
        if deal.ref not in self.matched or not deal.may_fill or touch is None:
            return
        if deal.limit is None or (deal.limit >= touch if buy else deal.limit <= touch):
            self.fill(deal, self.left(deal), touch)

    def fill(self, deal, quantity, price=None, **told):
        super().fill(deal, quantity, price, **told)
        self.on_fill.pop(short(deal.ref), lambda: None)()

    def quote(self, leg, bid, ask, **more):
        con_id = CALLS[leg].con_id
        self.quotes[con_id] = quote(bid, ask, **more)
        self.mail.append(QuoteUpdate(con_id, self.quotes[con_id]))
        for deal in self.deals.values():
            if deal.leg is leg:
                self._try(deal)

    def stop(self):
        self.mail.append(StopRequested("close-all"))

    def cut(self, code=1100):
        """1100: the gateway's own link is lost; 0: the connection to the gateway is."""
        self.link_up = False
        self.epoch += 1
        self.mail.append(LinkChange(up=False, code=code, text="lost"))

    def restore(self, code=1102):
        self.link_up = True
        self.mail.append(LinkChange(up=True, code=code, text="restored"))


def short(ref):
    """SPY e1, from a whole reference."""
    return " ".join(ref.split(":")[3:])


@cache
def quote(bid, ask, **more):
    sides = {"bid": None if bid is None else dec(bid), "ask": None if ask is None else dec(ask)}
    told = {"bid_told": True, "no_bid": bid is None and more.get("bid_told", True)}
    return Quote(**{"data_type": 1, **told, **sides, **more})


# Plays: what happens when an order arrives.


def rests(broker, deal):
    """It works and never fills."""
    broker.accept(deal)


def lost(broker, deal):
    """It never arrives, however often it is sent."""
    deal.state = LOST
    broker.plays[f"{short(deal.ref)} again"] = lost


def on_arrival(deed):
    """What happens as soon as it arrives; afterwards nobody knows it any more."""

    def play(broker, deal):
        deed(broker, deal)
        deal.on_cancel = lambda broker, deal: broker.message(deal, 10147, "not found")

    return play


def silent(seconds, then=None):
    """The gateway has it, and not a word of it comes for so long."""

    def play(broker, deal):
        deal.state = SILENT
        broker.at(seconds, lambda: (then or Script.match)(broker, deal) if deal.state == SILENT else None)

    return play


def fills(*parts, then=None, **told):
    """It fills in parts `(seconds after, contracts)`, whatever the quotes say."""

    def play(broker, deal):
        broker.accept(deal)
        deal.on_cancel = then
        for seconds, quantity in parts:
            broker.at(seconds, lambda q=quantity: broker.fill(deal, q, **told) if deal.may_fill else None)

    return play


def refused(code=201, text="Order rejected - reason:margin", **how):
    return lambda broker, deal: broker.refuse(deal, code, text, **how)


def on_cancel(deed, play=rests):
    """It plays as `play`, until its end is asked for: then the deed."""

    def both(broker, deal):
        play(broker, deal)
        deal.on_cancel = deed

    return both


# Deeds: what happens when its end is asked for.


def crossed(quantity):
    """So much was filled already; the rest is cancelled."""

    def deed(broker, deal):
        if quantity:
            broker.fill(deal, quantity)
        if deal.may_fill:
            broker.end(deal)
        else:
            broker.message(deal, 10148, "cannot be cancelled, state: Filled")

    return deed


def deaf(broker, deal):
    """Nothing at all, and the order works on."""


def mute(broker, deal):
    """It is cancelled, and not a word of it."""
    broker.end(deal, status=False, code=None)


# --- the scene ------------------------------------------------------------------------------------

LIMITS, FEES = Limits(), FeeSchedule()
CAP = spx_price_cap(Decimal("2.35"), LIMITS, FEES, SPX_OPTION_TICKS)


def floor_of(paid):
    return spy_price_floor(paid, LIMITS, FEES, SPY_CALL.ticks)


def board_of(held=None, spx=("17.80", "18.00"), spy=("2.35", "2.37")):
    quotes = {SPX_CALL.con_id: quote(*spx), SPY_CALL.con_id: quote(*spy)}
    return SpreadState(TAG, TRADE, base=dict(held or {}), quotes=quotes)


def plan_of(**changes):
    tactics = Tactics(**{k: changes.pop(k) for k in list(changes) if k in Tactics.__dataclass_fields__})
    wanted = {"spx_quantity": 1, "spy_quantity": 10, "spx_cap": CAP, "spy_floor": floor_of, **changes}
    return OpenPlan(spx=SPX_CALL, spy=SPY_CALL, tactics=tactics, **wanted)


class Scene:
    """One opening or closing against a script; the laws watch."""

    def __init__(self, plays=None, held=None, **quotes):
        self.spread = board_of(held, **quotes)
        self.broker = Script(self.spread, plays, held)
        self.strict = True

    def open(self, **changes):
        plan = plan_of(**changes)
        ratio = (plan.spy_quantity, plan.spx_quantity)
        laws = Laws(
            self.broker, self.spread, cap=plan.spx_cap, floor=plan.spy_floor, ratio=(ratio[1], ratio[0]),
            strict=self.strict,
        )  # fmt: skip
        outcome = drive(opening(self.spread, plan), self.broker, laws)
        laws.of_outcome(outcome, (plan.spx_quantity, -plan.spy_quantity))
        return outcome

    def close(self, spx_trades=True, index=None, **changes):
        """`index`: the price of SPX, None when it is not known."""
        if index is not None:
            self.spread.quotes[SPX_INDEX.con_id] = Quote(last=index)
        plan = ClosePlan(SPX_CALL, SPY_CALL, Tactics(**changes), Purpose.EXIT, spx_trades, SPX_INDEX)
        laws = Laws(self.broker, self.spread, strict=self.strict)
        outcome = drive(closing(self.spread, plan), self.broker, laws)
        laws.of_outcome(outcome)
        return outcome

    @property
    def log(self):
        return self.broker.log

    @property
    def truth(self):
        return self.broker.position(SPX), self.broker.position(SPY)


KEPT = {SPX: 1, SPY: -10}


def test_the_scene_leaves_room_for_three_steps_up_and_three_down():
    assert Decimal("19.30") == CAP
    assert floor_of(Decimal("18.00")) == Decimal("2.22")


# --- opening --------------------------------------------------------------------------------------


def test_both_legs_fill_hedge_first():
    scene = Scene()
    assert scene.open() == Outcome(Ending.OPENED)
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPY e1: sell 10 at 2.35"]


def test_market_orders_where_no_limits_are_wanted():
    scene = Scene()
    assert scene.open(use_limit_orders=False).ending is Ending.OPENED
    assert scene.log == ["SPX e1: buy 1 at the market", "SPY e1: sell 10 at the market"]


@pytest.mark.parametrize(
    ("spx", "cap"),
    [(("17.80", None), CAP), (("19.30", "19.40"), CAP), (("17.80", "18.00"), None)],
    ids=["no ask", "an ask above the cap", "no price leaves enough"],
)
def test_nothing_is_sent_when_the_ask_leaves_no_credit(spx, cap):
    scene = Scene(spx=spx)
    assert scene.open(spx_cap=cap) == Outcome(Ending.NOTHING, "the SPX ask left no credit")
    assert scene.log == []


def test_nothing_is_sent_when_entries_were_forbidden_already():
    scene = Scene()
    scene.spread.stop = "close-all"
    assert scene.open() == Outcome(Ending.NOTHING, "close-all")
    assert scene.log == []


def test_an_spx_order_that_nobody_fills_leaves_nothing_behind():
    scene = Scene({"SPX e1": rests})
    outcome = scene.open()
    assert outcome == Outcome(Ending.NOTHING, "SPX filled 0 of 1: not filled in time")
    assert scene.log == [
        "SPX e1: buy 1 at 18.00",
        "SPX e1 -> 18.10",
        "SPX e1 -> 18.20",
        "SPX e1 -> 18.30",
        "cancel SPX e1",
    ]
    assert 4 * 30 <= scene.broker.now < 4 * 30 + 2


def test_the_spx_price_climbs_tick_by_tick_to_the_cap_and_never_beyond():
    scene = Scene({"SPX e1": rests})
    assert scene.open(attempts=30).ending is Ending.NOTHING
    prices = [line.split()[-1] for line in scene.log[1:-1]]
    assert prices == [f"{Decimal(181 + n) / 10:.2f}" for n in range(13)]
    assert prices[-1] == str(CAP)


def test_an_spx_price_that_meets_the_ask_on_its_way_up_fills():
    scene = Scene({"SPX e1": Script.match})
    scene.broker.at(0.05, lambda: scene.broker.quote(SPX, "18.00", "18.20"))
    assert scene.open().ending is Ending.OPENED
    assert scene.log[:3] == ["SPX e1: buy 1 at 18.00", "SPX e1 -> 18.10", "SPX e1 -> 18.20"]


def test_the_spy_price_sinks_tick_by_tick_to_the_floor_and_never_below():
    scene = Scene({"SPY e1": rests})
    assert scene.open(attempts=30).ending is Ending.UNWOUND
    prices = [line.split()[-1] for line in scene.log if line.startswith("SPY e1 ->")]
    assert prices == [f"{Decimal(234 - n) / 100:.2f}" for n in range(13)]
    assert prices[-1] == str(floor_of(Decimal("18.00")))


def test_the_spy_floor_follows_the_price_that_was_paid_for_spx():
    """Bought at 19.00 after all, 2.35 for SPY leaves just enough and 2.31 does not."""
    scene = Scene({"SPX e1": fills((1, 1)), "SPY e1": rests})
    scene.broker.plays["SPX e1"] = lambda broker, deal: (
        broker.accept(deal),
        broker.fill(deal, 1, Decimal("19.00")),
    )
    assert scene.open(attempts=30).ending is Ending.UNWOUND
    prices = [line.split()[-1] for line in scene.log if line.startswith("SPY e1 ->")]
    assert prices == ["2.34", "2.33", "2.32"]
    assert floor_of(Decimal("19.00")) == Decimal("2.32")


def test_the_spy_bid_vanishes_after_spx_was_bought_and_spx_is_sold_again():
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: scene.broker.mail.appendleft(
        QuoteUpdate(SPY_CALL.con_id, quote(None, "2.37"))
    )
    outcome = scene.open()
    assert outcome == Outcome(Ending.UNWOUND, "the SPY bid vanished after SPX was bought")
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPX u1: sell 1 at 17.80"]


NOT_OF_NOW = [
    ({"halted": True}, "call is halted"),
    ({"data_type": 2}, "call's data is frozen, not live"),
    ({"data_type": 3}, "call's data is delayed, not live"),
    ({"data_type": None}, "call's data is of an unknown kind, not live"),
]


@pytest.mark.parametrize(("more", "words"), NOT_OF_NOW)
def test_a_spy_quote_that_is_none_of_now_after_spx_was_bought_refuses_the_sale(more, words):
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: scene.broker.mail.appendleft(
        QuoteUpdate(SPY_CALL.con_id, quote("2.35", "2.37", **more))
    )
    assert scene.open() == Outcome(Ending.UNWOUND, f"the SPY {words}, after SPX was bought")
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPX u1: sell 1 at 17.80"]


@pytest.mark.parametrize("call", [SPX_CALL, SPY_CALL], ids=["SPX", "SPY"])
@pytest.mark.parametrize(("more", "words"), NOT_OF_NOW)
def test_nothing_is_bought_by_a_quote_that_is_none_of_now(call, more, words):
    scene = Scene()
    scene.spread.quotes[call.con_id] = replace(scene.spread.quotes[call.con_id], **more)
    assert scene.open() == Outcome(Ending.NOTHING, f"the {call.symbol} {words}")
    assert scene.log == []


def test_the_spy_bid_falls_below_the_floor_and_spx_is_sold_again():
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: scene.broker.mail.appendleft(
        QuoteUpdate(SPY_CALL.con_id, quote("2.21", "2.23"))
    )
    outcome = scene.open()
    assert outcome.ending is Ending.UNWOUND
    assert outcome.why == "with SPX bought at 18.00 the SPY bid 2.21 leaves too little credit"


def test_spy_contracts_fill_in_parts_within_the_attempts():
    scene = Scene({"SPY e1": fills((10, 3), (40, 7))})
    assert scene.open().ending is Ending.OPENED
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPY e1: sell 10 at 2.35", "SPY e1 -> 2.34"]


def test_a_part_of_spy_is_bought_back_whole_before_spx_is_sold():
    scene = Scene({"SPY e1": fills((10, 3))})
    outcome = scene.open()
    assert outcome.ending is Ending.UNWOUND
    assert scene.log[-3:] == ["cancel SPY e1", "SPY u1: buy 3 at 2.37", "SPX u1: sell 1 at 17.80"]


def test_a_fill_that_crosses_the_cancel_of_spy_is_bought_back_too():
    scene = Scene({"SPY e1": fills((10, 3), then=crossed(2))})
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log[-2:] == ["SPY u1: buy 5 at 2.37", "SPX u1: sell 1 at 17.80"]


def test_the_last_spy_fill_crosses_the_cancel_and_the_spread_is_open():
    scene = Scene({"SPY e1": fills((10, 3), then=crossed(7))})
    assert scene.open().ending is Ending.OPENED


def test_a_part_of_spx_is_sold_again_and_nothing_is_sold_against_it():
    scene = Scene({"SPX e1": fills((1, 1))})
    outcome = scene.open(spx_quantity=2, spy_quantity=20, spx_cap=Decimal(20))
    assert outcome.ending is Ending.UNWOUND
    assert scene.log[-2:] == ["cancel SPX e1", "SPX u1: sell 1 at 17.80"]


def test_a_stop_while_spx_works_ends_it():
    scene = Scene({"SPX e1": rests})
    scene.broker.at(7, scene.broker.stop)
    outcome = scene.open()
    assert outcome == Outcome(Ending.NOTHING, "SPX filled 0 of 1: close-all")
    assert scene.log == ["SPX e1: buy 1 at 18.00", "cancel SPX e1"]
    assert scene.broker.now < 9


def test_a_stop_between_the_steps_undoes_the_first():
    """Heard when SPX is filled already, though its report is still on the way."""
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: scene.broker.mail.appendleft(StopRequested("close-all"))
    assert scene.open() == Outcome(Ending.UNWOUND, "close-all")
    assert scene.log == ["SPX e1: buy 1 at 18.00", "cancel SPX e1", "SPX u1: sell 1 at 17.80"]


def test_a_stop_while_spy_is_being_sold_undoes_everything():
    scene = Scene({"SPY e1": fills((1, 4))})
    scene.broker.at(5, scene.broker.stop)
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log[1:] == [
        "SPY e1: sell 10 at 2.35",
        "cancel SPY e1",
        "SPY u1: buy 4 at 2.37",
        "SPX u1: sell 1 at 17.80",
    ]


def test_a_stop_does_not_stop_the_undoing():
    scene = Scene({"SPY e1": fills((1, 4)), "SPY u1": rests})
    scene.broker.at(5, scene.broker.stop)
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log[-2:] == ["SPY u2: buy 4 at the market", "SPX u1: sell 1 at 17.80"]


@pytest.mark.parametrize("status", ["Inactive", "Cancelled", ""])
def test_a_margin_reject_of_spy_undoes_spx(status):
    scene = Scene({"SPY e1": refused(201, status=status)})
    outcome = scene.open()
    assert outcome.ending is Ending.UNWOUND
    assert outcome.why == "SPY filled 0 of 10: 201 Order rejected - reason:margin"
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPY e1: sell 10 at 2.35", "SPX u1: sell 1 at 17.80"]
    assert scene.broker.now < 10


def test_a_margin_reject_after_the_order_was_acknowledged_is_not_waited_out():
    def play(broker, deal):
        broker.accept(deal, "PreSubmitted")
        broker.at(1, lambda: broker.refuse(deal, 201, "Order rejected - reason:margin", status=""))

    scene = Scene({"SPY e1": play})
    assert scene.open().ending is Ending.UNWOUND
    assert scene.broker.now < 10


def test_a_rejected_order_that_stays_listed_as_inactive_is_cancelled_before_anything_follows():
    def play(broker, deal):
        deal.state, deal.status, deal.listed = INACTIVE, "Inactive", True
        broker.message(deal, 201, "Order rejected - reason:margin")
        broker.tell_status(deal)

    scene = Scene({"SPY e1": play})
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log[1:] == ["SPY e1: sell 10 at 2.35", "cancel SPY e1", "SPX u1: sell 1 at 17.80"]


def test_the_price_of_an_order_that_is_seen_to_be_inactive_is_not_changed():
    """That might send it again."""
    scene = Scene({"SPX e1": rests})

    def inactive():
        deal = scene.broker.deals["spxarb:4f1c:12:SPX:e1"]
        deal.state, deal.status, deal.listed = INACTIVE, "Inactive", True

    scene.broker.at(4, scene.broker.cut)
    scene.broker.at(5, inactive)
    scene.broker.at(6, scene.broker.restore)
    assert scene.open().ending is Ending.NOTHING
    assert scene.log == ["SPX e1: buy 1 at 18.00", "cancel SPX e1"]
    assert scene.broker.now < 10


def test_an_inactive_spy_order_that_comes_back_to_life_is_ended_and_its_fill_bought_back():
    def play(broker, deal):
        deal.state, deal.status, deal.listed = INACTIVE, "Inactive", True
        broker.tell_status(deal)
        broker.at(0.05, lambda: broker.accept(deal))
        deal.on_cancel = crossed(2)

    scene = Scene({"SPY e1": play})
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log[2:] == ["cancel SPY e1", "SPY u1: buy 2 at 2.37", "SPX u1: sell 1 at 17.80"]


def test_an_order_that_the_broker_ends_by_itself_is_told_with_its_reason():
    def play(broker, deal):
        broker.accept(deal)
        broker.at(2, lambda: broker.end(deal))

    scene = Scene({"SPX e1": play})
    assert scene.open() == Outcome(Ending.NOTHING, "SPX filled 0 of 1: 202 Order Canceled - reason:")
    assert scene.log == ["SPX e1: buy 1 at 18.00"]


@pytest.mark.parametrize("code", [10349, 399, 404, 2109, 4711])
def test_a_warning_beside_a_live_order_changes_nothing(code):
    def play(broker, deal):
        broker.accept(deal)
        broker.message(deal, code)
        broker.at(3, lambda: broker.fill(deal, 1))

    scene = Scene({"SPX e1": play})
    assert scene.open().ending is Ending.OPENED


@pytest.mark.parametrize("code", [105, 110, 201])
def test_a_change_that_was_refused_is_not_asked_for_again(code):
    scene = Scene({"SPX e1": rests})
    scene.broker._reprice = lambda deal, _: scene.broker.message(deal, code)
    assert scene.open().ending is Ending.NOTHING
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPX e1 -> 18.10", "cancel SPX e1"]


def test_the_fill_whose_report_was_lost_is_found_in_the_books():
    scene = Scene({"SPX e1": fills((1, 1), report=False)})
    assert scene.open().ending is Ending.OPENED
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPY e1: sell 10 at 2.35"]


def test_a_fill_of_which_nobody_speaks_is_found_when_the_order_is_ended():
    scene = Scene({"SPX e1": fills((1, 1), report=False, status=False)})
    assert scene.open().ending is Ending.OPENED


def test_a_status_filled_whose_execution_is_never_shown_is_a_doubt():
    """Nothing is sold against it, nothing is bought instead of it."""

    def play(broker, deal):
        broker.accept(deal)
        broker.fill(deal, 1, report=False)
        broker.told.clear()

    scene = Scene({"SPX e1": play})
    assert scene.open() == Outcome(Ending.UNPROVEN, "how order spxarb:4f1c:12:SPX:e1 ended is not known")
    assert scene.log == ["SPX e1: buy 1 at 18.00"]


def test_an_execution_that_the_books_show_late_is_waited_for():
    def play(broker, deal):
        broker.accept(deal)
        broker.fill(deal, 1, report=False)
        held_back, broker.told = broker.told, []
        broker.at(42, lambda: broker.told.extend(held_back))

    scene = Scene({"SPX e1": play})
    assert scene.open().ending is Ending.OPENED


def test_a_purchase_that_never_arrives_is_sent_again_and_looked_for_over_minutes_before_nothing_is_told():
    scene = Scene({"SPX e1": lost})
    assert scene.open().ending is Ending.NOTHING
    again = ["SPX e1 -> 18.10", "SPX e1 -> 18.20", "SPX e1 -> 18.30"]
    assert scene.log == ["SPX e1: buy 1 at 18.00", *again, "cancel SPX e1"]
    assert 240 <= scene.broker.now < 245


def test_a_sale_that_nobody_hears_of_keeps_its_hedge():
    """It may be live all the same: without SPX its calls would be naked."""
    scene = Scene({"SPY e1": lost})
    assert scene.open().ending is Ending.UNPROVEN
    assert scene.truth == (1, 0)
    assert not any("sell" in line and line.startswith("SPX") for line in scene.log)


@pytest.mark.parametrize("seconds", [8, 12, 30, 53, 119])
@pytest.mark.parametrize("leg", ["SPX", "SPY"])
def test_an_order_that_is_silent_is_never_followed_by_another(leg, seconds):
    scene = Scene({f"{leg} e1": silent(seconds)})
    assert scene.open().ending is Ending.OPENED
    assert [line for line in scene.log if "buy" in line or "sell" in line] == [
        "SPX e1: buy 1 at 18.00",
        "SPY e1: sell 10 at 2.35",
    ]
    assert scene.truth == (1, -10)


@pytest.mark.parametrize("seconds", [8, 12, 30, 53, 119])
@pytest.mark.parametrize("leg", ["SPX", "SPY"])
def test_a_closing_order_that_is_silent_is_never_followed_by_another(leg, seconds):
    scene = Scene({f"{leg} x1": silent(seconds)}, held=KEPT)
    assert scene.close().ending is Ending.FLAT
    assert not any(" x2" in line for line in scene.log)
    assert scene.truth == (0, 0)


def test_a_code_that_we_do_not_know_begins_the_search_at_once():
    """It may be the only word that ever comes of the order; a sale is looked for over minutes."""
    scene = Scene({"SPY e1": on_arrival(lambda broker, deal: broker.refuse(deal, 4711, "no", status=""))})
    outcome = scene.open()
    assert outcome.ending is Ending.UNWOUND
    assert "4711 no" in outcome.why
    assert scene.log[1:3] == ["SPY e1: sell 10 at 2.35", "cancel SPY e1"]
    assert 120 < scene.broker.now < 130


def test_a_code_that_we_do_not_know_beside_a_live_order_ends_nothing():
    def play(broker, deal):
        broker.message(deal, 4711, "just so that you know")
        broker.match(deal)

    assert Scene({"SPY e1": play}).open().ending is Ending.OPENED


def test_a_code_that_we_do_not_know_and_a_cancel_that_is_not_found_are_no_end_while_it_is_listed():
    def play(broker, deal):
        broker.accept(deal)
        broker.mail.pop()  # its status is lost
        broker.message(deal, 4711, "who knows")
        deal.on_cancel = lambda broker, deal: broker.message(deal, 10147, "not found")

    scene = Scene({"SPY e1": play})
    scene.broker.at(
        6, lambda: scene.broker.fill(next(d for d in scene.broker.deals.values() if d.leg is SPY), 10)
    )
    assert scene.open().ending is Ending.OPENED


def test_an_order_that_arrives_between_two_looks_is_not_absent():
    """Cancelled before it was there, it fills a minute later unless it is found."""

    def play(broker, deal):
        deal.state = SILENT
        broker.at(153, lambda: broker.accept(deal))

    scene = Scene({"SPX e1": play})
    scene.broker._cancel = lambda deal: (
        scene.broker.end(deal) if deal.state == WORKING else scene.broker.message(deal, 10147, "not found")
    )
    assert scene.open().ending is Ending.NOTHING
    assert scene.log[4:] == ["cancel SPX e1"] * 2


def test_a_completed_order_that_lags_is_replaced_by_a_second_look():
    scene = Scene({"SPX e1": on_cancel(lambda broker, deal: broker.end(deal, completes=1e9))})
    assert scene.open().ending is Ending.NOTHING
    assert 125 <= scene.broker.now < 130


def test_a_fill_that_comes_after_cancelled_is_counted():
    """The word Cancelled was wrong: a fill had crossed it, and is told three seconds later."""

    def deed(broker, deal):
        deal.state, deal.status = DYING, "Cancelled"
        broker.tell_status(deal)
        broker.message(deal, 202, "Order Canceled - reason:")
        broker.at(3, lambda: broker.fill(deal, 1, report=False, status=False))

    scene = Scene({"SPX e1": on_cancel(deed)})
    scene.broker.at(5, scene.broker.stop)
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log == ["SPX e1: buy 1 at 18.00", "cancel SPX e1", "SPX u1: sell 1 at 17.80"]


@pytest.mark.parametrize("deed", [mute, crossed(0)], ids=["no word of it", "word of it"])
def test_a_cancel_without_a_word_is_proven_by_the_books(deed):
    scene = Scene({"SPX e1": on_cancel(deed)})
    assert scene.open().ending is Ending.NOTHING


def test_a_cancel_that_is_never_heard_is_a_doubt():
    scene = Scene({"SPX e1": on_cancel(deaf)})
    assert scene.open().ending is Ending.UNPROVEN
    assert scene.log.count("cancel SPX e1") > 1
    assert not [line for line in scene.log if "SPY" in line or "u1" in line]


def test_a_doubt_about_spy_leaves_everything_as_it_is_for_the_next_run():
    scene = Scene({"SPY e1": on_cancel(deaf, fills((1, 4)))})
    assert scene.open().ending is Ending.UNPROVEN
    assert not [line for line in scene.log if " u1" in line]


def test_books_that_are_never_told_are_a_doubt():
    scene = Scene({"SPX e1": rests})
    scene.broker.answers = False
    assert scene.open().ending is Ending.UNPROVEN


def test_contracts_taken_away_from_spx_while_spy_is_sold_end_the_sale():
    scene = Scene({"SPX e1": fills((1, 2)), "SPY e1": fills((5, 3), (60, 7))})
    scene.strict = False

    def correction():
        first = next(iter(scene.broker.executions.values()))
        scene.broker.correct(first, 1)

    scene.broker.at(10, correction)
    outcome = scene.open(
        spx_quantity=2, spy_quantity=10, spx_cap=Decimal(20), spy_floor=lambda _: Decimal("2.20")
    )
    assert outcome == Outcome(Ending.UNWOUND, "a correction left 1 of 2 SPX calls")
    assert scene.log[-3:] == ["cancel SPY e1", "SPY u1: buy 3 at 2.37", "SPX u1: sell 1 at 17.80"]
    assert scene.truth == (0, 0)


# --- opening while the link goes ------------------------------------------------------------------


def test_a_link_that_is_down_at_the_start_and_stays_down_begins_nothing():
    scene = Scene()
    scene.spread.link_up = scene.broker.link_up = False
    assert scene.open() == Outcome(Ending.NOTHING, "the link to the broker is down")
    assert scene.log == []
    assert scene.broker.now == 20


def test_a_link_that_comes_back_in_time_lets_the_opening_begin():
    scene = Scene()
    scene.spread.link_up = scene.broker.link_up = False
    scene.broker.at(9, scene.broker.restore)
    assert scene.open().ending is Ending.OPENED


def test_a_stop_while_the_link_is_waited_for_is_obeyed():
    scene = Scene()
    scene.spread.link_up = scene.broker.link_up = False
    scene.broker.at(8, scene.broker.stop)
    scene.broker.at(9, scene.broker.restore)
    assert scene.open() == Outcome(Ending.NOTHING, "close-all")
    assert scene.log == []


def test_an_order_that_the_socket_did_not_take_was_not_sent():
    scene = Scene()
    scene.broker.link_up = False  # nobody has told us yet
    assert scene.open() == Outcome(Ending.NOTHING, "SPX filled 0 of 1: the link is down")


def test_what_was_filled_while_the_link_was_down_is_looked_for_when_it_is_back():
    """Not only when the next price is due."""
    scene = Scene({"SPX e1": fills((5, 1), report=False, status=False)})
    scene.broker.at(4, scene.broker.cut)
    scene.broker.at(6, scene.broker.restore)
    assert scene.open().ending is Ending.OPENED
    assert scene.broker.now < 8


def test_a_link_that_flaps_does_not_hold_the_clock_up():
    scene = Scene({"SPX e1": rests})
    for n in range(50):
        scene.broker.at(2 + n, scene.broker.cut)
        scene.broker.at(2.5 + n, scene.broker.restore)
    assert scene.open().ending is Ending.NOTHING
    assert scene.broker.now < 60


def test_a_cancel_that_the_link_swallowed_is_asked_for_again():
    """Else the order fills a minute later, when nobody is there any more."""
    scene = Scene({"SPX e1": rests})
    scene.broker.at(10, scene.broker.cut)
    scene.broker.at(10.1, scene.broker.stop)
    scene.broker.at(25, scene.broker.restore)
    assert scene.open().ending is Ending.NOTHING
    assert scene.log == ["SPX e1: buy 1 at 18.00", "cancel SPX e1", "cancel SPX e1"][: len(scene.log)]
    assert scene.log[-1] == "cancel SPX e1"


def lose_link_first(scene):
    """The news of a lost link come before the news of the fill."""
    scene.broker.cut()
    scene.broker.mail.rotate(1)


def test_the_link_goes_after_spx_was_bought_and_stays_away():
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: lose_link_first(scene)
    outcome = scene.open()
    assert outcome == Outcome(
        Ending.INCOMPLETE, "the link to the broker is down; 1 long SPX call could not be closed"
    )
    assert scene.log == ["SPX e1: buy 1 at 18.00"]


def test_the_link_goes_after_spx_was_bought_and_comes_back():
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: lose_link_first(scene)
    scene.broker.at(12, scene.broker.restore)
    assert scene.open().ending is Ending.OPENED


def test_the_spy_bid_that_is_gone_when_the_link_is_back_is_not_sold_to():
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = lambda: lose_link_first(scene)
    scene.broker.at(11, lambda: scene.broker.quote(SPY, "2.10", "2.12"))
    scene.broker.at(12, scene.broker.restore)
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPX u1: sell 1 at 17.80"]


def test_an_order_that_the_socket_did_not_take_tells_that_the_link_is_down():
    """Else every rung would be burnt in a moment, and SPX left."""
    scene = Scene()
    scene.broker.on_fill["SPX e1"] = scene.broker.cut
    scene.broker.at(12, scene.broker.restore)
    assert scene.open().ending is Ending.UNWOUND
    assert scene.log == ["SPX e1: buy 1 at 18.00", "SPY e1: sell 10 at 2.35", "SPX u1: sell 1 at 17.80"]


@pytest.mark.parametrize("code", [0, 1100])
@pytest.mark.parametrize("name", ["SPX e1", "SPY e1"])
def test_a_link_that_goes_for_good_while_an_order_works_is_a_doubt(name, code):
    scene = Scene({name: rests})
    scene.broker.at(1, lambda: scene.broker.cut(code))
    assert scene.open().ending is Ending.UNPROVEN
    assert not [line for line in scene.log if " u1" in line]


def test_a_connection_that_is_gone_is_not_waited_for():
    """Only a new one can help, and the sooner the better."""
    scene = Scene({"SPX e1": rests})
    scene.broker.at(1, lambda: (scene.broker.cut(0), scene.broker.stop())[2:])
    assert scene.open().ending is Ending.UNPROVEN
    assert scene.broker.now < 2


# --- closing --------------------------------------------------------------------------------------


def test_nothing_held_is_flat_without_an_order():
    scene = Scene()
    assert scene.close() == Outcome(Ending.FLAT)
    assert scene.log == []


def test_spy_is_bought_back_before_spx_is_sold():
    scene = Scene(held=KEPT)
    assert scene.close() == Outcome(Ending.FLAT)
    assert scene.log == ["SPY x1: buy 10 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_the_exit_climbs_from_the_touch_through_it_to_the_market():
    scene = Scene({"SPY x1": rests}, held=KEPT)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == [
        "SPY x1: buy 10 at 2.37",
        "SPY x1 -> 2.38",
        "SPY x1 -> 2.39",
        "SPY x1 -> 2.41",
        "SPY x1 -> 2.45",
        "SPY x1 -> 2.53",
        "cancel SPY x1",
        "SPY x2: buy 10 at the market",
        "SPX x1: sell 1 at 17.80",
    ]


def test_the_exit_never_goes_further_than_a_fifth_through_the_price():
    scene = Scene({"SPX x1": rests}, held={SPX: 1}, spx=("0.50", "0.60"))
    assert scene.close(exit_rungs=8).ending is Ending.FLAT
    assert [line.split()[-1] for line in scene.log[:-2]] == ["0.50", "0.45", "0.40"]


def test_the_ladder_follows_the_market():
    scene = Scene({"SPY x1": rests}, held={SPY: -10})
    scene.broker.at(3, lambda: scene.broker.quote(SPY, "2.50", "2.52"))
    scene.close(exit_rungs=3)
    assert scene.log[:3] == ["SPY x1: buy 10 at 2.37", "SPY x1 -> 2.53", "SPY x1 -> 2.54"]


def test_what_an_exit_order_did_not_fill_is_left_to_the_next_and_no_more():
    scene = Scene({"SPY x1": fills((3, 4), then=crossed(1))}, held=KEPT)
    assert scene.close().ending is Ending.FLAT
    assert scene.log[-2:] == ["SPY x2: buy 5 at the market", "SPX x1: sell 1 at 17.80"]


def test_without_market_orders_a_leg_may_be_left_and_its_hedge_is_kept():
    scene = Scene({"SPY x1": rests}, held=KEPT)
    outcome = scene.close(market_exit=False)
    assert outcome == Outcome(
        Ending.INCOMPLETE, "10 short SPY calls could not be closed, so SPX is kept as the hedge"
    )
    assert not [line for line in scene.log if "SPX" in line]
    assert scene.truth == (1, -10)


def test_without_any_quotes_the_market_decides_after_a_bounded_wait():
    scene = Scene(held=KEPT, spx=(None, None), spy=(None, None))
    scene.broker.plays = {"SPY x1": fills((0, 10)), "SPX x1": fills((0, 1))}
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPY x1: buy 10 at the market", "SPX x1: sell 1 at the market"]
    assert 20 <= scene.broker.now < 22


def test_without_any_quotes_and_without_market_orders_nothing_can_be_done():
    scene = Scene(held=KEPT, spx=(None, None), spy=(None, None))
    assert scene.close(market_exit=False).ending is Ending.INCOMPLETE
    assert scene.log == []


def test_quotes_that_come_within_the_wait_are_used():
    scene = Scene(held=KEPT, spy=(None, None))
    scene.broker.at(4, lambda: scene.broker.quote(SPY, "2.35", "2.37"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log[0] == "SPY x1: buy 10 at 2.37"


def test_every_order_refused_leaves_everything_and_says_so():
    scene = Scene({"SPY x1": refused(), "SPY x2": refused()}, held=KEPT)
    assert scene.close().ending is Ending.INCOMPLETE
    assert scene.truth == (1, -10)


def test_a_worthless_spx_call_is_offered_once_at_the_lowest_price_and_left_to_settlement():
    scene = Scene(held=KEPT, spx=(None, "0.05"))
    assert scene.close() == Outcome(Ending.RESIDUAL, "1 long SPX call without a bid left to cash settlement")
    assert scene.log == ["SPY x1: buy 10 at 2.37", "SPX x1: sell 1 at 0.05", "cancel SPX x1"]
    assert scene.broker.now < 36


def test_a_worthless_spx_call_that_finds_a_buyer_is_sold():
    scene = Scene(held={SPX: 1}, spx=(None, "0.05"))
    scene.broker.at(9, lambda: scene.broker.quote(SPX, "0.05", "0.10"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at 0.05"]


def test_a_bid_that_comes_back_after_the_offer_is_sold_to():
    scene = Scene({"SPX x1": rests}, held={SPX: 1}, spx=(None, "0.05"))
    scene.broker.at(9, lambda: scene.broker.quote(SPX, "0.30", "0.40"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at 0.05", "cancel SPX x1", "SPX x2: sell 1 at 0.30"]


def test_a_bid_that_may_be_on_its_way_is_waited_for_before_spx_is_called_worthless():
    scene = Scene(held={SPX: 1})
    scene.spread.quotes[SPX_CALL.con_id] = quote(None, "18.00", bid_told=False)
    scene.broker.at(2, lambda: scene.broker.quote(SPX, "17.80", "18.00"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at 17.80"]


def test_a_bid_that_is_missing_for_a_second_makes_no_call_worthless():
    scene = Scene(held={SPX: 1}, spx=(None, "0.05"))
    scene.broker.at(1, lambda: scene.broker.quote(SPX, "17.80", "18.00"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at 17.80"]


@pytest.mark.parametrize("price", [None, SPX_CALL.strike + 54])
@pytest.mark.parametrize("no_bid", [True, False])
def test_a_call_in_the_money_without_a_bid_goes_at_the_market_and_not_for_the_lowest_price(price, no_bid):
    """Where the price of SPX is not known the ask says that it is worth something."""
    scene = Scene({"SPX x1": fills((1, 1))}, held={SPX: 1})
    scene.spread.quotes[SPX_CALL.con_id] = quote(None, "54.30", no_bid=no_bid)
    assert scene.close(index=price).ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at the market"]


def test_a_call_in_the_money_without_a_bid_and_without_market_orders_is_no_residual():
    scene = Scene(held={SPX: 1}, spx=(None, "0.05"))
    outcome = scene.close(index=SPX_CALL.strike, market_exit=False)
    assert outcome == Outcome(Ending.INCOMPLETE, "1 long SPX call could not be closed")
    assert scene.log == []


def test_a_bid_of_minus_one_beside_a_cheap_ask_is_worthless_only_out_of_the_money():
    for price, ending in ((SPX_CALL.strike - 1, Ending.RESIDUAL), (None, Ending.INCOMPLETE)):
        scene = Scene({"SPX x1": rests}, held={SPX: 1})
        scene.spread.quotes[SPX_CALL.con_id] = quote(None, "0.05", no_bid=False)
        assert scene.close(index=price).ending is ending


def test_a_call_that_becomes_worthless_while_it_is_offered_is_left_to_settlement():
    scene = Scene({"SPX x1": rests, "SPX x2": rests}, held={SPX: 1}, spx=("0.05", "0.10"))
    scene.broker.at(29, lambda: scene.broker.quote(SPX, None, "0.05"))
    assert scene.close().ending is Ending.RESIDUAL
    assert "SPX x2: sell 1 at the market" in scene.log, "one look alone has kept it from the market"


def test_two_looks_are_two_in_a_row():
    """Between them the ask was gone: from then on it is one look again."""
    scene = Scene(held={SPX: 1}, spx=(None, "0.05"))
    for second, bid, ask in ((1, None, None), (2.5, None, "0.05"), (4, "17.80", "18.00")):
        scene.broker.at(second, lambda b=bid, a=ask: scene.broker.quote(SPX, b, a))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPX x1: sell 1 at 17.80"]


def test_an_spx_call_that_trades_no_more_is_left_to_settlement_and_spy_bought_back():
    scene = Scene(held=KEPT)
    outcome = scene.close(spx_trades=False)
    assert outcome == Outcome(Ending.RESIDUAL, "1 long SPX call left to cash settlement")
    assert scene.log == ["SPY x1: buy 10 at 2.37"]


# --- closing with earlier orders ------------------------------------------------------------------


def earlier(scene, name, side, quantity, state=WORKING, limit=None, filled=0):
    """An order that an earlier run of the program left behind: known to the ledger, its fate unknown."""
    leg, kind = LegName(name.split()[0]), name.split()[1]
    purpose, attempt = Purpose(kind[0]), int(kind[1:])
    ref = str(OrderName(TAG, TRADE, leg, purpose, attempt))
    sleeps = NOON if purpose is Purpose.FAILSAFE else None
    ticket = OrderTicket(ref, CALLS[leg], side, quantity, limit, good_after=sleeps)
    scene.spread.orders[ref] = TrackedOrder(
        ticket, leg, purpose, attempt, client_id=1, order_id=attempt, limit=limit
    )
    scene.spread.attempts[leg, purpose] = attempt
    deal = scene.broker.place(ticket, leg, purpose)
    deal.state, deal.status = state, "PreSubmitted"
    if filled:
        scene.broker.fill(deal, filled, report=False, status=False)
    return deal


def test_a_resting_failsafe_is_proven_over_before_spy_is_bought_back():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY f1", Side.BUY, 10)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPY f1", "SPY x1: buy 10 at 2.37", "SPX x1: sell 1 at 17.80"]
    assert scene.broker.now < 2


def test_a_failsafe_that_fills_in_part_while_it_is_cancelled_is_counted():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY f1", Side.BUY, 10).on_cancel = crossed(4)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPY f1", "SPY x1: buy 6 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_a_failsafe_that_fills_wholly_while_it_is_cancelled_leaves_only_spx():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY f1", Side.BUY, 10).on_cancel = crossed(10)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPY f1", "SPX x1: sell 1 at 17.80"]


def test_a_failsafe_that_cannot_be_proven_over_keeps_everything_as_it_is():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY f1", Side.BUY, 10).on_cancel = deaf
    assert scene.close().ending is Ending.UNPROVEN
    assert set(scene.log) == {"cancel SPY f1"}


def test_an_exit_that_was_cut_off_is_ended_and_what_it_filled_is_not_bought_again():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY x1", Side.BUY, 10, limit=Decimal("2.37"), filled=7)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPY x1", "SPY x2: buy 3 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_an_earlier_order_that_never_arrived_is_sent_again_under_its_own_id():
    scene = Scene(held=KEPT)
    earlier(scene, "SPY x1", Side.BUY, 10, state=LOST, limit=Decimal("2.10")).status = ""
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPY x1 -> 2.37", "SPX x1: sell 1 at 17.80"]
    assert scene.broker.now < 2


@pytest.mark.parametrize(
    ("held", "kept", "side", "quantity"),
    [(KEPT, "SPY x1", Side.BUY, 10), ({SPX: 1}, "SPX x1", Side.SELL, 1)],
    ids=["SPY", "SPX"],
)
def test_an_earlier_order_does_not_stay_at_the_broker_beside_one_in_doubt(held, kept, side, quantity):
    """It is not sent again, for both might fill: so it is ended too, silent as it may be."""
    scene = Scene(held=held)
    earlier(scene, "SPY f1", Side.BUY, 10, state=OVER).completes = 1e9
    deal = earlier(scene, kept, side, quantity, state=SILENT, limit=Decimal("2.37"))
    deal.status, deal.on_cancel = "", mute
    assert scene.close() == Outcome(Ending.UNPROVEN, "how order spxarb:4f1c:12:SPY:f1 ended is not known")
    assert scene.log[-1] == f"cancel {kept}"
    assert not deal.may_fill


def test_an_earlier_sale_of_spx_is_ended_where_spx_trades_no_more():
    scene = Scene(held={SPX: 1})
    deal = earlier(scene, "SPX x1", Side.SELL, 1, state=SILENT, limit=Decimal("17.80"))
    deal.status, deal.on_cancel = "", mute
    assert scene.close(spx_trades=False).ending is Ending.RESIDUAL
    assert scene.log == ["cancel SPX x1"]
    assert not deal.may_fill


@pytest.mark.parametrize("name", ["SPY u1", "SPY f1"])
def test_an_earlier_purchase_that_never_arrived_costs_two_looks_minutes_apart(name):
    """It was for something else, so it is not sent again."""
    scene = Scene(held=KEPT)
    earlier(scene, name, Side.BUY, 10, state=LOST).status = ""
    assert scene.close().ending is Ending.FLAT
    assert scene.log == [f"cancel {name}", "SPY x1: buy 10 at 2.37", "SPX x1: sell 1 at 17.80"]
    assert 120 <= scene.broker.now < 130


def test_an_earlier_sale_of_which_nobody_heard_is_over_by_the_next_order_id_alone():
    scene = Scene(held={SPX: 1})
    earlier(scene, "SPY e1", Side.SELL, 10, state=LOST, limit=Decimal(2)).status = ""
    assert scene.close().ending is Ending.UNPROVEN
    assert scene.truth == (1, 0)
    scene = Scene(held={SPX: 1})
    earlier(scene, "SPY e1", Side.SELL, 10, state=LOST, limit=Decimal(2)).status = ""
    scene.spread.unproven()[0].on_next_id(1)
    assert scene.close().ending is Ending.FLAT


def test_an_entry_that_was_cut_off_with_its_orders_still_working_is_undone():
    scene = Scene(held={SPX: 1})
    earlier(scene, "SPY e1", Side.SELL, 10, limit=Decimal("2.35"), filled=2).on_cancel = crossed(1)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPY e1", "SPY x1: buy 3 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_a_doubt_about_spx_does_not_keep_spy_from_being_bought_back():
    scene = Scene(held=KEPT)
    earlier(scene, "SPX e1", Side.BUY, 1, limit=Decimal(18)).on_cancel = deaf
    assert scene.close().ending is Ending.UNPROVEN
    assert scene.log[-1] == "SPY x1: buy 10 at 2.37"
    assert scene.truth == (1, 0)


def test_a_doubt_about_spx_that_is_cleared_up_meanwhile_is_none():
    """Told by chance: the order fills while SPY is bought back, and what it filled is sold."""
    scene = Scene({"SPY x1": fills((3, 10))}, held=KEPT)
    deal = earlier(scene, "SPX e1", Side.BUY, 1, limit=Decimal(18))
    deal.on_cancel = deaf
    placed = scene.broker._place

    def place(action):
        placed(action)
        if deal.may_fill:
            scene.broker.at(1, lambda: scene.broker.fill(deal, 1))

    scene.broker._place = place
    assert scene.close().ending is Ending.FLAT
    assert scene.log[-2:] == ["SPY x1: buy 10 at 2.37", "SPX x1: sell 2 at 17.80"]


def test_an_spx_sale_of_an_earlier_run_is_ended_before_spy_is_bought_back():
    scene = Scene(held=KEPT)
    scene.strict = False
    earlier(scene, "SPX x1", Side.SELL, 1, limit=Decimal(18))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["cancel SPX x1", "SPY x1: buy 10 at 2.37", "SPX x2: sell 1 at 17.80"]


@pytest.mark.parametrize(("deed", "proven"), [(mute, True), (crossed(4), True), (deaf, False)])
def test_an_order_is_finished_only_when_its_end_is_proven(deed, proven):
    scene = Scene(held=KEPT)
    deal = earlier(scene, "SPY x1", Side.BUY, 10, limit=Decimal("2.37"))
    deal.on_cancel = deed
    order = scene.spread.orders[deal.ref]
    laws = Laws(scene.broker, scene.spread)
    assert drive(finish(scene.spread, order), scene.broker, laws) is proven
    assert order.proven is proven


# --- closing upset by late news -------------------------------------------------------------------


def sold_before(scene, quantity):
    """An entry sale of SPY, proven over, in the books; its correction can come at any time."""
    deal = earlier(scene, "SPY e1", Side.SELL, 10, filled=quantity)
    deal.state, deal.status = OVER, "Cancelled"
    order = scene.spread.orders[deal.ref]
    order.on_execution(scene.broker.told[-1])
    order.state = OrderState.ENDED
    return scene.broker.told[-1]


def test_a_late_spy_fill_ends_the_sale_of_spx_until_spy_is_bought_back_again():
    scene = Scene({"SPX x1": rests}, held={SPX: 1})
    first = sold_before(scene, 4)
    scene.strict = False
    scene.broker.at(2, lambda: scene.broker.correct(first, 6))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == [
        "SPY x1: buy 4 at 2.37",
        "SPX x1: sell 1 at 17.80",
        "cancel SPX x1",
        "SPY x2: buy 2 at 2.37",
        "SPX x2: sell 1 at 17.80",
    ]
    assert scene.truth == (0, 0)


def test_a_correction_that_turns_short_into_long_is_sold_off():
    scene = Scene({"SPX x1": fills((4, 1))}, held={SPX: 1})
    first = sold_before(scene, 4)
    scene.strict = False
    scene.broker.at(2, lambda: scene.broker.correct(first, 3))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPY x1: buy 4 at 2.37", "SPX x1: sell 1 at 17.80", "SPY x2: sell 1 at 2.35"]
    assert scene.truth == (0, 0)


def test_contracts_that_change_during_the_wait_for_a_quote_are_the_ones_that_are_traded():
    scene = Scene(held={SPX: 1}, spy=(None, None))
    first = sold_before(scene, 4)
    scene.strict = False
    scene.broker.at(2, lambda: scene.broker.correct(first, 6))
    scene.broker.at(4, lambda: scene.broker.quote(SPY, "2.35", "2.37"))
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPY x1: buy 6 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_contracts_that_change_during_the_wait_for_the_link_are_the_ones_that_are_traded():
    scene = Scene(held={SPX: 1})
    first = sold_before(scene, 4)
    scene.strict = False
    scene.spread.link_up = scene.broker.link_up = False
    scene.broker.at(2, lambda: scene.broker.correct(first, 6))
    scene.broker.at(4, scene.broker.restore)
    assert scene.close().ending is Ending.FLAT
    assert scene.log == ["SPY x1: buy 6 at 2.37", "SPX x1: sell 1 at 17.80"]


def test_an_order_that_lives_again_beside_another_of_its_leg_ends_both_before_a_third():
    """The books had shown it absent twice: it can only be found again, never foreseen."""
    scene = Scene({"SPY x1": rests}, held={SPY: -10})
    old = earlier(scene, "SPY u1", Side.BUY, 10, state=LOST, limit=Decimal("2.37"))
    old.status = ""
    laws = Laws(scene.broker, scene.spread)
    laws.of_truth = lambda: None

    def revive():
        scene.broker.accept(old)
        old.on_cancel = crossed(3)

    scene.broker.at(123, revive)
    outcome = drive(closing(scene.spread, ClosePlan(SPX_CALL, SPY_CALL, Tactics())), scene.broker, laws)
    assert outcome.ending is Ending.FLAT
    assert scene.log == [
        *("cancel SPY u1", "SPY x1: buy 10 at 2.37", "cancel SPY x1", "cancel SPY u1"),
        "SPY x2: buy 7 at 2.37",
    ]
    assert scene.truth == (0, 0)


def test_late_fills_without_end_are_never_told_as_flat():
    scene = Scene(held={SPX: 1})
    first = sold_before(scene, 1)
    scene.strict = False

    def another(quantity):
        latest = scene.broker.executions[first.family]
        scene.broker.correct(latest, quantity)

    for n in range(1, 8):
        scene.broker.on_fill[f"SPY x{n}"] = lambda n=n: scene.broker.at(0.2, lambda: another(n + 1))
    scene.broker.plays = {f"SPX x{n}": rests for n in range(1, 9)}
    outcome = scene.close(market_exit=False)
    assert outcome.ending is Ending.INCOMPLETE
    assert scene.truth[1] < 0


# --- closing while the link goes ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SPY x1", "SPX x1"])
def test_a_link_that_goes_and_comes_back_lets_the_closing_go_on(name):
    scene = Scene({name: rests}, held=KEPT)
    scene.broker.at(2, scene.broker.cut)
    scene.broker.at(14, scene.broker.restore)
    assert scene.close().ending is Ending.FLAT


@pytest.mark.parametrize("code", [0, 1100])
@pytest.mark.parametrize("name", ["SPY x1", "SPX x1"])
def test_a_link_that_goes_for_good_while_an_exit_works_is_a_doubt(name, code):
    scene = Scene({name: rests}, held=KEPT)
    scene.broker.at(2, lambda: scene.broker.cut(code))
    assert scene.close().ending is Ending.UNPROVEN


def test_a_connection_that_is_gone_at_the_start_leaves_everything():
    scene = Scene(held=KEPT)
    scene.spread.link_up = scene.broker.link_up = False
    scene.spread.disconnected = True
    assert scene.close().ending is Ending.INCOMPLETE
    assert scene.log == []
    assert scene.broker.now == 0


# --- the failsafe ---------------------------------------------------------------------------------


def place_failsafe(plays=None):
    scene = Scene(plays, held=KEPT)
    laws = Laws(scene.broker, scene.spread)
    order = drive(failsafe(scene.spread, SPY_CALL, NOON, 10), scene.broker, laws)
    return scene, order


def test_a_failsafe_is_a_sleeping_market_order_for_all_that_is_short():
    scene, order = place_failsafe({"SPY f1": rests})
    assert scene.log == ["SPY f1: buy 10 at the market"]
    assert (order.ticket.good_after, order.purpose, order.state) == (NOON, Purpose.FAILSAFE, OrderState.LIVE)


@pytest.mark.parametrize("play", [refused(), lost], ids=["refused", "silence"])
def test_a_failsafe_that_is_not_taken_holds_nobody_up(play):
    scene, order = place_failsafe({"SPY f1": play})
    assert order.state is not OrderState.LIVE
    assert scene.broker.now <= 5


# --- a broker by chance ---------------------------------------------------------------------------

TRAVEL = 4.0
"""Seconds within which what is under way arrives, and within which the word Cancelled may still be wrong."""


class Chance(Exchange):
    """Does whatever a tape of numbers says, in any order: delays, duplicates, losses, crossings, refusals.

    At the end of the tape, and where it says 0, everything goes well: so a tape shrinks to what matters. It
    is honest in this: what the books list is so; nothing travels for longer than `TRAVEL`; and an order that
    they do not list though it may fill was said to be over, or is silent for less than `SILENCE_SECONDS`.
    """

    def __init__(self, tape, spread, held=None, *, stops=False, corrects=False):
        super().__init__(held)
        self.tape, self.place_on_tape = tape, 0
        self.spread = spread
        self.generous = self.roll(4) != 1
        self.timers: dict[str, float] = {}
        self.parcels: deque = deque()  # (due, deed, the order in it), in the order in which they were sent
        self.ready: deque = deque()
        self.history: list = []
        self.looking = None
        self.gateway_up = True
        self.closed = False
        self.epoch = 1
        self.sure: list = []  # news that are not lost on their way
        self.ends: dict[str, float] = {}  # when what is dying, or inactive and not listed, is over
        self.wakes: dict[str, float] = {}  # when what is silent is heard of
        self.received = 0  # the highest order id that the gateway has got
        self.mischief = [
            self._some_fill, self._whole_fill, self._swap, self._again, self._lose, self._broker_ends,
            self._goes_inactive, self._revives, self._noise, self._noise, self._link_down, self._link_up, self._cut,
            self._look_fails, self._sample, self._quotes, self._time_passes, self._time_passes, self._dying,
            *([self._stop] if stops else []), *([self._correction] if corrects else []),
        ]  # fmt: skip

    def roll(self, sides):
        self.place_on_tape += 1
        return self.tape[self.place_on_tape - 1] % sides if self.place_on_tape <= len(self.tape) else 0

    def pick(self, things):
        things = list(things)
        return things[self.roll(len(things))] if things else None

    @property
    def exhausted(self):
        return self.place_on_tape >= len(self.tape)

    def next_event(self):
        while True:
            if self.ready:
                event = self.ready.popleft()
            else:
                number = self.roll(2 * len(self.mischief))
                deed = (
                    self.mischief[number - len(self.mischief)]
                    if number >= len(self.mischief)
                    else self._progress
                )
                event = deed()
            if event is not None:
                self.history.append(event)
                return event

    # --- what is asked

    def perform(self, action):
        match action:
            case Place():
                deal = self.place(action.ticket, action.leg, action.purpose)
                track = self.spread.orders[deal.ref]
                track.client_id, track.order_id = 1, self.order_id(deal)
                if self.link_up:
                    self._send(lambda: self._arrives(deal), deal)
                else:
                    deal.state = OVER
                    self.ready.append(NotSent(deal.ref, "the link is down"))
            case Reprice():
                if self.link_up:
                    self._send(lambda: self._repriced(self.deals[action.ref], action.limit))
                else:
                    self.ready.append(NotSent(action.ref, "the link is down"))
            case Cancel():
                if not self.closed:
                    self._send(lambda: self._ends(self.deals[action.ref]))
            case TakeSnapshot():
                assert self.looking is None
                self.looking = {"epoch": self.epoch, "fails": not self.link_up or not self.gateway_up}
                if self.roll(3):
                    self._sample()
            case Wake():
                assert action.name not in self.timers
                self.timers[action.name] = self.now + action.seconds

    def _send(self, deed, deal=None):
        travels = self.pick([0.0, 0.0, 1.0, TRAVEL])
        last = self.parcels[-1][0] if self.parcels else 0.0
        self.parcels.append((max(last, self.now + travels), deed, deal))

    def order_id(self, deal):
        return list(self.deals).index(deal.ref) + 1

    def reconnect(self, spread):
        """The next run of the program, over a new connection; from now on all goes well."""
        self.spread, self.place_on_tape = spread, len(self.tape)
        self.generous = self.link_up = self.gateway_up = True
        self.closed, self.looking = False, None
        self.timers.clear()
        self.ready.clear()
        # The gateway lets a client id connect again only when it has read all that the old connection sent.
        while self.parcels:
            self.parcels.popleft()[1]()
        self.mail.clear()
        self.now += 10  # it takes a while to come back

    # --- what arrives

    def _arrives(self, deal):
        numbers = self.roll(9)
        if numbers == 7:
            deal.state = LOST  # before the gateway
            return
        self.received = max(self.received, self.order_id(deal))
        if numbers == 8:
            deal.state = SILENT
            self.wakes[deal.ref] = self.now + self.pick([3.0, 8.0, 53.0, 110.0])
            return
        self._works(deal, numbers)

    def _works(self, deal, numbers):
        match numbers:
            case 1:
                self.refuse(deal, self.pick([201, 110, 383]), status=self.pick(["", "Inactive", "Cancelled"]))
            case 2:
                self._inactive(deal)
            case 3 | 4:
                self.accept(deal)
                self._fills(deal, self.roll(self.left(deal)) + 1)
            case _:
                self.accept(deal, self.pick(["Submitted", "PreSubmitted", "PendingSubmit"]))
                self._meets_the_market(deal)

    def _meets_the_market(self, deal):
        quote = self.spread.quote(deal.ticket.contract)
        touch = quote.ask if deal.ticket.side is Side.BUY else quote.bid
        reached = deal.limit is None or (
            touch is not None and (touch - deal.limit) * deal.ticket.side.sign <= 0
        )
        if self.generous and self.roll(3) == 0 and reached and deal.ticket.good_after is None:
            self._fills(deal, self.left(deal))

    def _repriced(self, deal, limit):
        if deal.state == LOST:
            deal.state, deal.limit = TRAVELLING, limit
            self._arrives(deal)
            return
        if deal.state == SILENT:
            deal.limit = limit
            return
        if deal.state == OVER:
            self.message(deal, 104 if deal.status == "Filled" else 103)
            return
        match self.roll(6):
            case 1:
                self.message(deal, self.pick([105, 110, 2102, 201]))
            case 2:
                self.refuse(deal, status=self.pick(["", "Inactive"]), completes=self._lag())
            case _:
                deal.limit = limit
                self.tell_status(deal)
                if deal.state == WORKING:
                    self._meets_the_market(deal)

    def _ends(self, deal):
        if deal.state == LOST:
            self.message(deal, self.pick([10147, 135]))
            return
        if deal.state == SILENT:
            if self.roll(2):
                self.message(deal, 10147)
            return
        if deal.state in {OVER, TRAVELLING}:
            self.message(deal, self.pick([10148, 10147, 161, 135]))
            return
        match self.roll(8):
            case 1:
                self.end(deal, status=False, code=None, completes=self._lag())
            case 2:
                self._fills(deal, self.roll(self.left(deal)) + 1)
                if deal.may_fill:
                    self.end(deal, completes=self._lag())
            case 3:
                self._dies(deal)
            case 4:
                self.message(deal, self.pick([161, 10148]))  # and works on
            case 5:
                pass
            case 6:
                deal.status = "PendingCancel"
                self.tell_status(deal)
            case _:
                self.end(
                    deal, status=bool(self.roll(3) != 1), code=self.pick([202, None]), completes=self._lag()
                )

    def _lag(self):
        return self.now + self.pick([0.0, 0.0, 3.0, 40.0, 1e9])

    # --- what goes well

    def _progress(self):
        if self.exhausted and not self.closed and not (self.link_up and self.gateway_up):
            self._link_up()
        if self.mail:
            return self.mail.popleft()
        if self.looking:
            return self._answer()
        return self._time_passes()

    def _time_passes(self):
        """Whatever is due next, whether or not news wait."""
        parcels = [self.parcels[0][0]] if self.parcels and self.gateway_up else []
        due = [*parcels, *self.timers.values(), *self.ends.values(), *self.wakes.values()]
        if not due:
            assert self.mail or self.looking or not self.exhausted, "nothing will ever happen again"
            return None
        self.now = max(self.now, min(due))
        for ref in [ref for ref, at in self.ends.items() if at <= self.now]:
            self._is_over(self.deals[ref])
        for ref in [ref for ref, at in self.wakes.items() if at <= self.now]:
            del self.wakes[ref]
            self._works(self.deals[ref], self.roll(7))
        if parcels and parcels[0] <= self.now:
            self.parcels.popleft()[1]()
            return None
        name = min(self.timers, key=self.timers.__getitem__, default=None)
        if name is not None and self.timers[name] <= self.now:
            del self.timers[name]
            return Timer(name)
        return None

    def _is_over(self, deal):
        del self.ends[deal.ref]
        if deal.may_fill:
            deal.state, deal.completes = OVER, self._lag()

    def _answer(self):
        take_snapshot, self.looking = self.looking, None
        if take_snapshot["fails"] or take_snapshot["epoch"] != self.epoch:
            return SnapshotFailed("not told")
        parts = {**self._parts(), **take_snapshot}
        snapshot = BrokerSnapshot(NOON, parts["executions"], parts["open"], parts["completed"], ())
        return SnapshotTaken(snapshot, self.now, take_snapshot["epoch"])

    def _parts(self):
        return {
            "executions": tuple(self.told),
            "open": self.open_orders(),
            "completed": self.completed_orders(),
        }

    # --- mischief

    def _alive(self, *states):
        return self.pick(deal for deal in self.deals.values() if deal.state in states)

    def _fills(self, deal, quantity):
        self.fill(deal, quantity, report=self.roll(4) != 1, status=self.roll(4) != 1)
        deal.completes = self._lag()

    def _some_fill(self):
        if deal := self._alive(WORKING, DYING):
            self._fills(deal, self.roll(self.left(deal)) + 1)

    def _whole_fill(self):
        if deal := self._alive(WORKING, DYING):
            self._fills(deal, self.left(deal))

    def _swap(self):
        if len(self.mail) > 1:
            self.mail[0], self.mail[1] = self.mail[1], self.mail[0]

    def _again(self):
        """What was told long ago is told once more."""
        old = [
            event
            for event in self.history[-20:]
            if isinstance(event, OrderUpdate | FillReport | OrderMessage)
        ]
        if old:
            self.mail.append(self.pick(old))

    def _lose(self):
        if (
            self.mail
            and not isinstance(self.mail[0], LinkChange | StopRequested)
            and self.mail[0] not in self.sure
        ):
            self.mail.popleft()

    def _broker_ends(self):
        if deal := self._alive(WORKING):
            self.end(deal, code=self.pick([202, None]), completes=self._lag())

    def _goes_inactive(self):
        if deal := self._alive(WORKING):
            self._inactive(deal)

    def _inactive(self, deal):
        deal.state, deal.status, deal.listed = INACTIVE, "Inactive", self.roll(3) != 1
        if not deal.listed:
            self.ends[deal.ref] = self.now + TRAVEL
        if self.roll(2):
            self.message(deal, 201)
        if self.roll(3) != 1 or not deal.listed:
            self.tell_status(deal)
            self.sure.append(self.mail[-1])

    def _revives(self):
        if deal := self._alive(INACTIVE):
            self.ends.pop(deal.ref, None)
            self.accept(deal)

    def _dying(self):
        if deal := self._alive(WORKING):
            self._dies(deal)

    def _dies(self, deal):
        """It is said to be cancelled, and that may be wrong for a while."""
        deal.state, deal.status = DYING, "Cancelled"
        self.ends[deal.ref] = self.now + self.pick([1.0, TRAVEL])
        self.tell_status(deal)
        self.sure.append(self.mail[-1])

    def _noise(self):
        if deal := self.pick(self.deals.values()):
            code = self.pick([399, 404, 10349, 2109, 4711, 161, 202, 105])
            if (code == 202 and deal.state not in {DYING, OVER}) or deal.state in {SILENT, LOST, TRAVELLING}:
                return
            status = self.pick(["PendingSubmit", "PreSubmitted", "PendingCancel", "WarnState"])
            if self.roll(2):
                self.message(deal, code)
            else:
                self.mail.append(OrderUpdate(deal.ref, 1, status, None, None, deal.perm_id))

    def _link_down(self):
        if self.closed or not self.link_up:
            return
        self.closed = self.roll(6) == 5
        self.link_up = self.gateway_up = False
        self.epoch += 1
        if self.looking:
            self.looking["fails"] = True
        if self.closed:
            self.mail.clear()
            self._lose_parcels()
        elif self.roll(3) == 1:
            self.mail.clear()
        self.mail.append(LinkChange(up=False, code=0 if self.closed else 1100, text="lost"))
        if self.closed:
            self.gateway_up = True  # what was sent before goes its way

    def _lose_parcels(self):
        """Of what was sent last, nothing after a certain point arrives."""
        for _ in range(self.roll(len(self.parcels) + 1)):
            _, _, deal = self.parcels.pop()
            if deal:
                deal.state = LOST

    def _link_up(self):
        if self.closed or (self.link_up and self.gateway_up):
            return
        if self.link_up:  # the gateway was cut off, and has not told yet
            self.epoch += 1
            if self.looking:
                self.looking["fails"] = True
            self.mail.append(LinkChange(up=False, code=1100, text="lost"))
        self.link_up = self.gateway_up = True
        kept = self.pick([0.0, 1.0, TRAVEL])
        self.parcels = deque((max(due, self.now + kept), deed, deal) for due, deed, deal in self.parcels)
        self.mail.append(LinkChange(up=True, code=1102, text="restored"))

    def _cut(self):
        """The gateway has lost its link and not told of it: what is sent to it now is kept and sent later."""
        if not self.closed:
            self.gateway_up = False
            if self.looking:
                self.looking["fails"] = True

    def _look_fails(self):
        if self.looking:
            self.looking["fails"] = True

    def _sample(self):
        """One part of the answer is told earlier than the others."""
        if self.looking:
            name = self.pick(["executions", "open", "completed"])
            self.looking.setdefault(name, self._parts()[name])

    def _quotes(self):
        leg = self.pick(LegName)
        bid, ask = self.pick(_MOVES[leg])
        self.mail.append(QuoteUpdate(CALLS[leg].con_id, quote(bid, ask, bid_told=bool(self.roll(3)))))

    def _stop(self):
        self.mail.append(StopRequested("close-all"))

    def _correction(self):
        over = [
            e
            for e in self.executions.values()
            if e.order_ref in self.deals and not self.deals[e.order_ref].may_fill
        ]
        if execution := self.pick(over):
            quantity = max(1, int(execution.quantity) + self.pick([1, -1, 2]))
            self.correct(execution, quantity, report=self.roll(3) != 1)


_MOVES = {
    SPX: [
        ("17.80", "18.00"),
        (None, "18.00"),
        ("17.80", None),
        (None, None),
        ("18.50", "18.60"),
        (None, "0.05"),
    ],
    SPY: [("2.35", "2.37"), (None, "2.37"), ("2.35", None), (None, None), ("2.20", "2.22"), ("2.60", "2.63")],
}


def random_tactics(broker):
    return Tactics(
        order_timeout=30.0,
        attempts=broker.pick([3, 0, 20]),
        use_limit_orders=broker.roll(8) != 7,
        exit_rungs=broker.pick([6, 1, 3]),
        market_exit=broker.roll(4) != 3,
    )


@cache
def terms(spx_quantity, spy_quantity):
    """The cap of SPX, and the floor of SPY by what was paid: as each example has them."""
    limits = replace(
        LIMITS,
        spx_contracts_per_spread=spx_quantity,
        spy_contracts_per_spread=spy_quantity,
        min_entry_credit=LIMITS.min_entry_credit * spx_quantity,
    )
    cap = spx_price_cap(Decimal("2.35"), limits, FEES, SPX_CALL.ticks)
    return cap, cache(lambda paid: spy_price_floor(paid, limits, FEES, SPY_CALL.ticks))


def open_by_chance(tape, *, corrects=False):
    spread = board_of()
    broker = Chance(tape, spread, stops=True, corrects=corrects)
    spx_quantity = broker.pick([1, 2])
    spy_quantity = 10 * spx_quantity
    cap, floor = terms(spx_quantity, spy_quantity)
    plan = OpenPlan(SPX_CALL, SPY_CALL, spx_quantity, spy_quantity, cap, floor, random_tactics(broker))
    laws = Laws(
        broker, spread, cap=cap, floor=plan.spy_floor, ratio=(spx_quantity, spy_quantity), strict=not corrects
    )
    outcome = drive(opening(spread, plan), broker, laws)
    laws.of_outcome(outcome, (spx_quantity, -spy_quantity))
    the_end_comes_in_time(broker)
    if outcome.ending in {Ending.UNPROVEN, Ending.INCOMPLETE}:
        the_next_run_makes_it_good(broker, spread, corrects=corrects)
    return outcome, broker


EARLIER = {
    "nothing": None,
    "a failsafe": ("SPY f1", Side.BUY, SPY),
    "an exit of SPY": ("SPY x1", Side.BUY, SPY),
    "an exit of SPX": ("SPX x1", Side.SELL, SPX),
    "an entry of SPY": ("SPY e1", Side.SELL, SPX),
    "an entry of SPX": ("SPX e1", Side.BUY, None),
}


def close_by_chance(tape, *, corrects=False):
    spread = board_of()
    broker = Chance(tape, spread, corrects=corrects)
    name = broker.pick(EARLIER)
    base = {SPX: broker.pick([1, 2, 0]), SPY: -broker.pick([10, 20, 3, 0])}
    base |= {SPX: {SPY: 0}, None: {SPX: 0, SPY: 0}}.get(EARLIER[name] and EARLIER[name][2], {})
    spread.base, broker.base = dict(base), dict(base)
    if EARLIER[name] is not None:
        _left_by_an_earlier_run(broker, spread, *EARLIER[name])
    plan = ClosePlan(SPX_CALL, SPY_CALL, random_tactics(broker), Purpose.EXIT, broker.roll(6) != 5)
    laws = Laws(broker, spread, strict=not corrects)
    outcome = drive(closing(spread, plan), broker, laws)
    laws.of_outcome(outcome)
    the_end_comes_in_time(broker)
    if outcome.ending in {Ending.UNPROVEN, Ending.INCOMPLETE}:
        the_next_run_makes_it_good(broker, spread, corrects=corrects)
    return outcome, broker


def the_end_comes_in_time(broker):
    """Silence and noise alike: once nothing goes wrong any more, a few dozen events are enough."""
    assert len(broker.history) <= len(broker.tape) + 150
    assert broker.now <= 45 * 60


def the_next_run_makes_it_good(broker, before, *, corrects):
    """Whatever was left in doubt, the ledger and the books are enough to come out of it flat.

    All but an order that the broker had and shows no more, and a sale of which nobody ever heard: where the
    gateway's next order id does not tell that it never got it, they stay in doubt until a human has looked.
    """
    spread = before
    for said_over in (False, True):
        spread = _the_next_spread(broker, spread, said_over=said_over)
        broker.reconnect(spread)
        for order in spread.unproven():
            order.on_next_id(broker.received + 1)
        laws = Laws(broker, spread, strict=not corrects)
        outcome = drive(closing(spread, ClosePlan(SPX_CALL, SPY_CALL, Tactics())), broker, laws)
        laws.of_outcome(outcome)
        if outcome.ending is Ending.FLAT:
            return
        assert outcome.ending is Ending.UNPROVEN
        assert spread.unproven()
        assert all(_stays_in_doubt(broker, order) for order in spread.unproven())
        broker.now += 150  # nothing is silent for longer
        while any(at <= broker.now for at in broker.wakes.values()):
            broker._time_passes()
    raise AssertionError("not flat after a human has looked")


def _stays_in_doubt(broker, order):
    if order.silent:
        return order.ticket.side is Side.SELL
    deal = broker.deals[order.ref]
    return deal.state == OVER and deal not in broker.completed_orders()


def _the_next_spread(broker, before, *, said_over):
    """What the next run knows; `said_over`: of an order that is over, and in doubt, a human has said so.

    One that lies inactive at the broker and is not listed he has cancelled there.
    """
    for order in before.unproven() if said_over else ():
        deal = broker.deals[order.ref]
        if deal.state == INACTIVE and not deal.listed:
            deal.state = OVER
    quotes = {SPX_CALL.con_id: quote("17.80", "18.00"), SPY_CALL.con_id: quote("2.35", "2.37")}
    unproven = {
        order.ref: order
        for order in before.unproven()
        if not (said_over and broker.deals[order.ref].state in {LOST, OVER})
    }
    known = {
        leg: broker.position(leg)
        - sum(
            broker.filled(d) * d.ticket.side.sign
            for d in broker.deals.values()
            if d.leg is leg and d.ref in unproven
        )
        for leg in LegName
    }
    orders = {ref: _as_the_ledger_has_it(broker, order) for ref, order in unproven.items()}
    return SpreadState(TAG, TRADE, base=known, attempts=dict(before.attempts), orders=orders, quotes=quotes)


def _as_the_ledger_has_it(broker, order):
    order = replace(
        order,
        state=OrderState.REPORTED_DONE if order.state is OrderState.REPORTED_DONE else OrderState.INTENDED,
        presence=Presence.ACKNOWLEDGED if order.perm_id else Presence.UNHEARD,
        executions={e.exec_id: e for e in broker.told if e.order_ref == order.ref},
        reported_filled=ZERO,
    )
    if order.state is OrderState.REPORTED_DONE and not order.perm_id:
        order.presence = Presence.SPOKEN_OF
    return order


def _left_by_an_earlier_run(broker, spread, name, side, of_leg):
    leg, kind = LegName(name.split()[0]), name.split()[1]
    quantity = abs(broker.base[of_leg]) * (10 if kind == "e1" else 1) if of_leg else 2
    if not quantity:
        return
    purpose = Purpose(kind[0])
    ref = str(OrderName(TAG, TRADE, leg, purpose, 1))
    limit = None if purpose is Purpose.FAILSAFE else Decimal(2)
    ticket = OrderTicket(ref, CALLS[leg], side, quantity, limit, good_after=NOON if limit is None else None)
    deal = broker.place(ticket, leg, purpose)
    spread.orders[ref] = TrackedOrder(
        ticket, leg, purpose, 1, client_id=1, order_id=broker.order_id(deal), limit=limit
    )
    spread.attempts[leg, purpose] = 1
    broker.received = 1
    match broker.roll(6):
        case 1:
            broker._send(lambda: broker._arrives(deal), deal)
        case 2:
            deal.state, broker.received = LOST, 0
        case 3:
            broker._inactive(deal)
        case 4:
            broker._dies(deal)
        case 5:
            broker.fill(deal, broker.roll(quantity) + 1, report=False, status=False)
            if deal.may_fill:
                broker.end(deal, status=False, code=None, completes=broker._lag())
        case _:
            deal.state, deal.status = WORKING, "PreSubmitted"
    broker.mail.clear()


tapes = st.binary(max_size=200) | st.integers(0, 2**32).map(lambda seed: random.Random(seed).randbytes(300))
by_chance = settings(max_examples=examples(2000), deadline=None)


@by_chance
@given(tapes)
@example(random.Random(96629181).randbytes(300))  # a silent sale that lies inactive, until a human has looked
def test_whatever_the_broker_does_while_a_spread_is_opened_the_laws_hold(tape):
    open_by_chance(tape)


@by_chance
@given(tapes)
def test_whatever_the_broker_does_while_a_spread_is_closed_the_laws_hold(tape):
    close_by_chance(tape)


@by_chance
@given(tapes)
def test_whatever_is_corrected_while_a_spread_is_opened_it_comes_to_an_end(tape):
    open_by_chance(tape, corrects=True)


@by_chance
@given(tapes)
@example(random.Random(920281).randbytes(300))  # a silent purchase beside a fail-safe that lives again
def test_whatever_is_corrected_while_a_spread_is_closed_it_comes_to_an_end(tape):
    close_by_chance(tape, corrects=True)


def test_the_broker_by_chance_reaches_every_ending():
    """Else the four claims above claim nothing of it."""
    reached = set()
    for seed in range(400):
        tape = random.Random(seed).randbytes(200)
        reached |= {open_by_chance(tape)[0].ending, close_by_chance(tape)[0].ending}
    assert reached == set(Ending)
