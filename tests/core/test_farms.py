"""Data farms: what was last said of one that matters."""

from __future__ import annotations

import pytest

from spxarb.core.farms import Farms, farm_named, matters

BROKEN = "Market data farm connection is broken:"
OK = "Market data farm connection is OK:"
IDLE = "Market data farm connection is inactive but should be available upon demand."


def heard(*messages: tuple[int, str]) -> str:
    farms = Farms()
    for code, text in messages:
        farms.on_message(code, text)
    return farms.trouble()


@pytest.mark.parametrize("farm", ["usfarm", "usfarm.nj", "usopt", "usopt.us", "cboe1", ""])
def test_a_broken_farm_that_may_carry_spx_or_spy_is_trouble(farm):
    assert heard((2103, BROKEN + farm)) == f"2103 {BROKEN}{farm}"


@pytest.mark.parametrize(
    "farm", ["jfarm", "hfarm", "eufarm", "eufarmnj", "cashfarm", "usfuture", "usfuture.nj", "JFARM"]
)
def test_a_farm_of_another_market_is_none(farm):
    assert heard((2103, BROKEN + farm)) == ""


def test_a_definition_farm_of_another_market_is_none():
    assert heard((2157, "Sec-def data farm connection is broken:secdefhk")) == ""
    assert heard((2157, "Sec-def data farm connection is broken:secdefil")) != ""


@pytest.mark.parametrize("back", [(2104, OK + "usfarm"), (2108, IDLE + "usfarm")])
def test_a_farm_that_is_back_is_no_trouble_any_more(back):
    assert heard((2103, BROKEN + "usfarm"), back) == ""
    assert heard(back, (2103, BROKEN + "usfarm")) != ""


def test_one_farm_that_is_back_says_nothing_of_another():
    assert heard((2103, BROKEN + "usopt"), (2104, OK + "usfarm"), (2104, OK + "jfarm")) != ""
    assert heard((2103, BROKEN + "jfarm"), (2103, BROKEN + "usopt")) == f"2103 {BROKEN}usopt"


def test_a_farm_of_definitions_is_not_back_with_one_of_prices_of_its_name():
    assert heard((2157, "Sec-def data farm connection is broken:usfarm"), (2104, OK + "usfarm")) != ""


def test_what_is_said_of_other_things_is_no_matter():
    assert heard((2105, "HMDS data farm connection is broken:ushmds"), (1100, BROKEN + "usfarm")) == ""


@pytest.mark.parametrize(
    ("text", "farm"),
    [
        (BROKEN + "usfarm.nj", "usfarm.nj"),
        (IDLE + "usfarm.us", "usfarm.us"),
        (f"{BROKEN} ushmds ", "ushmds"),
        ("broken", ""),
    ],
)
def test_a_message_ends_with_the_name_of_its_farm(text, farm):
    assert farm_named(text) == farm


def test_a_name_that_only_begins_like_one_of_elsewhere_may_matter():
    assert matters("jfarmus")
