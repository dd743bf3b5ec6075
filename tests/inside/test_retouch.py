"""Sampler passes over finished pictures, and restorers in ComfyUI's memory management."""

from __future__ import annotations

import comfy.model_management as model_management
import comfy.samplers
import folder_paths
import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.errors import PhotoError
from faceid_tunes.faceid_core.prompts import Prompt, resolve
from faceid_tunes.faceid_core.retouch import Retouched, load_parser
from faceid_tunes.faceid_core.retouch.face_parser import parse_crops
from faceid_tunes.faceid_core.retouch.restorer import Restorer, restore_crop
from faceid_tunes.nodes.host import folders
from faceid_tunes.nodes.host import retouch as host_retouch
from faceid_tunes.nodes.retouch_batch import retouched
from support.comfy_model import apply, comfy_model, conditioning
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.retouch_models import write_parser
from support.unet import sd15_unet

WIDTH = 64
PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
SETTINGS = resolve(Prompt("x", steps=6, seed=7), 512)


class PixelVAE:
    """Latents are pixels, averaged over 8x8 and with a fourth channel of nothing."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.nn.functional.pad(small, (0, 0, 0, 0, 0, 1))

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(latent[:, :3]).movedim(1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2)


@pytest.fixture(scope="module")
def people():
    """A bare model; one with Alice and Bob, each on half of the picture; and one with each alone, everywhere."""
    unet = sd15_unet((32, 64, 64, 64), context=WIDTH)
    alice, bob = random_faces(seed=1), random_faces(seed=2)
    left = torch.zeros(1, 64, 96)
    left[..., :48] = 1
    with saved_adapter(adapter_for(unet, "faceid", "sd15", lora_rank=4), "faceid") as adapter:
        bare = comfy_model(unet)

        def show(model, faces, **mask):
            return apply(model, adapter, faces, lora_strength=0.0, **mask)

        both = show(show(bare, alice, mask=left), bob, mask=1 - left)
        yield {"bare": bare, "adapter": adapter, "both": both, "alice": show(bare, alice), "bob": show(bare, bob)}


def guider(model) -> comfy.samplers.CFGGuider:
    made = comfy.samplers.CFGGuider(model)
    made.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0, seed=8))
    made.set_cfg(3.0)
    return made


def redrawn(model, shown=None, *, denoise=0.5, seed=3, count=2) -> np.ndarray:
    with torch.inference_mode():
        return host_retouch.resampler(guider(model), PixelVAE(), SETTINGS, count)(PICTURE, denoise, seed, shown)


def test_a_pass_keeps_the_size_and_comes_from_its_seed(people):
    first = redrawn(people["both"])
    assert (first.shape, first.dtype) == (PICTURE.shape, np.uint8)
    np.testing.assert_array_equal(first, redrawn(people["both"]))
    assert (first != redrawn(people["both"], seed=4)).any()


def test_more_denoising_is_further_from_the_picture(people):
    kept = PixelVAE().decode(PixelVAE().encode(torch.from_numpy(PICTURE)[None] / 255))[0].numpy() * 255
    near, far = (np.abs(redrawn(people["both"], denoise=denoise) - kept).mean() for denoise in (0.2, 1.0))
    assert near < far


@pytest.mark.parametrize(("shown", "alone"), [((), "bare"), ((0,), "alice"), ((1,), "bob")])
def test_a_face_is_drawn_as_its_own_person_wherever_the_masks_are(people, shown, alone):
    np.testing.assert_array_equal(redrawn(people["both"], shown), redrawn(people[alone]))
    assert (redrawn(people["both"], shown) != redrawn(people["both"])).any()


def test_showing_one_person_leaves_the_guider_as_it_was(people):
    whole = guider(people["both"])
    resample = host_retouch.resampler(whole, PixelVAE(), SETTINGS, 2)
    with torch.inference_mode():
        before = resample(PICTURE, 0.5, 3, None)
        resample(PICTURE, 0.5, 3, (0,))
        np.testing.assert_array_equal(resample(PICTURE, 0.5, 3, None), before)


def test_identities_that_are_not_the_prompts_are_all_shown(people):
    np.testing.assert_array_equal(redrawn(people["both"], (0,), count=1), redrawn(people["both"]))


def test_the_second_picture_of_a_batch_is_drawn_again_with_the_mask_and_strength_of_the_second(people):
    def show(**inputs):
        return apply(people["bare"], people["adapter"], random_faces(seed=1), lora_strength=0.0, **inputs)

    def second(model, shown=None):
        with torch.inference_mode():
            return host_retouch.resampler(guider(model), PixelVAE(), SETTINGS, 1, number=1)(PICTURE, 0.5, 3, shown)

    left = torch.zeros(1, 64, 96)
    left[..., :48] = 1
    batch = show(mask=torch.cat([left, 1 - left]), strengths=[1.0, 0.5])
    np.testing.assert_array_equal(second(batch), redrawn(show(mask=1 - left, strength=0.5)))
    np.testing.assert_array_equal(second(batch, (0,)), redrawn(show(strength=0.5)))


def test_a_restorer_runs_in_comfyuis_memory_management_with_the_same_result():
    module = Blur()
    restorer = Restorer("blur.pth", "RestoreFormer", 512, False, "unknown", module=module)
    crop = np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    run = host_retouch.run_restorer(restorer)
    np.testing.assert_array_equal(restore_crop(crop, restorer, 0.8, run), restore_crop(crop, restorer, 0.8))
    assert any(loaded.model.model is module for loaded in model_management.current_loaded_models)


def test_a_face_parser_runs_in_comfyuis_memory_management_with_the_same_result(tmp_path):
    parser = load_parser(write_parser(tmp_path / "parsing_bisenet.pth"))
    crops = np.random.default_rng(1).integers(0, 256, (1, 512, 512, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        parse_crops(crops, parser, host_retouch.run_parser(parser)), parse_crops(crops, parser)
    )
    assert any(loaded.model.model is parser.module for loaded in model_management.current_loaded_models)


@pytest.mark.parametrize("folder", ["facexlib", "facedetection"])
def test_a_face_parser_is_found_where_other_extensions_keep_it(folder, tmp_path, monkeypatch):
    folders.register_model_folders()
    for name in ("facexlib", "facedetection"):
        place = tmp_path / name
        place.mkdir()
        (place / "parsing_parsenet.pth").touch()
        monkeypatch.setitem(folder_paths.folder_names_and_paths, name, ([str(place)], {".pth", ".safetensors"}))
    assert folders.parser_path() is None
    (tmp_path / folder / "parsing_bisenet.pth").touch()
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    assert folders.parser_path() == tmp_path / folder / "parsing_bisenet.pth"


def rgba(count: int = 2) -> torch.Tensor:
    """Pictures whose transparency and hidden colours are random."""
    return torch.rand(count, 32, 48, 4, generator=torch.Generator().manual_seed(2))


def test_transparency_and_hidden_colours_survive_a_change():
    images = rgba()

    def first_row_black(picture, number):
        if number == 0:
            return Retouched(picture, ())
        changed = picture.copy()
        changed[0] = 0
        return Retouched(changed, ("changed",))

    changed, notes = retouched(images, first_row_black)
    assert notes == ["image 2: changed"]
    torch.testing.assert_close(changed[..., 3], images[..., 3], rtol=0, atol=0)
    torch.testing.assert_close(changed[0], images[0], rtol=0, atol=0)
    assert changed[1, 0, :, :3].max() == 0.0
    torch.testing.assert_close(changed[1, 1:, :, :3], images[1, 1:, :, :3], rtol=0, atol=0.5 / 255 + 1e-6)


def test_transparency_grows_with_the_picture():
    images = rgba(1)
    images[..., 3] = torch.linspace(0, 1, 48)
    larger, _ = retouched(images, lambda picture, number: Retouched(picture.repeat(4, axis=0).repeat(4, axis=1), ()))
    assert larger.shape == (1, 128, 192, 4)
    torch.testing.assert_close(larger[..., 3][:, ::4, ::4], images[..., 3], rtol=0, atol=0.02)
    assert larger[..., 3].min() >= 0 and larger[..., 3].max() <= 1


def test_transparency_that_is_no_number_is_refused():
    images = rgba()
    images[1, 3, 3, 3] = torch.nan
    with pytest.raises(PhotoError, match="image 2 contains NaN"):
        retouched(images, lambda picture, number: Retouched(picture, ()))


def test_an_onnx_restorer_needs_no_place():
    assert host_retouch.run_restorer(Restorer("a.onnx", "ONNX", 512, False, "unknown", session=object())) is None


class Blur(torch.nn.Module):
    """A restorer's signature around one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, face: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.convolution(face), None
