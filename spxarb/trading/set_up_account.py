"""The set-up at the broker that no price shows: logon, API settings, balance, and the nightly restart."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

from spxarb.core import broker_codes as codes
from spxarb.core.broker_words import ADVICE, told
from spxarb.core.masking import masked
from spxarb.core.model import NEW_YORK
from spxarb.core.sentences import usd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, tzinfo

    from spxarb.broker.broker import Broker
    from spxarb.core.margin import AccountValues
    from spxarb.trading.set_up_found import SetUp

RESTART = time(23, 45)
"""When a Gateway restarts by itself unless it was told otherwise, in its own zone (IBKR, Auto restart)."""
NIGHT_AFTER, NIGHT_BEFORE = time(17), time(9)
"""Between these New York times a restart disturbs nothing."""
MODES = {
    "paper": "a paper account: orders reach no market",
    "live": "a LIVE account: orders trade real money",
    "sim": "the simulated gateway: nothing leaves this machine",
}


def tell_account(found: SetUp, account: str, mode: str) -> None:
    """Whose account it is, and what an order there means."""
    if found.account not in {None, account}:
        what = (
            f"the gateway trades account {masked(account)}, and the ledger belongs to "
            f"{masked(found.account or '')}"
        )
        found.failed("account", what, "use a separate ledger for each account (storage.database)")
    else:
        found.passed("account", f"{masked(account)} fits mode {mode}")
    found.passed("mode", MODES[mode])


def tell_login(found: SetUp, broker: Broker) -> None:
    """Whether the gateway itself is logged in at IB, and not only open to programs."""
    if not broker.link_up:
        what = "the gateway answers, and its own connection to IB is lost (1100)"
        found.failed("login", what, "log in to the Gateway again, and look at its network")
    elif trouble := broker.farm_trouble():
        what = f"the gateway is logged in, and a data farm is broken: {trouble}"
        found.unchecked("login", what, "it mostly mends itself within minutes; run this again")
    else:
        found.passed("login", "the gateway is logged in at IB, and no data farm that is needed is broken")


def tell_api(found: SetUp, broker: Broker) -> None:
    """The API's settings that bite, by the codes that were heard: now, and in answer to earlier orders."""
    now = [message for message in broker.messages if message.code in codes.BITING]
    if now:
        found.failed("api", f"the gateway says: {told(now)}", _mend(message.code for message in now))
        return
    listed = (
        f"positions, orders and executions are listed, so it is not read-only, and no dialog blocks it "
        f"(API {broker.server_version})"
    )
    if not found.bitten:
        codes_told = ", ".join(map(str, sorted(codes.PRESET_REFUSALS)))
        message = (
            f"{listed}. Presets show only with an order, and no order of the ledger met one ({codes_told})"
        )
        found.passed("api", message)
        return
    said = "; ".join(f"{at[:19]}: {words}" for at, words in found.bitten)
    found.passed("api", listed)
    heard = [int(words.partition(" ")[0]) for _, words in found.bitten]
    found.unchecked("presets", f"the gateway answered earlier orders: {said}", _mend(heard))


def _mend(heard: Iterable[int]) -> str:
    """What to do about these codes."""
    general = "look at the Gateway, under Configure, Settings, API, Precautions, and at its presets"
    return "; ".join(dict.fromkeys(ADVICE.get(code, general) for code in heard))


def tell_balance(found: SetUp, account: AccountValues) -> None:
    """What the account is worth, and in which money it is kept."""
    dollars, kept = account.in_dollars, account.currency
    found.net_liquidation = dollars.net_liquidation
    if dollars.net_liquidation is None:
        what = account.note or "the broker told no net liquidation value"
        found.unchecked("balance", what, "look at the account in TWS or Client Portal")
        return
    free = "not told" if dollars.available_funds is None else usd(dollars.available_funds)
    message = (
        f"net liquidation {usd(dollars.net_liquidation)}, available funds {free}; base currency {kept}. "
        f"{account.note}"
    )
    if dollars.net_liquidation <= 0:
        found.failed("balance", message, "fund the account")
    elif kept != "USD":
        mend = "fees, margin and P&L are in dollars: keep dollars in the account, or watch the rate"
        found.unchecked("balance", message, mend)
    else:
        found.passed("balance", message)


def tell_restart(found: SetUp, zones: Iterable[tzinfo | None], now: datetime) -> None:
    """When the gateway restarts by itself: its time counts in its own zone, which no request tells."""
    known = [zone for zone in zones if zone is not None]
    mend = "set Auto restart in the Gateway (Configure, Lock and Exit) to a time that is night in New York"
    if not known:
        found.unchecked("auto_restart", "the gateway's time zone is not known", mend)
        return
    zone = known[0]
    here = now.astimezone(zone).replace(hour=RESTART.hour, minute=RESTART.minute, second=0, microsecond=0)
    restart = here.astimezone(NEW_YORK)
    message = (
        f"the gateway lives in {zone}: a restart at its {RESTART:%H:%M}, as it comes, is at {restart:%H:%M} "
        "in New York"
    )
    if NIGHT_BEFORE <= restart.time() < NIGHT_AFTER:
        found.unchecked("auto_restart", f"{message}, in trading hours", mend)
    else:
        found.passed(
            "auto_restart", message, "the password is asked once a week, on Sunday after 01:00 New York"
        )
