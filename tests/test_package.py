"""What is installed: the examples, the units and the crontab are in the package, and are the files of the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    "config.example.yaml",
    "env.example",
    "crontab.example",
    *(f"systemd/{path.name}" for path in sorted((ROOT / "systemd").iterdir())),
]


def test_the_package_holds_every_example_and_nothing_else():
    examples = ROOT / "spxarb/examples"
    found = {str(path.relative_to(examples)): path for path in examples.rglob("*") if path.is_file()}
    assert sorted(found) == sorted(FILES)
    assert len(FILES) == 3 + 12
    for name, path in found.items():
        assert path.read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.outside
@pytest.mark.timeout(180)
def test_a_wheel_has_them_as_files(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", *FILES[:3]):
        shutil.copy(ROOT / name, source / name)
    (source / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "spxarb.1", source / "docs")
    for folder in ("spxarb", "systemd", "tools", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=ignored)
    shutil.copytree(ROOT / "tests" / "core", source / "tests" / "core", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    if done.returncode and "Could not find a version" in done.stderr:
        pytest.skip("what builds a wheel cannot be had here")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            assert archive.read(f"spxarb/examples/{name}") == (ROOT / name).read_bytes(), name
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "spxarb").rglob("*.py")}
    examples = {f"spxarb/examples/{name}" for name in FILES}
    manual = "spxarb-0.1.0.data/data/share/man/man1/spxarb.1"
    assert held == modules | examples | {"spxarb/py.typed", manual}, "no tools, no tests, nothing left over"
