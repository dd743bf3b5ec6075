"""A mask, a face and a strength for each frame: every frame is the one drawn alone with its own, in windows too."""

from __future__ import annotations

from dataclasses import replace

import comfy.context_windows
import comfy.samplers
import pytest
import torch
from faceid_tunes.faceid_core.adapter.tokens import ClipFeatures
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.faceid_core.faces.face import Faces, LeftOut
from support.comfy_model import apply, conditioning
from support.fidelity import adapter_for, random_clip, random_faces, saved_adapter
from support.oracle import relative_l2

WIDTH = 64
BOUND = 1e-5
FRAMES = 6
STRENGTHS = [0.0, 0.25, 0.5, 1.0, 1.5, 3.0]
PEOPLE = tuple(random_faces(seed=seed) for seed in range(FRAMES))


def frames_of(count: int) -> Faces:
    """A face for each frame, each of somebody else."""
    faces = tuple(replace(PEOPLE[number].faces[0], photo=number) for number in range(count))
    return replace(PEOPLE[0], faces=faces)


def masks(count: int) -> torch.Tensor:
    """[count, H, W], each of another stripe."""
    found = torch.zeros(count, 128, 128)
    for number in range(count):
        found[number, :, 128 * number // count : 128 * (number + 1) // count] = 1.0
    return found


@pytest.fixture
def show(bare, adapter):
    return lambda faces, **inputs: apply(bare, adapter, faces, lora_strength=0.0, **inputs)


def windowed(model):
    patched = model.clone()
    patched.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule("looped_uniform"),
        fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
        context_length=3,
        context_overlap=1,
        closed_loop=True,
        dim=0,
    )
    return patched


def draw(model, first: int = 0, count: int = 1) -> torch.Tensor:
    """``count`` frames from number ``first``, each from noise of its own."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0, seed=8))
    guider.set_cfg(3.0)
    noise = torch.randn(FRAMES, 4, 16, 16, generator=torch.Generator().manual_seed(5))[first : first + count]
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 1)
    with torch.inference_mode():
        return guider.sample(noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas)


def assert_each_is(frames: torch.Tensor, alone: list[torch.Tensor]) -> None:
    assert max(relative_l2(frame, one[0]) for frame, one in zip(frames, alone, strict=True)) <= BOUND


def served(show, count: int) -> list[torch.Tensor]:
    """Each frame alone, with the face, strength and mask that are its own where there are ``count`` of each."""
    alone = []
    for frame in range(FRAMES):
        own = frame % count
        shown = show(PEOPLE[own], strength=STRENGTHS[own], mask=masks(count)[own : own + 1])
        alone.append(draw(shown, frame))
    return alone


@pytest.mark.parametrize("count", [1, 4, 6])
def test_each_frame_is_the_one_drawn_alone_with_its_own_mask_face_and_strength(show, count):
    shown = show(frames_of(count), faces_per_frame=True, strengths=STRENGTHS[:count], mask=masks(count))
    alone = served(show, count)
    assert_each_is(draw(shown, count=FRAMES), alone)
    assert_each_is(draw(windowed(shown), count=FRAMES), alone)


def test_more_faces_strengths_and_masks_than_frames_serve_the_first(show):
    shown = show(frames_of(6), faces_per_frame=True, strengths=STRENGTHS, mask=masks(6))
    assert_each_is(draw(shown, count=2), served(show, 6)[:2])


@pytest.mark.parametrize(
    ("frames", "message"), [(2, "only the first 2 of them count"), (8, "start again from the first")]
)
def test_another_number_of_faces_than_frames_is_told(show, caplog, frames, message):
    draw(show(frames_of(4), faces_per_frame=True), count=min(frames, FRAMES))
    assert f"faces: 4 for {min(frames, FRAMES)} pictures" in caplog.text and message in caplog.text


def test_as_many_faces_as_frames_are_nothing_to_tell(show, caplog):
    draw(show(frames_of(4), faces_per_frame=True, strengths=[1.0], mask=masks(1)), count=4)
    assert "FaceID:" not in caplog.text


def test_without_being_asked_all_faces_are_one_person(show):
    (first, second) = draw(show(frames_of(2)), count=2)
    assert_each_is([first, second], [draw(show(frames_of(2)), number) for number in range(2)])


@pytest.mark.parametrize("variant", ["plusv2", "portrait"])
def test_a_face_per_frame_with_the_other_kinds_of_adapter(unet, bare, variant):
    clip = random_clip(2)
    with saved_adapter(adapter_for(unet, variant, "sd15", lora_rank=4), variant) as loaded:
        uses_clip = loaded.spec.variant.uses_clip

        def show(faces, number=slice(None), **inputs):
            seen = ClipFeatures(clip.crops[number], clip.blank) if uses_clip else None
            return apply(bare, loaded, faces, seen, lora_strength=0.0, **inputs)

        alone = [draw(show(PEOPLE[n], slice(n, n + 1)), n) for n in range(2)]
        assert_each_is(draw(show(frames_of(2), faces_per_frame=True), count=2), alone)


def test_a_list_over_the_socket_of_strength_is_a_strength_for_each_frame(show):
    assert torch.equal(
        draw(show(PEOPLE[0], strength=STRENGTHS), count=FRAMES),
        draw(show(PEOPLE[0], strengths=STRENGTHS), count=FRAMES),
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"strengths": [1.0, 3.5]}, "strengths: number 2 is 3.5; each has to lie from 0 to 3"),
        ({"strengths": [1.0, float("nan")]}, "strengths: number 2 is nan"),
        ({"strengths": []}, "strengths: the list is empty"),
        ({"strengths": "strong"}, "strengths: expected a list of numbers"),
        ({"strengths": [[1.0], [2.0]]}, "strengths: expected a list of numbers"),
        ({"strength": [1.0, 2.0], "strengths": [1.0, 2.0]}, "both lists"),
    ],
)
def test_strengths_that_cannot_be_are_refused_at_the_door(show, inputs, message):
    with pytest.raises(AdapterError, match=message):
        show(PEOPLE[0], **inputs)


@pytest.mark.parametrize("absent", [{"skipped": (1,)}, {"left_out": (LeftOut(1, "somebody else"),)}])
def test_faces_that_are_not_one_for_each_frame_are_refused(show, absent):
    faces = replace(frames_of(3), **absent)
    with pytest.raises(AdapterError, match="no face of photo 2 is used"):
        show(faces, faces_per_frame=True)
    assert draw(show(faces)).isfinite().all()
