"""The tests in tests/inside import ComfyUI, so its own interpreter runs them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from support.comfyui import REPOSITORY, Installation

pytestmark = [pytest.mark.comfyui, pytest.mark.xdist_group("inside")]  # needs no ComfyUI that runs


def test_the_tests_inside_comfyui_pass(installation: Installation):
    if missing := " ".join(installation.missing(("accelerate", "diffusers", "pytest"))):
        pytest.skip(f"ComfyUI's interpreter has no {missing}: `{installation.python} -m pip install {missing}`.")
    run = subprocess.run(
        [installation.python, "-m", "pytest", "tests/inside", "-p", "no:cacheprovider", "-q"],
        cwd=REPOSITORY,
        env=os.environ | {"COMFYUI_PATH": str(installation.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) > 0, run.stdout
