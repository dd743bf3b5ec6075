"""Everything a prompt's flags ask for after sampling: in which order, with which tools, and what without them.

Real photos and face models; swappers and restorers are ONNX files whose result is a formula; super-resolution repeats
pixels and a sampler pass adds a number, so that what each step was given can be said exactly.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import Faces, find_faces
from faceid_tunes.faceid_core.prompts import RETOUCH_FLAGS, Prompt
from faceid_tunes.faceid_core.retouch import (
    FLAGS,
    RetouchError,
    Tools,
    check_result_size,
    load_restorer,
    load_swapper,
    retouch_picture,
)
from support.photos import around

ALL = {flag: True for flag in FLAGS if flag != "color_grading"} | {"color_grading": "Ektar"}


def asking(**flags: object) -> Prompt:
    return Prompt("<faceid:1:1> woman", **flags)


def repeat_pixels(picture: np.ndarray) -> np.ndarray:
    return picture.repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture(scope="module")
def one(t1, found):
    """One of the six people of t1 with room around the face."""
    return around(t1, found[0].box, 1.0)


@pytest.fixture
def passes():
    """What the sampler was called with: (shape, denoise, seed, people)."""
    return []


@pytest.fixture
def tools(pack, swapper_stub, restorer_stub, passes):
    def resample(picture, denoise, seed, people):
        passes.append((picture.shape, denoise, seed, people))
        return cv2.add(picture, np.full_like(picture, 30))

    return Tools(pack, load_swapper(swapper_stub), load_restorer(restorer_stub), repeat_pixels, resample)


def test_without_a_flag_the_picture_is_the_very_one_that_came(one, six, tools):
    done = retouch_picture(one, asking(), six[:1], tools, 42)
    assert done.picture is one
    assert done.notes == ()


@pytest.mark.slow
def test_all_flags_run_in_the_order_that_looks_best_and_the_picture_is_four_times_as_large(one, six, tools):
    steps = []
    done = retouch_picture(
        one, asking(**ALL), six[:1], tools, 42, preview=True, on_step=lambda *step: steps.append(step)
    )
    order = "hires_fix face_swap super_resolution inpaint_faces face_correct color_grading film_grain".split()
    assert [flag for flag, _, _ in steps] == [*order, "film_grain"]
    assert [count for _, count, _ in steps] == list(range(8))
    assert done.picture.shape == (4 * one.shape[0], 4 * one.shape[1], 3)
    assert done.notes == ()


@pytest.mark.slow
def test_each_step_is_given_the_picture_of_the_one_before(one, six, tools, passes):
    flags = {"hires_fix": True, "super_resolution": True, "inpaint_faces": True}
    seen = []

    def upscale(picture):
        seen.append(picture)
        return repeat_pixels(picture)

    retouch_picture(one, asking(**flags), six[:1], replace(tools, upscale=upscale), 7)
    height, width = (round(side * 1.5 / 8) * 8 for side in one.shape[:2])
    (hires, denoise, seed, people), *faces = passes
    assert (hires, seed, people) == ((height, width, 3), 7, None)
    assert 0.3 <= denoise <= 0.4
    assert seen[0].shape == (height, width, 3)
    larger = cv2.resize(one, (width, height), interpolation=cv2.INTER_LANCZOS4)
    assert np.median(seen[0].astype(int) - larger) == 30  # drawn again before it was enlarged
    assert [(shape[0] == shape[1] >= 512, people) for shape, _, _, people in faces] == [(True, (0,))]


@pytest.mark.slow
@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag != "super_resolution"])
def test_each_flag_changes_the_picture(one, six, tools, flag):
    # super_resolution is what hires_fix and inpaint_faces need; here it repeats pixels
    base = retouch_picture(one, asking(super_resolution=True), six[:1], tools, 42)
    with_flag = asking(**{"super_resolution": True, flag: ALL[flag]})
    done = retouch_picture(one, with_flag, six[:1], tools, 42, preview=True)
    assert done.picture.shape == base.picture.shape
    assert (done.picture != base.picture).any()


def test_the_same_seed_gives_the_same_picture_and_another_another(one, six, tools):
    first, again, other = (
        retouch_picture(one, asking(film_grain=True, style="Cinematic"), six[:1], tools, seed).picture
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# -- what is missing --------------------------------------------------------------------------------------------------

MISSING = {
    "face_swap": ({"swapper": None}, "models/insightface"),
    "face_correct": ({"restorer": None}, "models/facerestore_models"),
    "super_resolution": ({"upscale": None}, "models/upscale_models"),
}


@pytest.mark.parametrize("flag", MISSING)
def test_a_flag_without_its_model_leaves_the_picture_and_says_which_file_goes_where(one, six, tools, flag):
    lacking, folder = MISSING[flag]
    done = retouch_picture(one, asking(**{flag: True}), six[:1], replace(tools, **lacking), 42, preview=True)
    assert done.picture is one
    (note,) = done.notes
    assert note.startswith(f"{flag}: ")
    assert folder in note
    assert "faceid weights fetch --for " in note


@pytest.mark.parametrize("flag", ["hires_fix", "inpaint_faces"])
def test_a_sampler_pass_without_a_sampler_says_what_to_connect(one, six, tools, flag):
    done = retouch_picture(
        one, asking(**{flag: True, "super_resolution": True}), six[:1], replace(tools, resample=None), 42
    )
    np.testing.assert_array_equal(done.picture, repeat_pixels(one))
    assert done.notes == (f"{flag}: skipped: there is no sampler. Connect guider and vae",)


@pytest.mark.parametrize("flag", ["hires_fix", "inpaint_faces"])
def test_what_needs_super_resolution_is_ignored_without_it(one, six, tools, flag, passes):
    done = retouch_picture(one, asking(**{flag: True}), six[:1], tools, 42)
    assert done.picture is one
    assert done.notes == (f"{flag}: has no effect without super_resolution",)
    assert passes == []


def test_hires_fix_does_not_leave_a_picture_half_enlarged_when_there_is_no_upscaler(one, six, tools, passes):
    both = asking(hires_fix=True, super_resolution=True)
    done = retouch_picture(one, both, six[:1], replace(tools, upscale=None), 42)
    assert done.picture is one
    assert passes == []
    assert [note.split(":")[0] for note in done.notes] == ["hires_fix", "super_resolution"]


def test_nobody_to_swap_in_is_noted(one, tools):
    done = retouch_picture(one, Prompt("a woman", face_swap=True), [], tools, 42)
    assert done.picture is one
    assert "names no person to swap in" in done.notes[0]


# -- faces ------------------------------------------------------------------------------------------------------------

OF_FACES = {"face_swap": True, "face_correct": True, "inpaint_faces": True}


@pytest.mark.slow
def test_a_picture_without_a_face_comes_back_bit_for_bit_with_a_note_for_each_step(cat, six, tools):
    done = retouch_picture(cat, asking(super_resolution=True, **OF_FACES), six[:1], tools, 42, preview=True)
    np.testing.assert_array_equal(done.picture, repeat_pixels(cat))
    assert {note.split(":")[0] for note in done.notes} == set(OF_FACES)


@pytest.mark.slow
def test_faces_that_are_too_small_come_back_bit_for_bit_with_a_note(t1, six, tools):
    small = cv2.resize(t1, None, fx=0.12, fy=0.12, interpolation=cv2.INTER_AREA)
    assert find_faces([small], tools.pack).photos[0].faces, "there are faces, they are small"
    done = retouch_picture(small, asking(face_swap=True, face_correct=True), six[:1], tools, 42, preview=True)
    assert done.picture is small
    assert any("pixels small" in note for note in done.notes)


def test_two_people_but_one_face_swaps_the_one_who_is_more_alike_and_notes_the_other(one, six, tools):
    asked = Prompt("<faceid:1:1> woman and <faceid:2:1> man", face_swap=True)
    both = retouch_picture(one, asked, [six[3], six[0]], tools, 42, preview=True)
    alone = retouch_picture(one, asked, [six[0]], tools, 42, preview=True)
    np.testing.assert_array_equal(both.picture, alone.picture)
    assert both.notes == ("face_swap: there is no face for person 1 in a picture of one face",)


@pytest.mark.slow
def test_each_person_is_the_only_one_shown_in_the_face_most_like_them(t1, six, tools, passes):
    asked = asking(inpaint_faces=True, super_resolution=True)
    retouch_picture(t1, asked, [six[4], six[1]], replace(tools, upscale=repeat_pixels), 42)
    assert [people for *_, people in passes] == [(), (1,), (), (), (0,), ()]


@pytest.mark.slow
def test_a_model_that_returns_its_input_changes_no_pixel(one, six, tools, same_face, same_restored):
    idle = replace(tools, swapper=same_face, restorer=same_restored, resample=lambda picture, *_: picture)
    flags = {"super_resolution": True, **OF_FACES}
    done = retouch_picture(one, asking(**flags), six[:1], idle, 42, preview=True)
    assert np.abs(done.picture.astype(int) - repeat_pixels(one)).max() <= 1


def test_people_of_another_embedding_space_are_not_swapped_in_unless_asked_for(one, six, tools):
    with pytest.raises(RetouchError, match="would show somebody else"):
        retouch_picture(one, asking(face_swap=True), six[:1], tools, 42)


@pytest.mark.slow
def test_people_read_with_another_pack_are_not_compared(one, six, tools, passes):
    stranger = Faces(six[0].faces, "w600k_r50", "buffalo_l", "CPUExecutionProvider")
    flags = asking(face_correct=True, inpaint_faces=True, super_resolution=True)
    done = retouch_picture(one, flags, [stranger], tools, 42)
    assert done.picture.shape[0] == 4 * one.shape[0]
    assert [people for *_, people in passes] == [None]


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_result_too_large_is_refused_before_anything_runs(six, tools, passes):
    steps = []
    wide = np.zeros((64, 4104, 3), np.uint8)
    with pytest.raises(RetouchError, match="4104x64 pixels would become 16416x256") as error:
        retouch_picture(
            wide, asking(super_resolution=True), six[:1], tools, 42, on_step=lambda *step: steps.append(step)
        )
    assert "Draw a smaller picture" in str(error.value)
    assert steps == passes == []


def test_hires_fix_counts_what_it_needs_on_the_way(tools):
    able = {"has_upscaler": True, "has_sampler": True}
    check_result_size(2048, 2048, asking(super_resolution=True), **able)
    with pytest.raises(RetouchError, match="12288x12288 during the work, with hires_fix"):
        check_result_size(2048, 2048, asking(super_resolution=True, hires_fix=True), **able)


def test_what_cannot_be_enlarged_is_not_too_large(tools):
    check_result_size(16000, 16000, asking(super_resolution=True), has_upscaler=False, has_sampler=True)
    check_result_size(16000, 16000, asking(), has_upscaler=True, has_sampler=True)


def test_a_model_of_another_factor_gives_four_times_the_size(one, six, tools):
    twice = replace(tools, upscale=lambda picture: picture.repeat(2, axis=0).repeat(2, axis=1))
    done = retouch_picture(one, asking(super_resolution=True), six[:1], twice, 42)
    assert done.picture.shape == (4 * one.shape[0], 4 * one.shape[1], 3)


def test_every_flag_that_a_prompt_marks_as_retouching_has_a_step():
    assert set(FLAGS) == set(RETOUCH_FLAGS)
    assert asking(**ALL).retouch_flags == RETOUCH_FLAGS
    assert asking(style="Cinematic", use_lpw=True).retouch_flags == ()
