"""A disk that is really full: a true sentence, nothing half, and on it goes when there is space again."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.full_disk import on_a_small_disk

pytestmark = pytest.mark.slow
TESTS = str(Path(__file__).parents[1])

_STORE = """
sys.path.insert(0, sys.argv[2])
from datetime import timedelta
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.jobs.backup import back_up
from faceid_tunes.faceid_core.disk import write_new
from faceid_tunes.faceid_core.tunes.check import check_store
from faceid_tunes.faceid_core.tunes.store import open_store
from support.made_tunes import made_tune
with open_store(disk / "home") as store:
    kept = made_tune(store, "kept")
    fill()
    for number in range(3):
        try:
            made_tune(store, f"new {number}", photos=200)
            print("created")
        except FaceIDError as error:
            print(error)
    try:
        write_new([disk / "backup"], lambda file: back_up(store, file, disk))
    except OSError as error:
        print("backup:", error.strerror, sorted(path.name for path in disk.iterdir()))
    assert store.list() == (kept,)
    free()
    store.purge(timedelta(0))
    found = check_store(store)
    print((found.tunes, found.unneeded, found.damages, found.database))
    print(made_tune(store, "new").title)
with open_store(disk / "home") as store:
    print([tune.title for tune in store.list()])
"""


def test_a_store_on_a_full_disk_keeps_what_it_has_and_goes_on_when_there_is_space(tmp_path: Path) -> None:
    *refused, backup, checked, new, listed = on_a_small_disk(tmp_path, _STORE, TESTS)
    assert len(refused) == 3
    for sentence in refused:
        assert "could not be stored under" in sentence or "database" in sentence
        assert "No space left on device. Free space there" in sentence or "disk is full" in sentence
    assert backup == "backup: No space left on device ['home', 'rest']"
    assert (checked, new, listed) == ("(1, 0, (), ())", "new", "['new', 'kept']")


_OPENING = """
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.tunes.store import open_store
fill()
try:
    open_store(disk / "home").close()
except FaceIDError as error:
    print(error)
free()
with open_store(disk / "home") as store:
    print(store.list())
"""


def test_a_store_that_is_made_on_a_full_disk_is_made_when_there_is_space(tmp_path: Path) -> None:
    sentence, listed = on_a_small_disk(tmp_path, _OPENING)
    assert "full" in sentence or "No space left on device" in sentence
    assert listed == "()"


_PICTURES = """
import numpy as np
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.pictures.png import save_png
noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
save_png(disk / "before.png", noise, {})
fill()
try:
    save_png(disk / "a.png", noise, {})
except FaceIDError as error:
    print(error)
print(sorted(path.name for path in disk.iterdir()))
free()
print(save_png(disk / "a.png", noise, {}).stat().st_size == (disk / "before.png").stat().st_size)
"""


def test_a_picture_on_a_full_disk_is_not_there_by_half(tmp_path: Path) -> None:
    sentence, names, whole = on_a_small_disk(tmp_path, _PICTURES)
    assert sentence.endswith(
        "a.png: cannot be written (No space left on device). Free space on the disk, or give another --output."
    )
    assert (names, whole) == ("['before.png', 'rest']", "True")


_DOWNLOAD = """
import functools, hashlib, http.server, threading
from faceid_tunes.faceid_core.weights.errors import WeightsError
from faceid_tunes.faceid_core.weights.fetch import fetch_each
from faceid_tunes.faceid_core.weights.folders import model_folders
from faceid_tunes.faceid_core.weights.manifest import Licence, PublishedFile
model = pathlib.Path(sys.argv[2])
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(model.parent))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
http.server.SimpleHTTPRequestHandler.log_message = lambda *said: None
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/{model.name}"
free_licence = Licence("free", "Free for any use.", True)
sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
entry = PublishedFile("m", "model.onnx", "ipadapter", url, "main", free_licence, ("tests",), size=None, sha256=sha256)
folders = model_folders(disk / "models")
def fetch():
    return list(fetch_each([entry], folders, tell=lambda sentence: None))
(disk / "models" / "ipadapter").mkdir(parents=True)
(disk / "rest").write_bytes(bytes(2**21 - 2**17))
try:
    fetch()
except WeightsError as error:
    print(error)
print(sorted(path.name for path in (disk / "models" / "ipadapter").iterdir()))
free()
(done,) = fetch()
print(done.verified, sorted(path.name for path in (disk / "models" / "ipadapter").iterdir()))
"""


def test_a_download_on_a_full_disk_goes_on_from_its_part_when_there_is_space(tmp_path: Path, pack) -> None:
    """The server says no size, so the disk is full in the middle."""
    sentence, names, done = on_a_small_disk(tmp_path, _DOWNLOAD, str(pack.detector))
    assert "the disk is full" in sentence
    assert names == "['model.onnx.part']"
    assert done == "True ['model.onnx']"
