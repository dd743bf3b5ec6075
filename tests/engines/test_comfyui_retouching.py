"""What a prompt asks for after sampling, done by the ComfyUI engine in a real ComfyUI.

Random models, small pictures, one step; the super-resolution model repeats pixels.
"""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.engines.comfyui import ComfyUIEngine
from faceid_tunes.faceid_core.engines.engine import Drawn
from faceid_tunes.faceid_core.retouch import RetouchError
from faceid_tunes.faceid_core.retouch.color_grading import grade
from faceid_tunes.faceid_core.retouch.film_grain import film_grain
from faceid_tunes.faceid_core.tunes.store import TuneStore
from support.comfyui import ComfyUIServer
from support.drawing_in_comfyui import Told, difference, interrupt_at, last_end, queue_lengths, small
from support.retouch_models import write_swapper

PREVIEW = "PREVIEW: faces from yunet_sface, not buffalo_l; the likeness is meaningless"

pytestmark = pytest.mark.comfyui

FLAGS = {"super_resolution": True, "color_grading": "Ektar", "film_grain": True}


@pytest.fixture(scope="module")
def retouched(engine: ComfyUIEngine, store: TuneStore) -> tuple[Drawn, Told]:
    """The two pictures of Anna again, four times as large and graded, with a swap for which there is no swapper."""
    told: Told = []
    prompt = small("<faceid:Anna:1> woman", num_images=2, face_swap=True, **FLAGS)
    return engine.draw(prompt, store, lambda *now: told.append(now)), told


def test_what_a_prompt_asks_for_after_sampling_is_done_in_comfyui(retouched, two_of_anna):
    for finished, drawn in zip(retouched[0].pictures, two_of_anna[0].pictures, strict=True):
        large = drawn.pixels.repeat(4, axis=0).repeat(4, axis=1)
        expected = film_grain(grade(large, "Ektar"), drawn.seed)
        assert finished.seed == drawn.seed
        assert np.abs(finished.pixels.astype(int) - expected).mean() < 1  # drawn twice, a batch may round differently
    other_grain = film_grain(grade(large, "Ektar"), drawn.seed + 1)
    assert np.abs(finished.pixels.astype(int) - other_grain).mean() > 2


def test_the_notes_say_what_retouching_left_out_and_nothing_of_what_it_did(retouched):
    preview, drawing, *retouching = retouched[0].notes
    assert (preview, drawing) == (PREVIEW, "2 x 64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")
    left_out = "face_swap: skipped: there is no swapper"
    assert [note.partition(". Put")[0] for note in retouching] == [f"image 1: {left_out}", f"image 2: {left_out}"]


def test_the_progress_of_retouching_is_told_after_the_drawing_and_to_its_end(retouched):
    stages = list(dict.fromkeys(stage for stage, _, _ in retouched[1]))
    assert stages[-3:] == ["drawing", "retouching", "fetching pictures"]
    _, done, total = [now for now in retouched[1] if now[0] == "retouching"][-1]
    assert done == total


def test_a_retouched_picture_is_drawn_again_alone_by_its_seed(engine: ComfyUIEngine, store: TuneStore, retouched):
    alone = engine.draw(small("<faceid:Anna:1> woman", seed=8, **FLAGS), store)
    second = retouched[0].pictures[1].pixels.astype(int)
    assert np.abs(alone.pictures[0].pixels - second).mean() < 1
    assert alone.notes == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")


def test_hires_fix_gets_the_guider_and_the_vae_it_needs(engine: ComfyUIEngine, store: TuneStore):
    finished = engine.draw(small("<faceid:Anna:1> woman", hires_fix=True, super_resolution=True), store)
    plain = engine.draw(small("<faceid:Anna:1> woman", super_resolution=True), store)
    assert difference(finished, plain) > 1
    assert finished.notes == plain.notes == (PREVIEW, "64x64, 1 step of dpm++2m_karras, cfg 3, Anna at 1")


def test_a_job_that_is_being_retouched_is_stopped_in_comfyui(
    comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore
):
    flags = {"hires_fix": True, "super_resolution": True, "num_images": 8}
    with pytest.raises(KeyboardInterrupt):
        engine.draw(small("<faceid:Anna:1> woman", **flags), store, interrupt_at("retouching"))
    assert queue_lengths(comfyui) == (0, 0)
    assert last_end(comfyui) == "execution_interrupted"


def test_an_error_of_retouching_is_raised_in_its_words(engine: ComfyUIEngine, comfyui: ComfyUIServer, store: TuneStore):
    restorers = comfyui.base / "models" / "facerestore_models"
    write_swapper(restorers / "GFPGANv1.4.onnx")
    with pytest.raises(RetouchError, match="a face restorer is needed here; this is a face swapper"):
        engine.draw(small("woman", face_correct=True), store)
    (restorers / "GFPGANv1.4.onnx").unlink()  # not the folder, which ComfyUI has looked into
