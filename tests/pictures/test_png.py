"""Pictures as files: what they say of themselves, and that there is never half of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.pictures.png import save_png, writable_folder
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)


def test_a_picture_comes_back_with_its_pixels_and_its_texts(tmp_path):
    save_png(tmp_path / "a.png", PIXELS, {"parameters": " <faceid:Zoë:1> woman 🏔\nSteps: 30 ", "faceid": "{}"})
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.array(picture), PIXELS)
        assert picture.text == {"parameters": " <faceid:Zoë:1> woman 🏔\nSteps: 30 ", "faceid": "{}"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_others_may_read_it_as_any_file_of_the_user(tmp_path):
    before = os.umask(0o027)
    try:
        save_png(tmp_path / "a.png", PIXELS, {})
        (tmp_path / "plain").touch()
    finally:
        assert os.umask(before) == 0o027, "the process keeps its own"
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_picture(tmp_path):
    code = (
        "import resource, sys, signal, pathlib, numpy as np\n"
        "from faceid_tunes.faceid_core.pictures.png import save_png\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)\n"
        "save_png(pathlib.Path(sys.argv[1]), noise, {})\n"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True)
    assert "FaceIDError" in run.stderr and "a.png: cannot be written (File too large)" in run.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_half_picture(tmp_path):
    code = (
        "import os, sys, pathlib, numpy as np\n"
        "from faceid_tunes.faceid_core.pictures.png import save_png\n"
        "def slow(*names):\n"
        "    print('written', flush=True); sys.stdin.read()\n"
        "os.link = os.replace = slow\n"
        "save_png(pathlib.Path(sys.argv[1]), np.zeros((64, 64, 3), np.uint8), {})\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "written\n"
    assert len(list(tmp_path.iterdir())) == 1, "the unfinished file, under another name"
    run.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in run.communicate()[1]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_drawn(tmp_path):
    assert writable_folder(tmp_path / "new" / "folder").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FaceIDError, match=r"file.*pictures cannot be written there.*--output"):
        writable_folder(tmp_path / "file")
    if os.path.isdir("/proc/self"):  # nobody, not even root, creates files there
        with pytest.raises(FaceIDError, match="cannot be written there"):
            writable_folder(type(tmp_path)("/proc/self"))
