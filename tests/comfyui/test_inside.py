"""The tests in tests/inside import ComfyUI, so its own interpreter runs them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from support.comfyui import REPOSITORY, Installation

pytestmark = pytest.mark.comfyui

FILES = sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("tests/inside/test_*.py"))
# Two processes of ComfyUI's Python, each needing no ComfyUI that runs: two workers can have one each.
PARTS = [
    pytest.param(FILES[part::2], id=id, marks=pytest.mark.xdist_group(id)) for part, id in enumerate(("even", "odd"))
]


@pytest.mark.parametrize("files", PARTS)
def test_the_tests_inside_comfyui_pass(installation: Installation, files: list[str]):
    if missing := " ".join(installation.missing(("accelerate", "diffusers", "pytest"))):
        pytest.skip(f"ComfyUI's interpreter has no {missing}: `{installation.python} -m pip install {missing}`.")
    run = subprocess.run(
        [installation.python, "-m", "pytest", *files, "-p", "no:cacheprovider", "-q"],
        cwd=REPOSITORY,
        env=os.environ | {"COMFYUI_PATH": str(installation.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) > 0, run.stdout
