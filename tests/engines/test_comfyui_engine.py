"""The ComfyUI engine against a real ComfyUI: real photos, random models, small pictures, few steps.

The random checkpoint draws no person, so these tests see that the right people, seeds and settings reach the picture,
not that it is a good likeness. Faces are read with the embedded pack, which needs ``preview``.
"""

from __future__ import annotations

import re
import shutil
import signal
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import aiohttp
import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine, ComfyUIError
from faceid_tunes.faceid_core.engines.comfyui import find_comfyui as find_running
from faceid_tunes.faceid_core.engines.comfyui.client import ComfyUI
from faceid_tunes.faceid_core.engines.comfyui.graph import title_there
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.faces.face import Face
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import PromptError
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.tune import Tune
from PIL import Image
from support import photos
from support.comfyui import ComfyUIServer
from support.drawing_in_comfyui import LONG, SIZE, difference, interrupt_at, last_end, queue_lengths, small

PREVIEW = "PREVIEW: faces from yunet_sface, not buffalo_l; the likeness is meaningless"

pytestmark = pytest.mark.comfyui

MODELS = ComfyModels(adapter="ip-adapter-faceid_sd15")


@pytest.fixture
def there(comfyui: ComfyUIServer) -> Iterator[TuneStore]:
    """The store of tunes of the ComfyUI that runs."""
    with open_store(comfyui.base / "user" / "__faceid_tunes") as opened:
        yield opened


def keep(store: TuneStore, title: str, name: str, *files: bytes) -> Tune:
    return create_tune(store, files, title, name, embedded_pack())


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_a_comfyui_with_our_nodes_is_found(comfyui: ComfyUIServer):
    assert find_running(("http://127.0.0.1:1", comfyui.url)) == comfyui.url


def test_as_many_pictures_as_asked_for_come_back_with_their_size_and_seeds(two_of_anna):
    drawn, _ = two_of_anna
    assert [picture.seed for picture in drawn.pictures] == [7, 8]
    for picture in drawn.pictures:
        assert (picture.pixels.shape, picture.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert len(np.unique(picture.pixels)) > 100  # NaN would be all black


def test_the_progress_is_told_stage_by_stage_and_to_its_end(two_of_anna):
    _, told = two_of_anna
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    expected = ["looking for ComfyUI", "sending photos", "finding faces", "loading models", "drawing"]
    assert stages == [*expected, "fetching pictures"]
    assert [now for now in told if now[0] == "drawing"][-1] == ("drawing", 1, 1)
    assert told[-1] == ("fetching pictures", 2, 2)
    assert len(set(told)) == len(told)


def test_the_notes_are_what_the_nodes_say_with_the_people_called_as_they_are_here(two_of_anna):
    drawn, _ = two_of_anna
    assert drawn.notes == (PREVIEW, "2 x 64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")


def test_a_seed_draws_its_picture_again_alone_and_without_a_websocket(
    engine: ComfyUIEngine, store: TuneStore, two_of_anna, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_args: object) -> None:
        raise aiohttp.ClientConnectionError

    monkeypatch.setattr(ComfyUI, "listen", refuse)
    told: list[str] = []
    again = engine.draw(small("<faceid:Anna:1> woman", face_swap=True), store, lambda stage, *_: told.append(stage))
    assert difference(again, two_of_anna[0]) < 1
    preview, drawing, left_out = again.notes  # from the history, as what is drawn
    assert (preview, drawing) == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")
    assert left_out.startswith("face_swap: skipped: there is no swapper")
    assert "sending photos" not in told  # Anna is there already


def test_the_same_prompt_again_is_drawn_again_and_equal(engine: ComfyUIEngine, store: TuneStore):
    first, again = (engine.draw(small("<faceid:Anna:1> woman"), store) for _ in range(2))
    np.testing.assert_array_equal(first.pictures[0].pixels, again.pictures[0].pixels)
    assert first.notes == again.notes == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")


def test_another_seed_and_nobody_at_all_draw_other_pictures(engine: ComfyUIEngine, store: TuneStore, two_of_anna):
    first, second = (picture.pixels.astype(int) for picture in two_of_anna[0].pictures)
    assert np.abs(first - second).mean() > 1
    assert difference(engine.draw(small("woman"), store), two_of_anna[0]) > 1


def test_two_people_of_one_text_both_show(engine: ComfyUIEngine, store: TuneStore, there: TuneStore, two_of_anna):
    anna, ben = store.get_by_title("Anna"), store.get_by_title("Ben")
    both = engine.draw(small(f"<faceid:Anna:1> woman <faceid:{ben.id}:1>"), store)
    assert difference(both, two_of_anna[0]) > 1
    assert both.notes == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1, Ben at 1")
    assert {title for _, title in there.titles()} >= {title_there(anna), title_there(ben)}


def test_two_people_of_one_title_are_not_mixed_up(
    engine: ComfyUIEngine, store: TuneStore, tmp_path: Path, two_of_anna, actor: bytes
):
    with open_store(tmp_path) as another:
        keep(another, "Anna", "woman", actor)
        drawn = engine.draw(small("<faceid:Anna:1> woman"), another)
    assert difference(drawn, two_of_anna[0]) > 1
    assert drawn.notes == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")


def test_a_plus_adapter_gets_as_far_as_drawing_with_its_image_encoder(comfyui: ComfyUIServer, store: TuneStore):
    plus = ComfyUIEngine(comfyui.url, ComfyModels(adapter="ip-adapter-faceid-plusv2_sd15.bin"), preview=True)
    with pytest.raises(KeyboardInterrupt):
        plus.draw(small("<faceid:Anna:1> woman", steps=LONG), store, interrupt_at("drawing"))


# -- photos -----------------------------------------------------------------------------------------------------------


def both_faces(tune: Tune, here: TuneStore, there: TuneStore) -> list[tuple[Face, Face]]:
    """Each face found here, and the one that ComfyUI found."""
    pack = embedded_pack()
    theirs = faces_of(there.get_by_title(title_there(tune)), there, pack).faces
    return list(zip(faces_of(tune, here, pack).faces, theirs, strict=True))


def test_comfyui_finds_exactly_the_face_that_we_find(store: TuneStore, there: TuneStore, two_of_anna):
    ((ours, theirs),) = both_faces(store.get_by_title("Anna"), store, there)
    assert np.array_equal(ours.embedding, theirs.embedding)  # its cosine with itself is 1 on some processors only


def test_photos_of_different_sizes_stay_the_person_they_show(engine: ComfyUIEngine, store: TuneStore, there: TuneStore):
    astronaut = skimage.data.astronaut()
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter clockwise makes it upright
    sideways = photos.encoded(np.rot90(astronaut[:400]), "JPEG", quality=95, exif=turned)
    aside = np.hstack([astronaut[:400], skimage.data.coffee()])  # the middle of the photo shows no face
    tune = keep(store, "three sizes", "woman", photos.encoded(astronaut, "PNG"), sideways, photos.encoded(aside, "PNG"))
    assert len({(photo.width, photo.height) for photo in tune.photos}) == 3
    with pytest.raises(KeyboardInterrupt):  # the faces are what we want to see, not the picture
        engine.draw(small("<faceid:three sizes:1>", steps=LONG), store, interrupt_at("loading models"))
    faces = both_faces(tune, store, there)
    assert min(float(ours.unit_embedding @ theirs.unit_embedding) for ours, theirs in faces) > 0.93


def test_a_person_deleted_in_comfyui_is_brought_there_again(
    engine: ComfyUIEngine, store: TuneStore, there: TuneStore, actor: bytes
):
    """Also when ComfyUI remembers the very job that kept them, and would skip an equal one."""
    title = title_there(keep(store, "Cora", "woman", photos.encoded(skimage.data.astronaut(), "PNG")))
    keep(store, "Dan", "man", actor)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.draw(small("<faceid:Cora:1> <faceid:Dan:1>", steps=LONG), store, interrupt_after_one_person())
        there.delete(there.get_by_title(title).id)


def interrupt_after_one_person() -> Callable[[str, int, int], None]:
    told = []

    def on_progress(stage: str, *_: int) -> None:
        told.append(stage)
        if stage == "sending photos" and "finding faces" in told:
            raise KeyboardInterrupt

    return on_progress


def test_nothing_stays_in_the_folders_of_the_user(comfyui: ComfyUIServer, two_of_anna):
    for folder in ("input", "output"):
        assert not [path for path in (comfyui.base / folder).rglob("*.png")]


# -- stopping ---------------------------------------------------------------------------------------------------------


def set_event(cancel: Event) -> None:
    cancel.set()


def press_ctrl_c(_cancel: Event) -> None:
    signal.raise_signal(signal.SIGINT)


def fail(_cancel: Event) -> None:
    raise RuntimeError("the progress bar broke")


@pytest.mark.parametrize(
    ("stop", "raised"), [(set_event, Cancelled), (press_ctrl_c, KeyboardInterrupt), (fail, RuntimeError)]
)
def test_a_job_that_runs_is_stopped_in_comfyui(
    comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore, stop: Callable, raised: type
):
    cancel = Event()

    def on_progress(stage: str, *_: int) -> None:
        if stage == "drawing":
            stop(cancel)

    with pytest.raises(raised):
        engine.draw(small("<faceid:Anna:1> woman", steps=LONG), store, on_progress, cancel)
    assert queue_lengths(comfyui) == (0, 0)
    assert last_end(comfyui) == "execution_interrupted"


def test_a_job_that_waits_is_taken_out_of_the_queue_and_nobody_elses_is(
    comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore
):
    drawing, cancel_first, cancel_second = Event(), Event(), Event()
    told: list[tuple[str, int, int]] = []

    def first_progress(stage: str, *_: int) -> None:
        if stage == "drawing":
            drawing.set()

    def second_progress(*now: Any) -> None:
        told.append(now)
        if now[0] == "waiting in the queue":
            cancel_second.set()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(engine.draw, small("woman", steps=LONG), store, first_progress, cancel_first)
        try:
            assert drawing.wait(timeout=120)
            with pytest.raises(Cancelled, match="waiting in the queue"):
                engine.draw(small("<faceid:Anna:1> woman"), store, second_progress, cancel_second)
            assert ("waiting in the queue", 0, 1) in told
            assert queue_lengths(comfyui) == (1, 0)
        finally:
            cancel_first.set()
        with pytest.raises(Cancelled):
            first.result()
    assert queue_lengths(comfyui) == (0, 0)


def test_a_job_that_is_stopped_in_comfyui_is_cancelled_here(
    comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore
):
    def on_progress(stage: str, *_: int) -> None:
        if stage == "drawing":
            urllib.request.urlopen(urllib.request.Request(comfyui.url + "/interrupt", b"{}"), timeout=30).close()

    with pytest.raises(Cancelled, match="stopped in ComfyUI"):
        engine.draw(small("woman", steps=LONG), store, on_progress)


# -- bad input --------------------------------------------------------------------------------------------------------


def test_an_adapter_has_to_be_chosen_when_there_are_two(comfyui: ComfyUIServer, store: TuneStore):
    listed = r"Choose one of ip-adapter-faceid-plusv2_sd15\.bin, ip-adapter-faceid_sd15\.bin\."
    with pytest.raises(ComfyUIError, match=listed):
        ComfyUIEngine(comfyui.url).draw(small("woman"), store)


def test_a_lora_that_is_not_there_is_pointed_at_in_the_text_as_written(engine: ComfyUIEngine, store: TuneStore):
    with pytest.raises(PromptError, match=r"column 23: there is no LoRA 'grain'"):
        engine.draw(small("<faceid:Anna:1> woman <lora:grain:1>"), store)


def test_what_comfyui_refuses_is_said_with_node_and_input(comfyui: ComfyUIServer, store: TuneStore):
    strong = ComfyUIEngine(comfyui.url, MODELS, lora_strength=9.0)
    with pytest.raises(ComfyUIError, match=r"refuses the job\. FaceIDApplyPrompt: Value 9\.0 .* lora_strength"):
        strong.draw(small("woman"), store)


def test_an_error_of_our_nodes_is_raised_in_their_words(comfyui: ComfyUIServer, store: TuneStore):
    strict = ComfyUIEngine(comfyui.url, MODELS)
    words = "refuses the job. FaceIDApplyPrompt: The picture would show somebody else: people are read with yunet_sface"
    with pytest.raises(ComfyUIError, match=re.escape(words)) as error:
        strict.draw(small("<faceid:Anna:1> woman"), store)
    assert "Put buffalo_l into" in str(error.value)


def test_a_picture_that_cannot_be_fetched_is_numbered(comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore):
    def on_progress(*now: Any) -> None:
        if now == ("fetching pictures", 1, 2):
            shutil.rmtree(comfyui.base / "temp")

    with pytest.raises(ComfyUIError, match=r"Picture 2 of 2 was drawn but cannot be fetched: .*HTTP 404"):
        engine.draw(small("woman", num_images=2), store, on_progress)
