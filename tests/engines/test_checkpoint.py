"""What a file is, told from its header: the embedded engine takes SD 1.5 checkpoints and says what all others are."""

from __future__ import annotations

import io
import os
import pickle
import resource
from pathlib import Path

import pytest
import torch
from faceid_tunes.faceid_core.engines.embedded.checkpoint import TEXT_ENCODER, UNET, VAE, open_checkpoint
from faceid_tunes.faceid_core.engines.embedded.errors import READER, CheckpointError, ReplacedError
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.model_files.model_file import open_model_file
from faceid_tunes.faceid_core.weights.published_shapes import (
    clip_vision_h_shapes,
    faceid_sd15_shapes,
    sd15_shapes,
    text_encoder_shapes,
    unet_shapes,
    vae_shapes,
)
from safetensors.torch import save_file
from support.model_files import hollow_safetensors

SD15 = sd15_shapes()
FIRST, CONTEXT = f"{UNET}input_blocks.0.0.weight", "attn2.to_k.weight"
DIFFUSERS_UNET = {"conv_in.weight": (320, 4, 3, 3), "down_blocks.0.resnets.0.conv1.weight": (320, 320, 3, 3)}
KOHYA = {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 1280, 1, 1)}


def without(*beginnings: str) -> dict:
    return {key: shape for key, shape in SD15.items() if not key.startswith(beginnings)}


def reading_text_of_width(width: int) -> dict:
    return {key: (shape[0], width) if key.endswith(CONTEXT) else shape for key, shape in SD15.items()}


def with_input_channels(count: int) -> dict:
    return SD15 | {FIRST: (320, count, 3, 3)}


OTHER_MODELS = {
    "SDXL": (reading_text_of_width(2048) | {"conditioner.embedders.0.transformer.x": (1,)}, "an SDXL checkpoint"),
    "SDXL UNet": ({f"{UNET}label_emb.0.0.weight": (1280, 2816), FIRST: (320, 4, 3, 3)}, "an SDXL checkpoint"),
    "SD 2": (reading_text_of_width(1024), "an SD 2 checkpoint"),
    "SD 2 encoder": (without(TEXT_ENCODER) | {"cond_stage_model.model.ln_final.weight": (1024,)}, "an SD 2 checkpoint"),
    "unknown width": (reading_text_of_width(640), "text is 640 wide"),
    "inpainting": (with_input_channels(9), r"an inpainting checkpoint \(9 input channels\)"),
    "InstructPix2Pix": (with_input_channels(8), "InstructPix2Pix"),
    "depth": (with_input_channels(5), "5 input channels"),
    "SVD": (SD15 | {f"{UNET}input_blocks.1.0.time_stack.in_layers.0.weight": (320,)}, "a video model"),
    "AnimateDiff": ({"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (320,)}, "a video model"),
    "SD 3": ({"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (8, 8)}, "a transformer"),
    "Flux": ({"double_blocks.0.img_attn.qkv.weight": (8, 8)}, "a transformer"),
    "Wan": ({"model.diffusion_model.blocks.0.self_attn.q.weight": (8, 8)}, "a transformer"),
    "LoRA": (KOHYA, "a LoRA file"),
    "PEFT LoRA": ({"unet.down_blocks.0.attentions.0.to_q.lora_A.weight": (4, 320)}, "a LoRA file"),
    "PEFT LoRA for Flux": ({"transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)}, "a LoRA file"),
    "LoRA of diffusers": ({"down_blocks.0.attentions.0.to_q.lora.down.weight": (4, 320)}, "a LoRA file"),
    "LoHa": ({"lycoris_unet_mid_block.hada_w1_a": (8, 8)}, "a LoRA file"),
    "LoKr": ({"lycoris_unet_mid_block.lokr_w1": (8, 8)}, "a LoRA file"),
    "adapter": (faceid_sd15_shapes(), "an IP-Adapter"),
    "ControlNet": ({"control_model.time_embed.0.weight": (8, 8)}, "a ControlNet"),
    "image encoder": (clip_vision_h_shapes(), "a CLIP vision encoder"),
    "text encoder": (text_encoder_shapes(), "a text encoder alone"),
    "VAE": (vae_shapes(), "a VAE alone"),
    "VAE of a checkpoint": ({VAE + key: shape for key, shape in vae_shapes().items()}, "a VAE alone"),
    "UNet": (unet_shapes(), "a UNet alone"),
    "UNet of diffusers": (DIFFUSERS_UNET, "a UNet alone"),
    "UNet of a checkpoint": (without(VAE, TEXT_ENCODER), "has a UNet, but no VAE and no text encoder"),
    "without VAE": (without(VAE), "has a UNet, but no VAE[.]"),
    "fp8 with scales": (SD15 | {f"{UNET}out.2.scale_weight": (1,)}, "a quantised checkpoint"),
    "fp8 of ComfyUI": (SD15 | {f"{UNET}out.2.weight_scale": (1,)}, "a quantised checkpoint"),
    "fp8 by its mark": (SD15 | {"scaled_fp8": (0,)}, "a quantised checkpoint"),
    "quantised in ComfyUI": (SD15 | {f"{UNET}out.2.comfy_quant": (8,)}, "a quantised checkpoint"),
    "nf4": (SD15 | {f"{UNET}out.2.weight.absmax": (180,)}, "a quantised checkpoint"),
    "incomplete": (without(f"{UNET}middle_block.1."), f"26 tensors are missing, among them {UNET}middle_block.1"),
    "part of a VAE": (without(f"{VAE}decoder.mid."), f"tensors are missing, among them {VAE}decoder.mid"),
    "part of a text encoder": (
        without(f"{TEXT_ENCODER}text_model.encoder.layers.11."),
        f"16 tensors are missing, among them {TEXT_ENCODER}text_model.encoder.layers.11",
    ),
    "a matrix for a kernel": (
        SD15 | {f"{UNET}input_blocks.1.1.proj_in.weight": (320, 320)},
        "proj_in.weight is 320x320, in SD 1.5 it is 320x320x1x1",
    ),
    "pruned": (SD15 | {f"{UNET}out.2.weight": (4, 160, 3, 3)}, "out.2.weight is 4x160x3x3, in SD 1.5 it is 4x320x3x3"),
    "something else": ({"layers.0.weight": (8, 8)}, r"not a Stable Diffusion checkpoint .*layers[.]0[.]weight"),
    "nothing": ({}, "without tensors"),
}


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_another_model_is_refused_by_its_name(tmp_path, name):
    shapes, message = OTHER_MODELS[name]
    path = hollow_safetensors(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError, match=message) as raised:
        open_checkpoint(path)
    assert str(raised.value).startswith("model.safetensors: ")
    assert str(raised.value).endswith("such as v1-5-pruned-emaonly.safetensors.")
    assert isinstance(raised.value, FaceIDError)


def test_an_sd15_checkpoint_is_taken(tmp_path):
    file = open_checkpoint(hollow_safetensors(tmp_path / "model.safetensors", SD15))
    assert len(file.shapes) == 1131


def test_what_checkpoints_of_sd15_differ_in_is_taken(tmp_path):
    """EMA weights beside, no position ids, the VAE's 1x1 kernels as matrices, an inner module without its name."""
    shapes = {key.replace("transformer.text_model.", "transformer."): shape for key, shape in SD15.items()}
    shapes = {key: shape for key, shape in shapes.items() if not key.endswith("position_ids")}
    shapes |= {key: shape[:2] for key, shape in shapes.items() if ".mid.attn_1." in key}
    shapes |= {"model_ema.decay": (1,), "model_ema.diffusion_modelout2weight": (4, 320, 3, 3), "betas": (1000,)}
    open_checkpoint(hollow_safetensors(tmp_path / "model.safetensors", shapes))


def test_a_wrong_checkpoint_is_refused_before_it_is_read(tmp_path):
    """Two gigabytes on the disk, a few megabytes of memory."""
    path = hollow_safetensors(tmp_path / "model.safetensors", reading_text_of_width(1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert path.stat().st_size > 2e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def saved(content: object, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


NO_MODELS = {
    "empty": (b"", "the file is empty"),
    "web page": (b"<!DOCTYPE html><html><body>Access denied", "a web page was saved"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:6ce0161689\n", "a Git LFS pointer"),
    "GGUF": (b"GGUF\x03\x00\x00\x00" * 8, "a GGUF file"),
    "text": (b"hello, this is no model at all", "neither a safetensors nor a PyTorch file"),
    "renamed": (pickle.dumps({}), "a PyTorch file by the name of a safetensors file. Rename it to .ckpt"),
}
NO_PICKLES = {
    "code": (
        pickle.dumps(print),
        "Python objects other than tensors, which are refused because loading them runs code",
    ),
    "truncated": (saved({"a": torch.zeros(99)}, legacy=True)[:300], "truncated or damaged after 300 bytes"),
    "truncated zip": (saved({"a": torch.zeros(99)})[:300], "truncated or damaged after 300 bytes"),
    "zip": (b"PK\x03\x04" + bytes(500), "truncated or damaged after 504 bytes"),
    "list": (saved([torch.zeros(1)]), "holds a list, not the tensors of a model"),
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_a_file_that_is_not_a_model_is_called_what_it_is(tmp_path, name):
    content, message = NO_MODELS[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path)


@pytest.mark.parametrize("name", NO_PICKLES)
def test_a_ckpt_file_without_tensors(tmp_path, name):
    content, message = NO_PICKLES[name]
    (tmp_path / "model.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "model.ckpt")


@pytest.mark.parametrize("share", [0.999, 0.5, 1e-6])
def test_a_truncated_download(tmp_path, share):
    path = hollow_safetensors(tmp_path / "model.safetensors", SD15)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(CheckpointError, match=r"model.safetensors: truncated or damaged after [\d,]+ bytes"):
        open_checkpoint(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match=f"model.safetensors: there is no such file in {tmp_path}"):
        open_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is a folder.*as a single file"):
        open_checkpoint(tmp_path)


def test_a_header_may_be_as_long_as_a_pickle_is_marked(tmp_path):
    """The first byte of a safetensors file is the lowest of its header's length; of a pickle it is 0x80."""
    path = tmp_path / "model.safetensors"
    for count in range(1, 40):
        save_file({f"{number:02}": torch.zeros(1) for number in range(count)}, path)
        assert len(open_model_file(path, READER).shapes) == count
        if path.read_bytes()[0] == 0x80:
            return
    pytest.fail("no header of such a length came up")


def written_as(kind: str, folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / f"model.{kind}"
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "ckpt")
    return path


@pytest.mark.parametrize("kind", ["safetensors", "ckpt", "pt"])
def test_tensors_are_read_in_the_order_asked_for_and_in_one_precision(tmp_path, kind):
    tensors = {f"{number}.weight": torch.randn(3, 5).half() for number in range(200)} | {"ids": torch.arange(7)}
    file = open_model_file(written_as(kind, tmp_path, tensors), READER)
    assert file.shapes == {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    keys = list(reversed(tensors))
    read = dict(file.read(keys, torch.float32))
    assert list(read) == keys
    assert {tensor.dtype for key, tensor in read.items() if key != "ids"} == {torch.float32}
    assert all(torch.equal(read[key], tensor.to(read[key].dtype)) for key, tensor in tensors.items())


def test_a_file_replaced_after_its_header_was_read_is_not_mixed_with_the_old_one(tmp_path):
    path = written_as("safetensors", tmp_path, {"a": torch.zeros(4)})
    file = open_model_file(path, READER)
    save_file({"a": torch.ones(5)}, path)
    with pytest.raises(ReplacedError, match="was replaced while it was in use"):
        list(file.read(["a"]))
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read any more"):
        list(file.read(["a"]))
