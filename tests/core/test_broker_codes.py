"""IBKR's message codes stand once: named, grouped without contradiction, and nowhere else in the program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from spxarb.core import broker_codes

PACKAGE = Path(broker_codes.__file__).parents[1]
CODES = {name: value for name, value in vars(broker_codes).items() if isinstance(value, int)}
GROUPS = {name: value for name, value in vars(broker_codes).items() if isinstance(value, frozenset)}
OTHERS = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != Path(broker_codes.__file__) and "sim" not in path.relative_to(PACKAGE).parts
]
WHAT_ELSE_IT_MAY_BE = {
    "broker/wire.py": {200},  # how many notices are kept
    "broker/chains.py": {164},  # a server version
    "core/gateway_evidence.py": {1300},  # an hour of the day
    "core/claims.py": {200},  # dollars
}
"""Numbers that happen to be codes too, by file."""


def numbers(path):
    """Every whole number and every text of digits in a file's code, with its line; prose is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool):
            if isinstance(node.value, int):
                yield node.value, node.lineno
            elif isinstance(node.value, str) and node.value.isdigit() and len(node.value) < 6:
                yield int(node.value), node.lineno


def test_no_other_module_writes_a_code_as_a_number():
    codes, found = set(CODES.values()) | broker_codes.SYSTEM_WARNINGS, []
    for path in OTHERS:
        name = str(path.relative_to(PACKAGE))
        known = codes - WHAT_ELSE_IT_MAY_BE.get(name, set())
        found += [f"{name}, line {line}: {number}" for number, line in numbers(path) if number in known]
    assert not found, "these are codes that have names in core/broker_codes.py"


def test_a_code_that_is_written_as_a_number_would_be_found(tmp_path):
    file = tmp_path / "other.py"
    file.write_text('"""Of 1100."""\nDOWN = {1100, 17}\nFARM = "2103 is down"\nCODE = "2103"\n')
    assert {number for number, _ in numbers(file)} >= {1100, 2103}
    assert len(list(numbers(file))) == 3


def test_every_code_has_one_name_and_every_name_a_code_of_its_own():
    assert len(set(CODES.values())) == len(CODES)


def test_every_code_of_a_group_has_a_name():
    for name, group in GROUPS.items():
        assert not group - set(CODES.values()) - broker_codes.SYSTEM_WARNINGS, name


def test_no_code_says_two_things_of_an_order():
    groups = [
        broker_codes.WARNINGS,
        broker_codes.CANCEL_REFUSALS,
        broker_codes.CHANGE_REFUSALS,
        broker_codes.REFUSALS,
        {broker_codes.CANCELLATION},
    ]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))


def test_a_link_is_not_lost_and_restored_by_one_code():
    assert not broker_codes.LINK_DOWN & broker_codes.LINK_UP


def test_a_farm_in_trouble_is_no_routine_notice():
    assert not broker_codes.FARM_TROUBLE & broker_codes.ROUTINE_NOTICES


@pytest.mark.parametrize("code", [399, 404, 10167, 10233, 10349, 2100, 2148, 2199])
def test_a_code_that_comes_with_a_live_order_is_a_warning(code):
    assert code in broker_codes.WARNINGS


@pytest.mark.parametrize("code", [2099, 2200, 110, 201, 202, 434])
def test_a_code_that_can_end_an_order_is_no_warning(code):
    """ib_insync 0.9.86 takes 110, 202 and 434 for warnings, and waits for ever for the refused order."""
    assert code not in broker_codes.WARNINGS
