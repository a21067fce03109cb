"""Names of backups, and which of them go."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from spxarb.core.backup_names import backup_name, of_day, read_name, too_old
from spxarb.core.model import NEW_YORK

AT = datetime(2026, 2, 13, 16, 5, 12, tzinfo=NEW_YORK)


def name_of(days_ago: int, *, tag: str = "3fa2c1", mode: str = "paper") -> str:
    return backup_name(mode, tag, AT - timedelta(days=days_ago))


def test_a_name_tells_the_mode_the_ledger_and_the_moment():
    assert backup_name("paper", "3fa2c1", AT) == "spxarb-paper-3fa2c1-20260213T160512.tar.gz"
    assert backup_name("live", "3fa2c1", AT, 2) == "spxarb-live-3fa2c1-20260213T160512-2.tar.gz"
    found = read_name("spxarb-live-3fa2c1-20260213T160512-2.tar.gz")
    assert found is not None
    assert (found.mode, found.tag, found.day, found.clock) == ("live", "3fa2c1", date(2026, 2, 13), "160512")


def test_what_is_no_backup_by_its_name_is_never_deleted():
    others = ["notes.txt", "trading.db", "spxarb-paper-3fa2c1-20269913T160512.tar.gz", ".x.part", "a.tar.gz"]
    assert [read_name(name) for name in others] == [None] * 5
    assert too_old([*others, name_of(0)], "paper", "3fa2c1", AT.date(), 1) == []


def test_a_backup_older_than_the_days_goes_and_one_of_exactly_that_age_stays():
    names = [name_of(31), name_of(30), name_of(0)]
    assert too_old(names, "paper", "3fa2c1", AT.date(), 30) == [name_of(31)]


def test_the_newest_backup_stays_however_old_it_is():
    assert too_old([name_of(900), name_of(800)], "paper", "3fa2c1", AT.date(), 30) == [name_of(900)]


def test_backups_of_other_ledgers_in_the_same_folder_are_left_alone():
    names = [name_of(90), name_of(80, tag="000000"), name_of(80, mode="live"), name_of(0)]
    assert too_old(names, "paper", "3fa2c1", AT.date(), 30) == [name_of(90)]


def test_the_backup_of_a_day_is_found_by_its_time_too():
    names = [name_of(0), name_of(1)]
    assert of_day(names, "paper", "3fa2c1", AT.date()) == [name_of(0)]
    assert of_day(names, "paper", "3fa2c1", AT.date(), time(16, 5, 12)) == [name_of(0)]
    assert of_day(names, "paper", "3fa2c1", AT.date(), time(16, 5, 13)) == []
