"""What went wrong in a period."""

from __future__ import annotations

from spxarb.core.issues import IssueKind, issues


def a_run(at, code, error, command="monitor"):
    return {"at": at, "exit_code": code, "error": error, "command": command}


def a_matter(**fields):
    given = {
        "id": 1,
        "since": "2026-02-13T10:00:00-05:00",
        "last_seen": "2026-02-13T11:00:00-05:00",
        "text": "Shares came.",
        "resolved_at": None,
        "acknowledged_at": None,
    }
    return given | fields


def test_the_same_trouble_of_one_command_is_told_once_with_how_often_it_came():
    rows = [
        a_run("2026-02-13T10:00:00-05:00", 4, "No answer within 12 s."),
        a_run("2026-02-13T10:05:00-05:00", 4, "No answer within 13 s."),
        a_run("2026-02-13T10:05:00-05:00", 0, None),
        a_run("2026-02-13T09:35:00-05:00", 4, "No answer within 12 s.", "enter"),
    ]
    found = issues(rows, [], [])
    assert [(one.command, one.times, one.exit_code, one.text) for one in found] == [
        ("enter", 1, 4, "No answer within 12 s."),
        ("monitor", 2, 4, "No answer within 13 s."),
    ]
    assert (found[1].first.minute, found[1].last.minute) == (0, 5)


def test_a_command_that_never_ended_is_no_error_of_its_own():
    assert issues([a_run("2026-02-13T10:00:00-05:00", None, None)], [], []) == ()


def test_a_matter_is_open_until_it_is_resolved_or_acknowledged():
    rows = [a_matter(), a_matter(id=2, resolved_at="x"), a_matter(id=3, acknowledged_at="x")]
    assert [one.open for one in issues([], rows, [])] == [True, False, False]


def test_an_alert_that_did_not_go_out_is_an_issue():
    (issue,) = issues([], [], [{"at": "2026-02-13T10:00:00-05:00", "failure": "refused"}])
    assert (issue.kind, issue.text, issue.open) == (IssueKind.ALERT, "refused", None)


def test_a_time_that_cannot_be_read_hides_no_other_row():
    rows = [
        a_run("soon", 4, "x"),
        a_run("2026-02-13T10:00:00", 4, "y"),
        a_run("2026-02-13T10:00:00-05:00", 4, "z"),
    ]
    assert [one.text for one in issues(rows, [a_matter(since=None)], [])] == ["z"]
