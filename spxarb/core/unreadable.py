"""Rows of the broker's lists that cannot be read, and which of them may be ours.

A list holds the rows of the whole account. One that cannot be read must not hide the others, and must not be
taken for absent either: what may be ours stops entries and proves nothing, what cannot be ours is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

OPEN_ORDERS, COMPLETED_ORDERS, POSITIONS = "open orders", "completed orders", "positions"
EXECUTIONS, STATUSES = "executions", "order statuses"
COMBINATION = "BAG"
"""The wire's security type of a combination, which has no contract id of its own; we trade none."""


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """One such row: of which list, its fields as on the wire, and why it cannot be read.

    `order_ref` is a reference of spxarb's in it, '' for none; `con_id` and `client_id` are None where the row
    has none or not even that can be read.
    """

    list: str
    fields: tuple[str, ...]
    why: str
    order_ref: str = ""
    con_id: int | None = None
    client_id: int | None = None

    def __str__(self) -> str:
        return f"a row of the {self.list} cannot be read ({self.why})"

    def may_be_ours(self, con_ids: Collection[int], client_ids: Collection[int]) -> bool:
        """Whether it may be about an order, fill or position of ours.

        Its reference says so, or its contract is one of `con_ids`, or nothing in it says whose it is.
        """
        if self.order_ref or COMBINATION in self.fields:
            return bool(self.order_ref)
        if self.con_id is not None:
            return self.con_id in con_ids
        return self.client_id is None or self.client_id in client_ids

    def may_hide(self, ref: str, con_id: int) -> bool:
        """Whether the order of that reference and contract, or a fill of it, may be in this row.

        A status only follows the row of its order, which then was read or not.
        """
        if self.list not in {OPEN_ORDERS, EXECUTIONS}:
            return False
        return self.order_ref == ref if self.order_ref else self.may_be_ours((con_id,), ())
