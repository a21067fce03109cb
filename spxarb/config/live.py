"""Section `live`: what must be known before real money is traded."""

from __future__ import annotations

from pydantic import Field

from spxarb.config.section import FilePath, Section


class LiveSettings(Section):
    """From paper to live: which evidence a live entry waits for. See docs/going-live.md."""

    paper_ledger: FilePath | None = Field(
        default=None,
        description="Ledger of the paper account with the evidence; null: trading.db of mode paper under the "
        "state folder.",
    )
    paper_days: int = Field(
        default=10,
        ge=10,
        le=250,
        description="Trading days that this version must have run on paper without exit 1 or 6; never fewer "
        "than 10.",
    )
    accept_too_few_trades: bool = Field(
        default=False,
        description="Enter live though too few trades on paper tell whether the document's claims hold; told "
        "at every live entry.",
    )
