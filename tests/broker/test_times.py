"""The time of a fill is told in New York, whatever the gateway calls its zone; in doubt, as it was heard."""

from datetime import datetime, timedelta

import pytest

from spxarb.broker.lists import listed_since
from spxarb.broker.times import execution_time, zone, zone_named
from spxarb.core.model import NEW_YORK

FILLED = datetime(2026, 11, 24, 9, 40, 1, tzinfo=NEW_YORK)
HEARD = FILLED + timedelta(seconds=2)


@pytest.mark.parametrize(
    "text",
    [
        "20261124 09:40:01 US/Eastern",
        "20261124 09:40:01 America/New_York",
        "20261124 09:40:01 EST",
        "20261124 09:40:01 EST (Eastern Standard Time)",
        "20261124 09:40:01 Eastern Standard Time",
        "20261124 08:40:01 US/Central",
        "20261124 08:40:01 Central Standard Time",
        "20261124-14:40:01",
        "20261124 14:40:01 GMT",
        "20261124 15:40:01 Central European Standard Time",
        "20261124 15:40:01 W. Europe Standard Time",
        "20261124 15:40:01 MET",
        "20261124 15:40:01 CET",
        "20261124 22:40:01 SGT",
        "20261124 22:40:01 HKT",
        "20261124 22:40:01 China Standard Time",
        "20261124 22:40:01 GMT+08:00",
        "20261124 23:40:01 JST",
        "20261124 23:40:01 Tokyo Standard Time",
        "20261125 01:40:01 AEDT",
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_a_known_zone_is_converted(text, live):
    assert execution_time(text, HEARD, live=live) == (FILLED, "")


@pytest.mark.parametrize(
    "text", ["20260724 09:40:01 EST", "20260724 15:40:01 CET", "20260724 14:40:01 GMT Standard Time"]
)
def test_an_abbreviation_of_winter_keeps_the_hour_of_summer(text):
    heard = datetime(2026, 7, 24, 9, 40, 3, tzinfo=NEW_YORK)
    assert execution_time(text, heard) == (datetime(2026, 7, 24, 9, 40, 1, tzinfo=NEW_YORK), "")


@pytest.mark.parametrize(
    "text",
    [
        "20261124 09:40:01 Mars/Olympus",
        "20261124 15:40:01 Mitteleurop\\xe4ische Zeit",
        "20261124 15:40:01 \ufffd\ufffd\ufffd",
        "20261124 20:10:01 IST",
        "20261124 22:40:01 ../../etc/passwd",
        "20261399 09:40:01 US/Eastern",
        "20261124 99:40:01 US/Eastern",
        "00010101 00:00:00 JST",
        "yesterday",
        "",
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_a_time_that_cannot_be_known_is_that_of_hearing_it(text, live):
    when, doubt = execution_time(text, HEARD, live=live)
    assert when == HEARD or text.startswith("0001")
    assert ("it carries the time when it was heard" in doubt) is (when == HEARD)


def test_a_zone_that_puts_a_fill_into_the_future_is_not_believed():
    """Sydney calls its zone EST too."""
    when, doubt = execution_time("20261125 01:40:01 EST", HEARD)
    assert (when, "later than the gateway's clock" in doubt) == (HEARD, True)


def test_without_a_zone_a_fill_that_happens_now_is_new_yorks_where_it_fits():
    assert execution_time("20261124  09:40:01", HEARD, live=True) == (FILLED, "")


@pytest.mark.parametrize("text", ["20261124  08:40:01", "20261124  22:40:01", "20261123  09:40:01"])
def test_without_a_zone_a_fill_that_happens_now_is_not_an_hour_old(text):
    when, doubt = execution_time(text, HEARD, live=True)
    assert (when, "no time zone" in doubt or "later than" in doubt) == (HEARD, True)


def test_without_a_zone_a_listed_fill_of_the_day_is_taken_as_new_yorks_and_doubted():
    when, doubt = execution_time("20261124  09:31:01", HEARD)
    assert when == FILLED.replace(minute=31)
    assert "taken as New York time" in doubt


def test_the_zone_of_the_gateway_is_what_its_times_name():
    assert zone_named("20261124 22:40:01 HKT") == {zone("Asia/Hong_Kong")}
    assert zone_named("20261124 22:40:01 Nowhere") == {None}
    assert zone_named("20261124  22:40:01") == zone_named("20261124-14:40:01") == set()


@pytest.mark.parametrize(
    ("zones", "hour"),
    [
        ({"America/New_York"}, 0),
        ({"America/New_York", "Asia/Hong_Kong"}, 11),
        ({"Asia/Tokyo"}, 10),
        ({"Europe/Berlin"}, 18 - 24),
        ({"America/New_York", "Nowhere"}, 12),
        (set(), 12),
    ],
)
def test_a_list_of_executions_goes_back_to_the_latest_midnight_that_may_be_meant(zones, hour):
    noon = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
    since = listed_since({zone(name) for name in zones}, noon, ())
    assert since == datetime(2026, 11, 24, tzinfo=NEW_YORK) + timedelta(hours=hour)
