"""A decision in a few words: what stopped an entry stands there with its figure beside its limit."""

from __future__ import annotations

import pytest

from spxarb.core.brief import brief, brief_of

NAMES = ("time_window", "trading_enabled", "max_trades", "daily_loss", "market_data", "strikes")
PASSED = [{"name": name, "ok": True} for name in (*NAMES, "tracking_ratio", "spx_spread", "spy_spread")]
MARGIN = {"name": "margin", "ok": None, "message": "Margin was not asked: another check failed already."}
CREDIT = {"name": "net_credit", "ok": False, "value": -41.8, "limit": 400.0}


def skipped(*checks: dict) -> str:
    return brief_of("enter", {"outcome": "skipped", "checks": [*PASSED, *checks]}, dry_run=False)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (CREDIT, "credit -$41.80 < $400.00"),
        ({"name": "spy_spread", "ok": False, "value": 0.02, "limit": 0.015}, "SPY width $0.02 > $0.015"),
        (
            {"name": "spx_spread", "ok": False, "value": -1.0, "limit": 0.5, "message": "Wide: crossed."},
            "wide: crossed",
        ),
        ({"name": "spx_spread", "ok": False, "value": 0.8, "limit": 0.5}, "SPX width $0.80 > $0.50"),
        (
            {"name": "tracking_ratio", "ok": False, "value": 9.9321, "limit": [9.95, 10.05]},
            "ratio 9.9321, not 9.95 to 10.05",
        ),
        (
            {"name": "tracking_ratio", "ok": False, "value": 10.05002, "limit": [9.95, 10.05]},
            "ratio 10.05002, not 9.95 to 10.05",
        ),
        ({"name": "max_trades", "ok": False, "value": 2, "limit": 2}, "2 of 2 spreads entered today"),
        ({"name": "halted", "ok": False, "message": "SPY is halted."}, "SPY is halted"),
        (
            {"name": "time_window", "ok": False, "value": "11:20:00", "limit": "09:35-10:00"},
            "outside the entry window 09:35-10:00",
        ),
        (
            {
                "name": "time_window",
                "ok": False,
                "value": "09:40:00",
                "limit": "09:35-10:00",
                "message": "CPI.",
            },
            "CPI",
        ),
    ],
)
def test_what_stopped_an_entry_and_how_many_checks_passed(check, said):
    assert skipped(check, MARGIN) == f"skipped: {said} (9 of 10 passed)"


def test_a_check_that_could_not_be_made_is_a_reason_only_where_none_failed():
    unknown = {"name": "net_credit", "ok": None, "message": "The credit is not known."}
    assert skipped(unknown, MARGIN) == "skipped: the credit is not known (9 of 9 passed)"
    halted = {"name": "halted", "ok": False, "message": "SPY is halted."}
    assert skipped(unknown, halted, MARGIN) == "skipped: SPY is halted (9 of 10 passed)"


def test_a_row_that_something_else_wrote_is_told_as_that():
    row = {"at": "", "command": "enter", "dry_run": 0, "outcome": "skipped", "would": "skip"}
    assert brief({**row, "checks": "{", "payload": "{}"}) == "unreadable"
    assert brief({**row, "checks": "[]", "payload": '{"notes": ["Stopped meanwhile."]}'}) == (
        "skipped: stopped meanwhile"
    )


@pytest.mark.parametrize(("pnl", "said"), [(446.47, "+$446.47"), (-73.53, "-$73.53"), (0, "$0.00")])
def test_a_result_has_its_sign(pnl, said):
    held = {"positions": [{"trade_id": 1, "action": "held", "current_pnl": pnl}]}
    assert brief_of("monitor", held, dry_run=False) == f"held trade 1, P&L {said}"
