"""The writer of the house reads imports as they are, and its figures claim what is there."""

from __future__ import annotations

import subprocess

import pytest

from tests.markdown import ROOT
from tools.docs.house import House, files, house, main, picture, with_pictures
from tools.docs.imports import Module, all_imports, circles, graph, revision, working_tree


def modules(**texts):
    """A package by its files: `core__steps="..."` is spxarb/core/steps.py, `core__init="..."` its own file."""
    found = {"spxarb": Module("spxarb", "spxarb/__init__.py", '"""All of it."""')}
    for name, text in texts.items():
        parts = name.split("__")
        is_package = parts[-1] == "init"
        dotted = ".".join(["spxarb", *(parts[:-1] if is_package else parts)])
        path = dotted.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        found[dotted] = Module(dotted, path, text)
    return found


def test_an_import_is_of_the_module_it_names_however_it_is_written():
    package = modules(
        errors="",
        core__init="",
        core__steps="",
        core__a="from spxarb import errors\nfrom . import steps\nfrom ..errors import X\nimport spxarb.core.steps",
    )
    assert [(one.by, one.of) for one in all_imports(package)] == [
        ("spxarb.core.a", "spxarb.errors"),
        ("spxarb.core.a", "spxarb.core.steps"),
        ("spxarb.core.a", "spxarb.errors"),
        ("spxarb.core.a", "spxarb.core.steps"),
    ]


def test_an_import_inside_a_function_or_for_the_type_checker_counts():
    package = modules(
        a="def f():\n    import spxarb.b\n",
        b="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from spxarb.a import f\n",
    )
    found = {one.by: one for one in all_imports(package) if one.of.startswith("spxarb")}
    assert (found["spxarb.a"].of, found["spxarb.a"].for_types) == ("spxarb.b", False)
    assert (found["spxarb.b"].of, found["spxarb.b"].for_types) == ("spxarb.a", True)
    assert house(package).circles == [["spxarb.a", "spxarb.b"]]


def test_a_room_stands_one_floor_above_the_highest_that_it_points_at():
    drawn = house(
        modules(
            errors="",
            core__init="",
            core__steps="",
            jobs__init="",
            jobs__enter="import spxarb.core.steps, spxarb.errors",
            cli="import spxarb.jobs.enter, spxarb.errors",
        )
    )
    assert drawn.floors == {"core": 1, "errors": 1, "jobs": 2, "cli": 3}
    assert drawn.figures() == "4 rooms on 3 floors, 4 arrows, no arrows up, no circles"


def test_one_arrow_up_is_found_and_not_the_long_way_down():
    arrows = graph(
        ["a", "b", "c", "d"], [("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("d", "b"), ("a", "d")]
    )
    drawn = House(arrows, frozenset(), [])
    assert len(drawn.arrows_up) == 1
    assert (
        circles(graph(arrows, [(s, e) for s in arrows for e in arrows[s] if (s, e) not in drawn.arrows_up]))
        == []
    )


def test_the_picture_leaves_out_an_arrow_that_a_longer_way_replaces():
    drawn = picture(House(graph("abc", [("a", "b"), ("b", "c"), ("a", "c")]), frozenset("c"), []))
    assert "room_a --> room_b" in drawn
    assert "room_b --> room_c" in drawn
    assert "room_a --> room_c" not in drawn
    assert 'room_c["c/"]' in drawn
    assert 'room_a["a.py"]' in drawn


def test_a_document_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="'house' is marked 0 times"):
        with_pictures("# Architecture\n", modules())


def test_a_file_is_listed_with_its_first_sentence_on_one_line():
    listed = files(modules(core__init='"""Pure."""', core__a='"""What closing\ncosts now. More.\n\nLast."""'))
    assert (
        "## spxarb/core/\n\nPure.\n\n| file | does |\n|---|---|\n| `a.py` | What closing costs now. |\n"
        in listed
    )


def test_the_figures_of_a_revision_are_printed(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    if subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("no git repository here")
    main(["--figures", "HEAD"])
    assert capsys.readouterr().out.startswith(house(revision(ROOT, "HEAD")).figures())


def test_the_working_tree_is_read_whole():
    files_there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "spxarb").rglob("*.py")}
    assert {module.path for module in working_tree(ROOT).values()} == files_there
