"""Which handler answers which request: the answers of all four kinds, as one thing to hand to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import answers_account, answers_contracts, answers_market, answers_orders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.sim.api.session import Handler, Session

HANDLERS: Mapping[int, Handler] = {
    **answers_account.HANDLERS,
    **answers_contracts.HANDLERS,
    **answers_market.HANDLERS,
    **answers_orders.HANDLERS,
}
"""By message id: every request that is offered."""


class Dispatch:
    """Conforms to `session.RequestHandlers`."""

    def handler(self, number: int) -> Handler | None:
        """The handler of a message id; None when the request is not offered."""
        return HANDLERS.get(number)

    def refresh(self, session: Session) -> None:
        """Quotes and bars first, then profit and loss and account values."""
        answers_market.refresh(session)
        answers_account.refresh(session)
