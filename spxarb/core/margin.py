"""Margin: what the account has, what an order would need, and whether one carries the other. Pure.

A broker states both in the money that the account is kept in, which need not be the dollar. Figures of
different money are never compared, and a figure that is no dollar is never shown as one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Self

from spxarb.core.checks import MARGIN
from spxarb.core.entry_check import Check
from spxarb.core.model import ZERO, cents
from spxarb.core.sentences import sentence, usd

if TYPE_CHECKING:
    from datetime import datetime

DOLLAR = "USD"
NEED_FACTOR = Decimal("1.2")
"""How much more than the broker asks for the account must have: marks and margins move within minutes."""
SAME_EQUITY = Decimal("0.03")
"""Two statements of one equity differ by no more than this share of it: orders and marks lie between them."""


@dataclass(frozen=True, slots=True)
class AccountValues:
    """What the account has, in its own `currency`; None where the broker sent nothing.

    `per_dollar`: how much of that currency a dollar is worth, 1 for an account kept in dollars, None where
    the broker did not say. The currency is `BASE` where the broker gives it no other name. Equity with loan
    value is what margin is tested against, `previous_day_equity` that of 16:00 the day before.
    `post_expiration_*`: as the broker projects them once the day's options have expired.
    """

    account_id: str
    net_liquidation: Decimal | None = None
    total_cash: Decimal | None = None
    available_funds: Decimal | None = None
    buying_power: Decimal | None = None
    initial_margin: Decimal | None = None
    excess_liquidity: Decimal | None = None
    equity_with_loan: Decimal | None = None
    previous_day_equity: Decimal | None = None
    post_expiration_margin: Decimal | None = None
    post_expiration_excess: Decimal | None = None
    currency: str = DOLLAR
    per_dollar: Decimal | None = Decimal(1)

    @property
    def in_dollars(self) -> Self:
        """The same, in dollars; every amount None where the rate is not known."""
        if self.currency == DOLLAR:
            return self
        amounts: dict[str, Any] = {
            field.name: self.dollars(getattr(self, field.name))
            for field in fields(self)
            if field.name not in {"account_id", "currency", "per_dollar"}
        }
        return replace(self, **amounts, currency=DOLLAR, per_dollar=Decimal(1))

    @property
    def note(self) -> str:
        """Which money the dollars come from, a sentence; empty for an account kept in dollars."""
        if self.currency == DOLLAR:
            return ""
        if not self.per_dollar:
            return (
                f"The account is kept in {self.currency}, and the broker tells no rate: no dollars are shown."
            )
        return f"The account is kept in {self.currency}; a dollar is {plain_number(self.per_dollar)} of it."

    def dollars(self, amount: Decimal | None) -> Decimal | None:
        """An amount of the account's currency in dollars; None where it or the rate is not known."""
        if amount is None or not self.per_dollar:
            return None
        return amount if self.currency == DOLLAR else cents(amount / self.per_dollar)

    def told(self, amount: Decimal) -> str:
        """An amount of the account's currency in words, in dollars too where that is another."""
        if self.currency == DOLLAR:
            return usd(amount)
        kept = f"{amount:,.2f} {self.currency}"
        dollars = self.dollars(amount)
        return kept if dollars is None else f"{kept} ({usd(dollars)})"


@dataclass(frozen=True, slots=True)
class MarginAnswer:
    """What a what-if order would do to the account; None where the broker sent nothing.

    The amounts are of one currency, most likely the account's own; `currency`: the word that came with the
    commission, empty for none. `rejected`: code and text when the broker refused.
    """

    initial_change: Decimal | None
    maintenance_change: Decimal | None
    equity_with_loan_after: Decimal | None
    initial_after: Decimal | None
    commission: Decimal | None
    warning: str = ""
    rejected: str = ""
    initial_before: Decimal | None = None
    equity_with_loan_before: Decimal | None = None
    currency: str = ""

    @property
    def change(self) -> Decimal | None:
        """The change of the initial margin; where it is not told, margin after less margin before."""
        if self.initial_change is not None:
            return self.initial_change
        if self.initial_after is None or self.initial_before is None:
            return None
        return self.initial_after - self.initial_before

    def times(self, rate: Decimal) -> Self:
        """The same in another currency, of which one of this is worth `rate`."""
        names = (
            *("initial_change", "maintenance_change", "equity_with_loan_after", "initial_after"),
            *("initial_before", "equity_with_loan_before"),
        )
        told = {name: getattr(self, name) for name in names}
        amounts: dict[str, Any] = {k: None if v is None else v * rate for k, v in told.items()}
        return replace(self, **amounts)


def in_money_of(answer: MarginAnswer, account: AccountValues) -> MarginAnswer | None:
    """The answer in the account's currency; None where it is not certain in which currency it came.

    The equity before the order shows it: it is the account's own, in the answer's money. The word beside the
    commission alone proves nothing, for that may be charged in another currency than margin is reckoned in.
    """
    words = {"", account.currency}
    if account.currency == DOLLAR and answer.currency in words:
        return answer
    told, known = answer.equity_with_loan_before, account.equity_with_loan
    if told is None or known is None or not known:
        return answer if answer.currency == account.currency != DOLLAR else None
    if _same(told, known):
        return answer
    if account.per_dollar and _same(told * account.per_dollar, known):
        return answer.times(account.per_dollar)
    return None


def _same(told: Decimal, known: Decimal) -> bool:
    return abs(told - known) <= SAME_EQUITY * abs(known)


# --- the check ------------------------------------------------------------------------------------


def margin_check(
    answer: MarginAnswer | None, account: AccountValues, need_factor: Decimal = NEED_FACTOR
) -> Check:
    """Whether the account can carry the short leg, by the broker's what-if answer.

    `value` is the change of the initial margin times `need_factor`, a reserve, and `limit` the available
    funds, both in dollars; None where the account's currency has no known rate.
    """
    limit = account.dollars(account.available_funds)
    if answer is None or (answer.change is None and not answer.rejected):
        return Check(MARGIN, None, None, limit, "The broker did not say what margin it wants.")
    if answer.rejected:
        text = f"The broker would refuse the order: {answer.rejected.rstrip('.')}."
        return Check(MARGIN, False, None, limit, text)
    known = in_money_of(answer, account)
    if known is None or known.change is None:
        text = (
            f"The account is kept in {account.currency}, and it is not certain in which currency the broker "
            f"tells the margin ({plain_number(answer.change)} {answer.currency or 'without a currency'})."
        )
        return Check(MARGIN, None, None, limit, text)
    need = cents(max(known.change * need_factor, ZERO))
    wants = (
        f"The order needs {account.told(need)} of margin with a reserve (factor {plain_number(need_factor)})"
    )
    value = account.dollars(need)
    if account.available_funds is None:
        text = f"{wants}; the account's available funds are unknown."
        return Check(MARGIN, None, value, None, text)
    funds = account.told(account.available_funds)
    enough = need <= account.available_funds
    obstacles = _obstacles(known, account, need)
    ok = enough and not obstacles
    text = f"{wants}, {'within' if enough else 'more than'} the available {funds}"
    text = "; ".join([text, *obstacles])
    told = [f"{text}.", *filter(None, [_untold(account)])]
    told += [f"The broker warns: {sentence(answer.warning)}"] if answer.warning else []
    return Check(MARGIN, ok, value, limit, " ".join(told))


def _untold(account: AccountValues) -> str:
    """What the order was not held against, as the broker did not tell it, a sentence; empty for nothing."""
    names = {
        "the equity of the day before": account.previous_day_equity,
        "what is projected after expiration": account.post_expiration_excess,
    }
    missing = [name for name, amount in names.items() if amount is None]
    return f"The broker did not tell {' nor '.join(missing)}, so that was not tested." if missing else ""


def _obstacles(answer: MarginAnswer, account: AccountValues, need: Decimal) -> list[str]:
    """What else forbids the order, phrases; amounts in the account's currency."""
    found = []
    equity, after = answer.equity_with_loan_after, answer.initial_after
    if equity is not None and after is not None and equity < after:
        found.append("the account's equity would then be below its margin")
    # Refusals were seen to test the equity of the day before, not today's (201, "PREVIOUS DAY EQUITY ...").
    before, yesterday = answer.initial_before or account.initial_margin or ZERO, account.previous_day_equity
    if yesterday is not None and yesterday < before + need:
        found.append(
            f"the broker tests the equity of the day before, {account.told(yesterday)}, and that is below "
            f"the margin of {account.told(cents(before + need))} in all"
        )
    excess = account.post_expiration_excess
    if excess is not None and excess < 0:
        found.append(f"{after_expiration(account)} already")
    return found


def margin_not_asked(reason: str) -> Check:
    """The margin's line when the broker was not asked, and why."""
    return Check(MARGIN, None, None, None, f"Margin was not asked: {reason.rstrip('.')}.")


def margin_not_told(reason: str) -> Check:
    """The margin's line when the broker was asked and did not answer, and how."""
    return Check(MARGIN, None, None, None, f"Margin was asked and not told: {reason.rstrip('.')}.")


# --- what-if orders are to be rare ------------------------------------------------------------------


def too_soon(last: datetime | None, now: datetime, pause: float) -> str:
    """Why no what-if may be sent now, a phrase; empty when one may. `pause`: seconds between two.

    A last one that lies in the future (a clock was set back) stands in nobody's way.
    """
    if last is None or not 0 <= (now - last).total_seconds() < pause:
        return ""
    waited = (now - last).total_seconds()
    return (
        f"IBKR wants what-if orders to be rare, {pause:g} s apart, and the last was sent "
        f"{floor(waited)} s ago; try again in {ceil(pause - waited)} s"
    )


# --- after expiration ---------------------------------------------------------------------------------


def after_expiration(account: AccountValues) -> str:
    """What the broker projects once the day's options have expired, a phrase; empty where that is no deficit.

    IBKR liquidates for it on the afternoon of the expiry, before the close.
    """
    excess, margin = account.post_expiration_excess, account.post_expiration_margin
    if excess is None or excess >= 0:
        return ""
    wanted = f" (margin {account.told(margin)})" if margin else ""
    return f"after expiration the broker projects a deficit of {account.told(-excess)}{wanted}"


def plain_number(value: Decimal | None) -> str:
    if value is None:
        return "none"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
