"""``faceid demo`` as a newcomer runs it: a new home, no models, nobody to ask. Full size, so it takes a minute.

One test has it write its weights; those of a later stage are given a checkpoint that is there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.checkpoint import sd15_checkpoint

pytestmark = pytest.mark.full_size

RUN = "import sys; from faceid_tunes.cli import main; sys.exit(main(['demo']))"
DEMO = [sys.executable, "-c", RUN]
WITH_CHECKPOINT = """
import os, sys
from faceid_tunes.faceid_core.weights import placeholder
placeholder.write_placeholder_checkpoint = lambda path, on_tensor: os.symlink(sys.argv[1], path)
"""


@pytest.fixture
def newcomer(tmp_path: Path) -> dict:
    """How a process of somebody starts who has a home and a working folder, both empty."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    hidden = ("FACEID_", "XDG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {"cwd": tmp_path / "work", "env": environment | {"HOME": str(tmp_path / "home")}, "text": True}


def test_without_weights_the_whole_way_runs_on_placeholders_and_every_file_says_so(newcomer):
    run = subprocess.run(DEMO, **newcomer, stdin=subprocess.DEVNULL, capture_output=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "PLACEHOLDER WEIGHTS" in run.stdout and "faceid weights fetch --for generate" in run.stdout
    for stage in ("making a checkpoint", "loading the model", "drawing"):
        assert stage in run.stderr, "a progress bar for each stage"
    results = newcomer["cwd"] / "faceid-demo"
    assert sorted(path.name for path in results.iterdir()) == ["placeholder_00001.png", "placeholder_00001_sheet.png"]
    with Image.open(results / "placeholder_00001.png") as picture:
        about = json.loads(picture.text["faceid"])
        assert picture.size == (256, 256) and about["placeholder_weights"] is True
        assert about["prompt"]["text"] == "<faceid:Eileen Collins:1> woman trekking in the alps"
    with Image.open(results / "placeholder_00001_sheet.png") as sheet:
        assert sheet.width > 4 * 320 and sheet.height > 600, "the steps beside the picture, what is missing below"
    cache = Path(newcomer["env"]["HOME"]) / ".cache" / "faceid-tunes"
    assert not list(cache.iterdir()), "2.2 GB of random values are not left behind"


@pytest.mark.parametrize("stage", ["making a checkpoint", "loading the model", "drawing"])
def test_ctrl_c_in_any_stage_ends_with_130_and_leaves_nothing(newcomer, stage):
    demo = DEMO
    if stage != "making a checkpoint":
        demo = [sys.executable, "-c", WITH_CHECKPOINT + RUN, sd15_checkpoint()]
    run = subprocess.Popen(demo, **newcomer, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = ""
    while stage not in said:
        character = run.stderr.read(1)
        assert character, said
        said += character
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate()
    assert run.returncode == 130, rest[-3000:]
    assert "Traceback" not in rest
    assert not list((newcomer["cwd"] / "faceid-demo").iterdir())
    assert not list((Path(newcomer["env"]["HOME"]) / ".cache" / "faceid-tunes").iterdir())
