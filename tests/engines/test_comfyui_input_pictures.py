"""Prompts that come with a picture, drawn by the ComfyUI engine in a real ComfyUI with random models."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import TuneStore
from support.comfyui import ComfyUIServer
from support.drawing_in_comfyui import SIZE, difference, small
from support.photos import encoded

pytestmark = pytest.mark.comfyui

PICTURE = skimage.data.astronaut()[:SIZE, 200 : 200 + SIZE]
WOMAN = "<faceid:Anna:1> woman"


def test_a_picture_is_drawn_again_as_far_as_is_asked_for(engine: ComfyUIEngine, store: TuneStore):
    given = {"input_image": encoded(PICTURE, "PNG"), "steps": 4}
    far, near = (engine.draw(small(WOMAN, denoising_strength=share, **given), store) for share in (1.0, 0.25))
    new = engine.draw(small(WOMAN, steps=4), store)
    assert difference(far, near) > 1 and difference(new, near) > 1
    assert near.pictures[0].pixels.shape == (SIZE, SIZE, 3)
    assert near.notes[1].startswith("64x64, 4 steps")  # after the warning that it is a preview


def test_what_a_mask_leaves_out_stays_bit_exact_in_every_picture(engine: ComfyUIEngine, store: TuneStore):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[SIZE // 2 :] = 255
    given = {"input_image": encoded(PICTURE, "PNG"), "mask_image": encoded(mask, "PNG"), "num_images": 2, "steps": 2}
    drawn = engine.draw(small(WOMAN, **given), store)
    for picture in drawn.pictures:
        assert np.array_equal(picture.pixels[: SIZE // 2], PICTURE[: SIZE // 2])
        assert not np.array_equal(picture.pixels[SIZE // 2 :], PICTURE[SIZE // 2 :])
    assert difference(drawn, engine.draw(small(WOMAN, **given | {"num_images": 1}), store)) < 1


def test_a_picture_that_is_drawn_again_is_retouched_too(engine: ComfyUIEngine, store: TuneStore):
    given = {"input_image": encoded(PICTURE, "PNG"), "super_resolution": True}
    drawn = engine.draw(small(WOMAN, **given), store)
    assert drawn.pictures[0].pixels.shape == (4 * SIZE, 4 * SIZE, 3)


def test_a_picture_is_only_retouched_whatever_checkpoints_there_are(comfyui: ComfyUIServer, store: TuneStore):
    engine = ComfyUIEngine(comfyui.url, ComfyModels(checkpoint="there is none"), preview=True)
    given = Prompt("", input_image=encoded(PICTURE, "PNG"), super_resolution=True, face_correct=True, num_images=8)
    drawn = engine.draw(given, store)
    (picture,) = drawn.pictures
    assert np.array_equal(picture.pixels, PICTURE.repeat(4, axis=0).repeat(4, axis=1))
    assert [note.partition(":")[0] for note in drawn.notes] == ["face_correct"]
