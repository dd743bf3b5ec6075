"""A wheel holds every package and every data file of the tree, and nothing else of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_OURS = shutil.ignore_patterns(".*", "build", "dist", "tests", "*.egg-info")


@pytest.mark.slow
def test_a_wheel_is_built_and_holds_every_package_and_data_file(tmp_path: Path):
    tree = shutil.copytree(ROOT, tmp_path / "tree", ignore=NOT_OURS)
    rooms = [folder for folder in tree.iterdir() if (folder / "__init__.py").exists()]
    assert {"cli", "faceid_core", "nodes", "weights"} <= {room.name for room in rooms}
    # A package that no list could know of, and a data file in it.
    (tree / "faceid_core" / "new" / "room").mkdir(parents=True)
    for file in ("new/__init__.py", "new/room/__init__.py", "new/room/numbers.toml"):
        (tree / "faceid_core" / file).touch()

    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run = subprocess.run([sys.executable, "-c", build, tmp_path], cwd=tree, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (wheel,) = tmp_path.glob("faceid_tunes-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    files = [path for room in rooms for path in room.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {f"faceid_tunes/{path.relative_to(tree).as_posix()}" for path in files}
    assert held == expected | {"faceid_tunes/__init__.py", "faceid_tunes/install.py", "faceid_tunes/py.typed"}
