"""The embedded engine on a checkpoint, an adapter and an image encoder of full size with random weights.

One engine for all tests: that none of them sees what an earlier one did is part of what they hold.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import skimage.data
import torch
from faceid_tunes.faceid_core.adapter.layers import Base
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine
from faceid_tunes.faceid_core.engines.embedded import engine as embedded_engine
from faceid_tunes.faceid_core.engines.embedded.errors import CheckpointError
from faceid_tunes.faceid_core.engines.engine import Cancelled
from faceid_tunes.faceid_core.errors import AdapterError, FaceIDError
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.retouch import Retouched, RetouchError
from faceid_tunes.faceid_core.retouch.color_grading import grade
from faceid_tunes.faceid_core.retouch.film_grain import film_grain
from faceid_tunes.faceid_core.tunes.store import open_store
from safetensors.torch import save_file
from support.adapters import adapter_tensors, layer_widths, write_bin
from support.checkpoint import sd15_checkpoint
from support.embedded import (
    PEOPLE,
    embedded_models,
    engine_errors,
    keep_people,
    kohya_lora,
    pipeline_of,
    watched,
    with_adapter,
    with_files,
)
from support.model_files import hollow_safetensors
from support.oracle import relative_l2
from support.photos import encoded
from support.retouch_models import write_restorer, write_swapper, write_upscaler

pytestmark = pytest.mark.full_size

WOMAN = "<faceid:astronaut:1> a woman in the alps"
PREVIEW = "PREVIEW: faces from yunet_sface, not buffalo_l; the likeness is meaningless"


def order(text: str, **parameters) -> Prompt:
    return Prompt(text, **({"w": 64, "h": 64, "steps": 1, "seed": 5} | parameters))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(tmp_path_factory.mktemp("tunes")) as opened:
        keep_people(opened)
        yield opened


@pytest.fixture(scope="module")
def loras(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("loras")


@pytest.fixture(scope="module")
def connections():
    """Every address that anything in this process turned to, from before the models are loaded."""
    seen = []
    sys.addaudithook(lambda event, args: seen.append(args) if event in ("socket.connect", "socket.getaddrinfo") else 0)
    return seen


@pytest.fixture(scope="module")
def engine(store, loras, connections) -> DiffusersEngine:
    return DiffusersEngine(embedded_models(loras=(loras,)), device="cpu", preview=True)


@pytest.fixture(scope="module")
def first(engine, store) -> dict[str, np.ndarray]:
    """What the engine drew when it was new: with nobody, then with somebody."""
    return {text: engine.draw(order(text), store).pictures[0].pixels for text in ("a mountain", WOMAN)}


@pytest.fixture
def unchanged(engine, store, first):
    """After a test, the engine draws what it drew when it was new."""
    yield
    assert np.array_equal(engine.draw(order(WOMAN), store).pictures[0].pixels, first[WOMAN])


def test_the_first_picture(engine, store, first):
    assert engine.name == "diffusers on cpu"
    for pixels in first.values():
        assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8 and pixels.std() > 10
    assert not np.array_equal(*first.values())


def test_nothing_turned_to_a_network(first, connections):
    assert connections == []


def test_the_pictures_equal_those_of_diffusers_own_ip_adapter(engine, store, first):
    found = engine_errors(engine, "faceid", store, size=64, steps=4)
    assert found.unet <= 1e-5
    assert found.latent <= 1e-4


def test_plus_v2_looks_through_clip_as_diffusers_own_ip_adapter_does(engine, store, first):
    found = engine_errors(engine, "plusv2", store, size=64, steps=4)
    assert found.unet <= 1e-5
    assert found.latent <= 1e-4


def test_each_picture_of_a_batch_is_what_its_seed_draws_alone(engine, store, unchanged):
    prompt = order(WOMAN, num_images=2, steps=2, scheduler="euler_a", h=72)
    steps = []
    batch = engine.draw(prompt, store, lambda *step: steps.append(step))
    assert steps == [("drawing", done, 4) for done in range(1, 5)]  # and no face was looked for, no model loaded
    assert [picture.seed for picture in batch.pictures] == [5, 6]
    assert [picture.pixels.shape for picture in batch.pictures] == [(72, 64, 3)] * 2
    alone = engine.draw(order(WOMAN, seed=6, steps=2, scheduler="euler_a", h=72), store)
    assert np.array_equal(batch.pictures[1].pixels, alone.pictures[0].pixels)
    assert not np.array_equal(batch.pictures[0].pixels, alone.pictures[0].pixels)


def test_two_people_and_what_is_told_of_a_picture(engine, store, first, unchanged):
    text = "<faceid:astronaut:0.9> and <faceid:actor:0.5> embedding:bad --vton_hires"
    parameters = {"style": "Cinematic", "face_correct": True, "input_image": "https://example.org/a.png"}
    drawn = engine.draw(order(text, **parameters), store)
    assert drawn.notes == (
        PREVIEW,
        "astronaut at 0.9",
        "actor at 0.5",
        "Cinematic",
        "not drawn locally yet: input_image, --vton_hires",
        "textual inversions are read as words: embedding:bad",
        "face_correct: skipped: there is no restorer. Put GFPGANv1.4.pth into models/facerestore_models "
        "(faceid weights fetch --for face-correct)",
    )
    assert not np.array_equal(drawn.pictures[0].pixels, first[WOMAN])


def test_a_style_is_words_around_the_text(engine, store, first):
    styled = engine.draw(order(WOMAN, style="Cinematic"), store)
    assert not np.array_equal(styled.pictures[0].pixels, first[WOMAN])


def test_guidance_of_one_shows_the_person_too(engine, store):
    with watched(pipeline_of(engine)) as seen:
        engine.draw(order(WOMAN, cfg_scale=1.0), store)
        engine.draw(order("<faceid:actor:1> a woman in the alps", cfg_scale=1.0), store)
    (call, astronaut), (_, actor) = seen.unet_calls
    assert len(call["sample"]) == 1
    assert relative_l2(actor, astronaut) > 1e-3


def write_lora(engine: DiffusersEngine, path: Path, seed: int) -> None:
    unet, text = pipeline_of(engine).unet, pipeline_of(engine).text_encoder
    modules = {
        f"lora_unet_{name.replace('.', '_')}": unet.get_submodule(name)
        for name in ("conv_in", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k")
    }
    layer = getattr(text, "text_model", text).encoder.layers[0].self_attn.q_proj
    save_file(kohya_lora(modules | {"lora_te_text_model_encoder_layers_0_self_attn_q_proj": layer}, seed=seed), path)


def test_loras_of_the_text(engine, store, loras, first, unchanged):
    (loras / "style").mkdir()
    write_lora(engine, loras / "style" / "ink.safetensors", seed=1)
    once, twice = (engine.draw(order(f"{WOMAN} <lora:ink:{strength}>"), store) for strength in (1, 2))
    pictures = [first[WOMAN], once.pictures[0].pixels, twice.pictures[0].pixels]
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(pictures))
    without = engine.draw(order(f"{WOMAN} <lora:ink:0>"), store)
    assert np.array_equal(without.pictures[0].pixels, first[WOMAN])
    with pytest.raises(PromptError, match=r"there is no LoRA 'inc'(?s:.*)Did you mean 'ink'"):
        engine.draw(order(f"{WOMAN} <lora:inc:1>"), store)


def test_a_bad_lora_file_is_named(engine, store, loras, unchanged):
    hollow_safetensors(loras / "sdxl.safetensors", {"lora_unet_x_attn2_to_k.lora_down.weight": (4, 2048),
                                                    "lora_unet_x_attn2_to_k.lora_up.weight": (4, 4)})  # fmt: skip
    (loras / "page.safetensors").write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"sdxl.safetensors: a LoRA for SDXL"):
        engine.draw(order("a cat <lora:sdxl:1>"), store)
    with pytest.raises(CheckpointError, match=r"page.safetensors: a web page was saved instead of the model"):
        engine.draw(order("a cat <lora:page:1>"), store)


def test_lcm_takes_its_lora_where_there_is_one(engine, store, loras, unchanged):
    prompt = order(WOMAN, scheduler="lcm", steps=2)
    without = engine.draw(prompt, store)
    assert "LCM without its LoRA: put an lcm-lora file into models/loras" in without.notes
    write_lora(engine, loras / "lcm-lora-sdv1-5.safetensors", seed=2)
    with_lora = engine.draw(prompt, store)
    assert "LCM with lcm-lora-sdv1-5.safetensors" in with_lora.notes
    assert not np.array_equal(with_lora.pictures[0].pixels, without.pictures[0].pixels)
    (loras / "lcm-lora-sdv1-5.safetensors").unlink()


def test_cancelling_between_two_steps(engine, store, unchanged):
    cancel, steps = Event(), []

    def on_progress(stage: str, done: int, total: int) -> None:
        steps.append(done)
        cancel.set()

    with pytest.raises(Cancelled, match="Stopped while drawing"):
        engine.draw(order(WOMAN, steps=5), store, on_progress, cancel)
    assert steps == [1]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_out_of_on_progress_stops_the_work(engine, store, unchanged, error):
    def on_progress(stage: str, done: int, total: int) -> None:
        raise error("enough")

    with pytest.raises(error, match="enough"):
        engine.draw(order("<faceid:actor:1> a man", steps=5), store, on_progress)


@pytest.fixture(scope="module")
def finishing(engine, first, tmp_path_factory) -> DiffusersEngine:
    """The engine with a swapper and a restorer that change nothing, and an upscaler that repeats pixels."""
    folder = tmp_path_factory.mktemp("retouching")
    return with_files(
        engine,
        swapper=write_swapper(folder / "inswapper_128.onnx", emap=np.eye(512, dtype=np.float32)),
        restorer=write_restorer(folder / "RestoreFormer_PP.onnx"),
        upscaler=write_upscaler(folder / "RealESRGAN_x4plus.safetensors"),
    )


def test_colours_and_grain_are_those_of_the_pictures_seed(engine, store, first):
    flags = {"color_grading": "Ektar", "film_grain": True}
    drawn = engine.draw(order(WOMAN, num_images=2, **flags), store)
    assert np.array_equal(drawn.pictures[0].pixels, film_grain(grade(first[WOMAN], "Ektar"), seed=5))
    alone = engine.draw(order(WOMAN, **(flags | {"seed": 6})), store)
    assert np.array_equal(drawn.pictures[1].pixels, alone.pictures[0].pixels)


def test_super_resolution_makes_the_picture_four_times_as_large(finishing, store, first):
    drawn = finishing.draw(order(WOMAN, super_resolution=True), store)
    assert np.array_equal(drawn.pictures[0].pixels, first[WOMAN].repeat(4, axis=0).repeat(4, axis=1))
    assert drawn.notes == (PREVIEW, "astronaut at 1")


def test_hires_fix_draws_the_picture_again_before_it_is_enlarged(finishing, store, first):
    steps = []
    prompt = order(WOMAN, super_resolution=True, hires_fix=True, steps=6)
    drawn = finishing.draw(prompt, store, lambda *step: steps.append(step))
    plain = finishing.draw(order(WOMAN, super_resolution=True, steps=6), store)
    again = drawn.pictures[0].pixels
    assert again.shape == (256, 256, 3) and not np.array_equal(again, plain.pictures[0].pixels)
    assert [step for step in steps if step[0] != "drawing"] == [
        ("retouching", 0, 2),
        ("drawing again", 1, 2),
        ("drawing again", 2, 2),
        ("retouching", 1, 2),
        ("enlarging", 0, 1),
        ("enlarging", 1, 1),
        ("retouching", 2, 2),
    ]
    assert np.array_equal(again, finishing.draw(prompt, store).pictures[0].pixels)


def test_a_picture_is_drawn_again_as_those_who_are_to_be_seen_in_it(engine, store, first, monkeypatch):
    photo = np.ascontiguousarray(skimage.data.astronaut()[::8, ::4])
    seen = {}

    def draw_again(picture, prompt, people, tools, seed, **_) -> Retouched:
        for shown in (None, (0,), ()):
            seen[shown] = tools.resample(photo, 0.35, seed, shown)
        return Retouched(picture, ())

    monkeypatch.setattr(embedded_engine, "retouch_picture", draw_again)
    engine.draw(order(WOMAN, steps=6), store)
    assert seen[None].shape == photo.shape
    assert np.array_equal(seen[None], seen[(0,)])
    assert not np.array_equal(seen[None], seen[()])


def test_the_encoder_read_for_it_is_the_checkpoints(finishing, store, first):
    finishing.draw(order(WOMAN, super_resolution=True, hires_fix=True), store)
    encoder = pipeline_of(finishing).vae.encoder.state_dict()
    from diffusers import AutoencoderKL
    from faceid_tunes.faceid_core.engines.embedded.pipeline import SD15

    whole = AutoencoderKL.from_single_file(sd15_checkpoint(), config=str(SD15), subfolder="vae").encoder.state_dict()
    assert encoder.keys() == whole.keys() and all(torch.equal(encoder[key], whole[key]) for key in whole)


def test_a_picture_without_a_face_says_so_of_each_step(finishing, store, first):
    drawn = finishing.draw(order(WOMAN, face_swap=True, face_correct=True), store)
    assert np.array_equal(drawn.pictures[0].pixels, first[WOMAN])
    assert [note for note in drawn.notes if "no face" in note] == [
        "face_swap: no face to swap: the picture is not changed",
        "face_correct: no face to restore",
    ]


def test_what_is_not_there_is_left_out_with_what_to_fetch_and_told_of_each_picture(engine, store, first):
    drawn = engine.draw(order(WOMAN, num_images=2, super_resolution=True, face_swap=True), store)
    assert np.array_equal(drawn.pictures[0].pixels, first[WOMAN])
    assert [note.partition(" skipped")[0] for note in drawn.notes if "faceid weights fetch" in note] == [
        "image 1: face_swap:",
        "image 1: super_resolution:",
        "image 2: face_swap:",
        "image 2: super_resolution:",
    ]


@pytest.mark.parametrize(
    ("flags", "files", "message"),
    [
        ({"face_swap": True}, {"swapper": "restorer"}, "a face swapper is needed here; this is a face restorer"),
        ({"face_correct": True}, {"restorer": "swapper"}, "a face restorer is needed here; this is a face swapper"),
        ({"super_resolution": True}, {"upscaler": "swapper"}, "a super-resolution model is needed here; this is a"),
        (
            {"super_resolution": True, "w": 2048, "h": 2048, "hires_fix": True},
            {},
            "would become 12288x12288 during the work",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_drawn(finishing, store, flags, files, message):
    engine, steps = with_files(finishing, **{a: getattr(finishing.models, b) for a, b in files.items()}), []
    with pytest.raises(RetouchError, match=message):
        engine.draw(order(WOMAN, **flags), store, lambda *step: steps.append(step))
    assert steps == []


def test_retouching_can_be_cancelled(finishing, store, unchanged):
    cancel = Event()

    def on_progress(stage: str, done: int, total: int) -> None:
        if stage == "enlarging":
            cancel.set()

    with pytest.raises(Cancelled, match="Stopped while"):
        finishing.draw(order(WOMAN, super_resolution=True), store, on_progress, cancel)


def test_after_all_that_the_weights_are_those_of_the_file(engine, store, first):
    """To the bit: read again from the checkpoint."""
    again = engine.draw(order("a mountain"), store)
    assert np.array_equal(again.pictures[0].pixels, first["a mountain"])
    kept = pipeline_of(engine)
    from faceid_tunes.faceid_core.engines.embedded.pipeline import load_pipeline

    fresh = load_pipeline(engine._checkpoint, torch.device("cpu"), torch.float16, lambda *_: None)
    fresh.vae.encoder = engine._model.with_encoder().vae.encoder  # has a test of its own
    for part in ("unet", "vae", "text_encoder"):
        wanted = getattr(fresh, part).state_dict()
        found = getattr(kept, part).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], tensor.to(found[key].dtype)) for key, tensor in wanted.items())


def test_loading_can_be_cancelled_and_begins_anew(store):
    engine, cancel, stages = DiffusersEngine(embedded_models(), device="cpu"), Event(), []

    def on_progress(stage: str, done: int, total: int) -> None:
        stages.append((stage, total))
        if done == 20:
            cancel.set()

    for _ in range(2):
        cancel.clear()
        with pytest.raises(Cancelled, match=r"Stopped while loading the model \(21 of 1131\)"):
            engine.draw(order("a cat"), store, on_progress, cancel)
    assert set(stages) == {("loading the model", 1131)}


def test_a_tag_without_a_tune_points_into_the_text(engine, store):
    with pytest.raises(PromptError, match=r"column 1.*nobody"):
        engine.draw(order("<faceid:nobody:1> in the alps"), store)
    with pytest.raises(PromptError, match="'tcd' is unavailable locally"):
        engine.draw(order("a cat", scheduler="tcd"), store)


def test_faces_of_another_pack_are_refused_unless_it_is_a_preview(store):
    with pytest.raises(AdapterError, match=r"'yunet_sface'.*trained on buffalo_l.*buffalo_l.zip") as raised:
        DiffusersEngine(embedded_models(), device="cpu").draw(order(WOMAN), store)
    assert "node" not in str(raised.value).lower() and "Extract Face" not in str(raised.value)


def changed(models, **files):
    return DiffusersEngine(type(models)(**(vars(models) | files)), device="cpu", preview=True)


VIT_H = "Put CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors (h94/IP-Adapter, models/image_encoder/model.safetensors) into"
BIG_G = {
    "vision_model.embeddings.class_embedding": (1664,),
    "vision_model.encoder.layers.0.layer_norm1.weight": (1664,),
}
NO_VIT_H = {
    "bigG": (BIG_G, r"model.safetensors: .*\(width 1280, 32 layers\); this encoder has width 1664 and 1 layers"),
    "open_clip": ({"visual.conv1.weight": (1280, 3, 14, 14)}, "model.safetensors: an open_clip encoder"),
    "another": ({"encoder.layer.0.weight": (3, 3)}, "model.safetensors: not a CLIP vision encoder"),
    "none": (None, r"faceid_plusv2_sd15|plusv2_sd15_v1.bin is .*, which also looks at the face through CLIP ViT-H/14"),
}


@pytest.mark.parametrize("name", NO_VIT_H)
def test_a_plus_adapter_says_which_image_encoder_to_put_where(store, tmp_path, name):
    shapes, message = NO_VIT_H[name]
    encoder = None if shapes is None else hollow_safetensors(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError, match=message) as raised:
        changed(embedded_models("plusv2"), image_encoder=encoder).draw(order(WOMAN), store)
    assert str(raised.value).endswith(f"{VIT_H} models/clip_vision.")


def test_an_adapter_for_sdxl_is_refused_before_the_checkpoint_is_read(store, tmp_path):
    small = adapter_tensors("faceid", "sdxl", hidden=layer_widths(Base.SDXL.value, divide=20), lora_rank=1)
    path = write_bin(tmp_path / "ip-adapter-faceid_sdxl.bin", small)
    with pytest.raises(AdapterError, match=r"ip-adapter-faceid_sdxl.bin is .*SDXL.*; the embedded engine draws SD 1.5"):
        changed(embedded_models(), adapter=path).draw(order(WOMAN), store)


def test_a_missing_checkpoint_is_told_before_any_face_is_looked_for(store, tmp_path):
    engine, steps = changed(embedded_models(), checkpoint=tmp_path / "sd15.safetensors"), []
    with pytest.raises(CheckpointError, match=r"sd15.safetensors: there is no such file in"):
        engine.draw(order(WOMAN), store, lambda *step: steps.append(step))
    assert steps == []


def test_a_device_that_is_not_there():
    with pytest.raises(FaceIDError, match=r"There is no device 'tpu' here. There is cpu"):
        DiffusersEngine(embedded_models(), device="tpu")


def test_people_of_a_portrait_adapter_over_the_same_checkpoint(engine, store, unchanged):
    """Another adapter's LoRA does not stay: a Portrait model has none."""
    portrait = with_adapter(engine, "portrait")
    alone = portrait.draw(order(f"<faceid:{PEOPLE[1]}:1> a man"), store).pictures[0].pixels
    engine.draw(order(WOMAN), store)
    assert np.array_equal(portrait.draw(order(f"<faceid:{PEOPLE[1]}:1> a man"), store).pictures[0].pixels, alone)


def test_a_checkpoint_that_is_replaced_while_it_is_in_use_is_not_mixed_with_the_new_one(engine, store, unchanged):
    """Taking the adapter's LoRA out again reads the file; the next picture loads the new one."""
    engine.draw(order(WOMAN), store)
    loaded = engine._checkpoint, engine._model
    stale = dataclasses.replace(engine._checkpoint, version=(0, 0))
    engine._model._adapter_lora._checkpoint = stale
    with pytest.raises(CheckpointError, match="was replaced while it was in use"):
        engine.draw(order("a mountain"), store)
    assert (engine._checkpoint, engine._model) == (None, None)
    engine._checkpoint, engine._model = loaded
    engine._model._adapter_lora._checkpoint = engine._checkpoint


PICTURE = np.ascontiguousarray(skimage.data.astronaut()[:128, 200:264])  # 64 x 128


def test_a_picture_is_drawn_again_as_far_as_is_asked_for(engine, store, unchanged):
    given = {"input_image": encoded(PICTURE, "PNG"), "h": 128, "steps": 4}
    far, near = (
        engine.draw(order(WOMAN, denoising_strength=share, **given), store).pictures[0].pixels for share in (1.0, 0.25)
    )
    assert near.shape == (128, 64, 3) and far.shape == near.shape
    assert not np.array_equal(near, far)


def test_what_a_mask_leaves_out_stays_bit_exact_and_the_rest_is_drawn(engine, store, unchanged):
    picture, mask = PICTURE[:64], np.zeros((64, 64), np.uint8)
    mask[32:] = 255
    given = {"input_image": encoded(picture, "PNG"), "mask_image": encoded(mask, "PNG"), "steps": 2}
    drawn = engine.draw(order(WOMAN, **given), store)
    assert drawn.notes == (PREVIEW, "astronaut at 1")
    pixels = drawn.pictures[0].pixels
    assert np.array_equal(pixels[:32], picture[:32]) and not np.array_equal(pixels[32:], picture[32:])


def test_a_picture_is_only_retouched_without_a_checkpoint(store, tmp_path):
    models = dataclasses.replace(
        embedded_models(),
        checkpoint=tmp_path / "none.safetensors",
        upscaler=write_upscaler(tmp_path / "x4.safetensors"),
    )
    given = Prompt("", input_image=encoded(PICTURE, "PNG"), super_resolution=True, num_images=8)
    drawn = DiffusersEngine(models, device="cpu").draw(given, store)
    (picture,) = drawn.pictures
    assert picture.pixels.shape == (512, 256, 3)
    assert np.abs(picture.pixels[::4, ::4].astype(int) - PICTURE).mean() < 8
