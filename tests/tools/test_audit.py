"""`make audit` says what is known, and when nothing could be asked."""

from __future__ import annotations

import json
import sys

import pytest

from tools import audit

KNOWN = {"name": "rich", "version": "15.0.0", "vulns": []}
UNKNOWN = {"name": "typer", "skip_reason": "Dependency not found"}
HURT = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}


def test_every_library_looked_up_and_nothing_known_is_0():
    assert audit.verdict({"dependencies": [KNOWN]}) == (0, ["1 libraries, no known vulnerabilities"])


def test_a_known_vulnerability_is_1_with_the_release_that_mends_it():
    assert audit.verdict({"dependencies": [KNOWN, HURT, UNKNOWN]}) == (
        1,
        ["idna 3.6: PYSEC-2024-60, mended in 3.7"],
    )


def test_a_database_that_knows_nothing_or_a_part_is_4_though_pip_audit_calls_it_a_success():
    code, (told,) = audit.verdict({"dependencies": [UNKNOWN]})
    assert (code, "nothing was audited" in told) == (4, True)
    code, (told,) = audit.verdict({"dependencies": [KNOWN, UNKNOWN]})
    assert (code, "not audited: typer" in told) == (4, True)


def program(folder, source):
    """A pip-audit that does what `source` says; `database` is what it is told to ask."""
    path = folder / "pip-audit"
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\ndatabase = sys.argv[sys.argv.index('-s') + 1]\n{source}\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.outside
def test_no_database_that_can_be_reached_is_4_and_says_so(tmp_path, capfd):
    assert audit.main(program(tmp_path, "sys.exit('ConnectionError: no route to host')")) == 4
    told = capfd.readouterr().err
    assert told.count("no route to host") == 2
    assert "was not audited" in told.splitlines()[-1]


@pytest.mark.outside
def test_a_second_database_is_asked_where_the_first_knows_nothing(tmp_path, capfd):
    pages = {"pypi": {"dependencies": [UNKNOWN]}, "osv": {"dependencies": [HURT]}}
    assert (
        audit.main(program(tmp_path, f"print(json.dumps(json.loads({json.dumps(pages)!r})[database]))")) == 1
    )
    assert "idna 3.6" in capfd.readouterr().err.splitlines()[-1]
