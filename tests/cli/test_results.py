"""The files of a run: many processes write into one folder, and no picture replaces another."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.faceid_core.disk import write_new
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.pictures.png import save_png
from PIL import Image

PROCESSES, EACH = 4, 3
# Waits for a line before it writes, so that all look at the folder at once.
DRAW = """
import sys, pathlib, numpy as np
from faceid_tunes.cli.results import Provenance, Recognisers, save_results
from faceid_tunes.faceid_core.engines.engine import Drawn, Picture
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
folder, shade, each = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
made = Provenance(Prompt("a man"), "none", Recognisers((embedded_pack(),), "none"))
drawn = Drawn(tuple(Picture(np.full((64, 64, 3), shade, np.uint8), seed) for seed in range(each)))
with open_store(folder / "home") as store:
    lines = save_results(folder / "out", made, drawn, store)
    sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
    sys.stdout.write("".join(f"{line}\\n" for line in lines))
"""


@pytest.mark.slow
def test_four_processes_draw_into_one_folder_and_every_picture_told_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    shades = [40 * who + 40 for who in range(PROCESSES)]
    workers = [
        subprocess.Popen([sys.executable, "-c", DRAW, tmp_path, str(shade), str(EACH)], stdin=-1, stdout=-1, text=True)
        for shade in shades
    ]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * PROCESSES
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [worker.communicate()[0].splitlines() for worker in workers]
    paths = [Path(line) for lines in told for line in lines]
    assert len(set(paths)) == len(paths) == PROCESSES * (EACH + 1), "a name was given twice"
    assert sorted(paths) == sorted((tmp_path / "out").iterdir())
    for shade, lines in zip(shades, told, strict=True):
        assert [np.array(Image.open(line))[0, 0, 0] for line in lines[:EACH]] == [shade] * EACH
        assert Path(lines[-1]).name == f"{Path(lines[0]).stem}_sheet.png"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_name_that_is_taken_is_never_written_over(tmp_path: Path, monkeypatch, links: bool) -> None:
    """Where the file system has no hard links, too."""
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    names = [tmp_path / f"{number}.png" for number in range(1, 4)]
    names[0].write_bytes(b"before")
    names[1].symlink_to(tmp_path / "nowhere")
    assert write_new(names, lambda file: file.write(b"new")) == names[2]
    assert (names[0].read_bytes(), names[2].read_bytes()) == (b"before", b"new")
    with pytest.raises(FileExistsError):
        write_new(names, lambda file: file.write(b"newer"))
    pixels = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(FaceIDError, match=r"1\.png: cannot be written: there is such a file"):
        save_png(names[0], pixels, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png", "3.png"]


def refuse(*_arguments: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")
