"""Pings to a dead-man service: start, exit status, the time between; and services that are worse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from actions import lonely, playing
from dead_man import dead_man
from mail_server import dripping_server
from relay import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A day on which one spread is open from 09:35 on."""
    with playing(tmp_path_factory.mktemp("pings")) as made:
        yield made


def ping_to(stage: Stage, url: str, **more: object) -> None:
    stage.write_config(ping={"url": url, **more})


def failures(stage: Stage) -> list[str]:
    log = (stage.folder / "trading.log").read_text()
    return [line for line in log.splitlines() if "the ping to" in line]


def test_start_and_exit_status_come_with_one_id_a_duration_and_a_line_without_the_account(stage):
    with dead_man() as service:
        ping_to(stage, service.url)
        assert stage.run("enter", "--dry-run").code == 0
        assert service.pings == []
        assert stage.run("enter")["outcome"] == "entered"
        start, end = service.pings
    assert (service.paths, start.body) == (["start", "0"], "")
    assert start.rid == end.rid != ""
    assert end.at > start.at
    assert end.body.startswith("spxarb enter: exit 0 after ")
    assert "entered: trade 1, credit $" in end.body
    assert "SIM0000001" not in end.body


def test_each_run_has_an_id_of_its_own_and_each_verb_its_address(stage):
    with dead_man() as service:
        ping_to(stage, f"{service.url}/{{command}}?create=1", settle_url=f"{service.url}/end-of-day")
        stage.at("09:40")
        assert stage.run("monitor").code == 0
        assert stage.run("settle").code == 0
        assert [ping.path.split("/", 2)[2] for ping in service.pings] == [
            "monitor/start",
            "monitor/0",
            "end-of-day/start",
            "end-of-day/0",
        ]
    assert len({ping.rid for ping in service.pings}) == 2


def test_a_failure_is_told_with_its_exit_code_also_of_a_job_that_cannot_begin(stage, tmp_path):
    with dead_man() as service:
        alone = lonely(tmp_path, free_port())
        ping_to(alone, service.url)
        assert alone.run("monitor").code == 4
        alone.write_config(ping={"url": service.url}, trading={"max_ratio": "ten"})
        assert alone.run("enter").code == 3
        alone.write_config(ping={"url": service.url})
        assert alone.run("settle", "--date", "2020-01-01", as_json=False).code != 0
        assert alone.run("status", "--offline").code == 0
    assert service.paths[:4] == ["start", "4", "start", "3"]
    assert len(service.paths) == 6


@pytest.mark.parametrize("way", ["refuses", "500", "hangs", "drips", "redirects"])
def test_a_service_that_fails_changes_no_result_and_is_one_line_in_the_log_without_the_secret(stage, way):
    with dead_man() as service, dead_man() as elsewhere, dripping_server() as drips:
        urls = {
            "refuses": f"http://127.0.0.1:{free_port()}/SECRETaddress0001",
            "drips": f"http://127.0.0.1:{drips}/SECRETaddress0001",
        }
        service.code = {"500": 500, "redirects": 302}.get(way, 200)
        service.location = f"{elsewhere.url}/taken" if way == "redirects" else ""
        service.hanging = way == "hangs"
        ping_to(stage, urls.get(way, service.url), deadline_seconds=1)
        before, begun = len(failures(stage)), time.monotonic()
        done = stage.run("monitor")
        took = time.monotonic() - begun
        assert (done.code, done.err, elsewhere.pings) == (0, "", [])
    (line,) = failures(stage)[before:]
    assert "SECRET" not in line
    assert "http://127.0.0.1/***" in line
    assert took < 20


def test_the_address_is_shown_as_scheme_and_host_alone(stage):
    with dead_man() as service:
        ping_to(stage, service.url)
        shown = stage.run("config")
        row = next(row for row in shown["settings"] if row["key"] == "ping.url")
        assert row["value"] == "http://127.0.0.1/***"
        stage.write_config(ping={"url": "https://u:hunter2@hc-ping.com/SECRETaddress0001"})
        refused = stage.run("monitor")
        assert (refused.code, "SECRET" in refused.err, "hunter2" in refused.err) == (3, False, False)
        assert "https://hc-ping.com/*** is not an http or https address" in refused.err
    for path in stage.folder.glob("trading.*"):
        assert b"SECRET" not in path.read_bytes(), path
