"""For all tests: properties are judged by what they find, not by how fast a busy machine finds it."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

OUTSIDE = {"subprocess", "socket", "RunningSim"}
"""A test file that has one of these names at its top starts processes or opens sockets."""

settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("project")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as under nohup: every child would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they are for everybody, whatever terminal the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "scenarios" in item.path.parts or OUTSIDE & set(vars(getattr(item, "module", None) or item)):
            item.add_marker("outside")
