"""The table of kinds: what each published layout is called, and that every refusal says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from faceid_tunes.faceid_core.adapter.model import READER, load_adapter
from faceid_tunes.faceid_core.adapter.variants import Variant
from faceid_tunes.faceid_core.engines.embedded.checkpoint import open_checkpoint
from faceid_tunes.faceid_core.errors import AdapterError, FaceIDError
from faceid_tunes.faceid_core.model_files.kinds import Kind
from faceid_tunes.faceid_core.model_files.model_file import open_model_file
from faceid_tunes.faceid_core.model_files.reasons import Reason
from faceid_tunes.faceid_core.model_files.tells import INSTANTID_SIZE, UNNORM_SIZE, Evidence, kind_of
from faceid_tunes.faceid_core.model_files.torch_scan import TensorInfo
from faceid_tunes.faceid_core.retouch import load_restorer
from faceid_tunes.faceid_core.weights.published_shapes import clip_vision_h_shapes, faceid_sd15_shapes, sd15_shapes
from support.adapters import adapter_tensors, layer_widths, write_bin, write_safetensors
from support.model_files import hollow_safetensors

UNET = "model.diffusion_model."
RESAMPLER = {"latents": (1, 16, 1280), "proj_in.weight": (1280, 512), "proj_out.weight": (2048, 1280)}
FLUX_TOKENS = {"latents": (1, 8, 1280), "proj_in.weight": (1280, 512), "proj_out.weight": (4096, 1280)}
INFUSENET = {f"controlnet_blocks.{n}.weight": (8, 8) for n in range(4)} | {
    f"controlnet_single_blocks.{n}.weight": (8, 8) for n in range(10)
}

# Keys and shapes of docs/facts/identity-models.md 2.1, 3.4, 3.5, 4.1, 5.1, 5.2 and 6, and of each project's loader.
LAYOUTS = {
    Kind.FACEID: [faceid_sd15_shapes()],
    Kind.PULID: [
        {"id_adapter.body.0.weight": (1024, 1280), "id_adapter_attn_layers.1.id_to_k.weight": (640, 2048)},
        {"image_proj.mapping_0.0.weight": (8, 8), "ip_adapter.1.to_k_ip.weight": (640, 2048)},
    ],
    Kind.PULID_FLUX: [{"pulid_encoder.latents": (1, 32, 1024), "pulid_ca.0.to_q.weight": (2048, 3072)}],
    Kind.INFINITE_YOU: [{f"image_proj.{key}": shape for key, shape in FLUX_TOKENS.items()}, FLUX_TOKENS],
    Kind.INFUSENET: [INFUSENET],
    Kind.CONTROLNET: [
        INFUSENET | {"controlnet_blocks.4.weight": (8, 8)},
        {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "down_blocks.0.resnets.0.norm1.bias": (320,)},
        {"control_model.input_hint_block.0.weight": (16, 3, 3, 3)},
    ],
    Kind.PHOTOMAKER: [{"id_encoder.vision_model.embeddings.class_embedding": (1024,), "lora_weights.x": (8, 8)}],
    Kind.CONSISTENTID: [{"FacialEncoder.x": (8,), "image_proj.proj.0.weight": (8, 512), "adapter_modules.0.x": (8,)}],
    Kind.KOLORS_FACEID: [{"image_proj.proj.0.weight": (8, 512), "adapter_modules.1.to_k_ip.weight": (8, 8)}],
    Kind.IP_ADAPTER_FLUX: [
        {"double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": (3072, 4096)},
        {"image_proj.proj.0.weight": (2304, 1152), "ip_adapter.0.to_k_ip.weight": (3072, 4096)},
    ],
    Kind.IP_ADAPTER: [{"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)}],
    Kind.LORA: [{"transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)}, {"lora_unet_x.hada_w1_a": (4, 4)}],
    Kind.SDXL: [
        {"conditioner.embedders.0.x": (1,), f"{UNET}input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight": (1,)}
    ],
    Kind.SDXL_DISTILLED: [
        {"conditioner.embedders.0.x": (1,), f"{UNET}input_blocks.7.1.transformer_blocks.1.attn2.to_k.weight": (1,)}
    ],
    Kind.SD15: [sd15_shapes()],
    Kind.FLUX: [
        {"double_blocks.0.img_attn.qkv.weight": (8, 8)},
        {"single_transformer_blocks.0.norm.linear.weight": (8, 8)},
    ],
    Kind.CLIP_VISION: [clip_vision_h_shapes()],
    Kind.EVA_CLIP: [{"visual.cls_token": (1, 1, 1024), "visual.blocks.0.mlp.w1.weight": (2730, 1024)}],
    Kind.OPEN_CLIP: [{"visual.conv1.weight": (1280, 3, 14, 14)}],
    Kind.TEXT_ENCODER: [{"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)}],
    Kind.FACE_PARSER: [{"cp.resnet.conv1.weight": (64, 3, 7, 7), "conv_out.conv.conv.weight": (8, 8, 3, 3)}],
    Kind.EMBEDDING: [{"emb_params": (8, 768)}, {"clip_g": (8, 1280), "clip_l": (8, 768)}],
    Kind.VAE: [{"decoder.conv_in.weight": (512, 4, 3, 3)}],
    Kind.UNKNOWN: [{"weight": (3,)}, {}],
}
CASES = [
    # Of a file that nobody knows, spandrel is asked, whose import takes seconds.
    pytest.param(kind, shapes, id=kind.name, marks=[pytest.mark.slow] if kind is Kind.UNKNOWN else [])
    for kind, layouts in LAYOUTS.items()
    for shapes in layouts
]


@pytest.mark.parametrize(("kind", "shapes"), CASES)
def test_each_published_layout_is_recognised(tmp_path, kind, shapes):
    path = hollow_safetensors(tmp_path / "model.safetensors", shapes)
    assert open_model_file(path, READER).kind is kind


@pytest.mark.parametrize("kind", [kind for kind in LAYOUTS if kind not in (Kind.FACEID, Kind.UNKNOWN, Kind.LORA)])
def test_a_file_that_is_no_adapter_is_called_what_it_is_and_sent_where_it_belongs(tmp_path, kind):
    path = hollow_safetensors(tmp_path / "ip-adapter-faceid_sd15.safetensors", LAYOUTS[kind][0])
    with pytest.raises(AdapterError) as raised:
        load_adapter(path)
    assert f"this is {kind.what}, not a FaceID model. {kind.place}" in str(raised.value)


@pytest.mark.parametrize("load", [open_checkpoint, load_restorer])
@pytest.mark.parametrize("kind", [Kind.PULID_FLUX, Kind.CONTROLNET, Kind.FACEID, Kind.VAE])
def test_other_rooms_use_the_same_words(tmp_path, kind, load):
    path = hollow_safetensors(tmp_path / "model.safetensors", LAYOUTS[kind][0])
    with pytest.raises(FaceIDError) as raised:
        load(path)
    assert f"this is {kind.what}" in str(raised.value) and kind.place in str(raised.value)


def test_every_kind_has_words_and_every_reason_a_sentence():
    for kind in Kind:
        assert kind.what.startswith(("a ", "an ", "the ", "no "))
        assert kind.place.endswith(".") or kind is Kind.UNKNOWN
    for reason in Reason:
        text = str(READER.refusal(reason, Path("folder/model.bin"), "why"))
        assert text.endswith(".") and "model.bin" in text and "{" not in text


def test_words_of_a_file_are_not_taken_for_a_format(tmp_path):
    """A name with braces in it stands in the message as it is."""
    with pytest.raises(AdapterError, match=r"\{size\}\.bin: there is no such file"):
        load_adapter(tmp_path / "{size}.bin")


# -------------------------------------------------------------------------- InstantID and FaceID Portrait unnorm


def unnorm_tensors(projection: torch.dtype, attention: torch.dtype) -> dict:
    tensors = adapter_tensors("portrait_unnorm", "sdxl", hidden=layer_widths("sdxl", divide=40), context=64)
    return {
        "image_proj": {key: tensor.to(projection) for key, tensor in tensors["image_proj"].items()},
        "ip_adapter": {key: tensor.to(attention) for key, tensor in tensors["ip_adapter"].items()},
    }


FULL, HALF = torch.float32, torch.float16


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_bin, write_safetensors])
@pytest.mark.parametrize("name", ["ip-adapter.bin", "ip-adapter-faceid-portrait_sdxl_unnorm.bin"])
def test_instantids_file_is_recognised_by_its_full_precision_whatever_its_name(tmp_path, write, name):
    (tmp_path / "ipadapter").mkdir()  # the folder pytest makes is named after this test
    path = write(tmp_path / "ipadapter" / name, unnorm_tensors(FULL, FULL))
    with pytest.raises(AdapterError, match=r"this is the adapter of InstantID, not a FaceID model.*antelopev2"):
        load_adapter(path)
    with pytest.raises(AdapterError, match="InstantID"):
        load_adapter(path, Variant.PORTRAIT_UNNORM)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["instantid/ip-adapter.bin", "ipadapter/InstantID_fp16.bin", "x/instant-id.bin"])
def test_a_half_precision_instantid_is_recognised_by_its_folder_or_name(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir()
    with pytest.raises(AdapterError, match="this is the adapter of InstantID, not a FaceID model"):
        load_adapter(write_bin(path, unnorm_tensors(HALF, HALF)))


@pytest.mark.slow
def test_the_published_unnorm_is_taken_under_any_name_and_a_conversion_under_its_own(tmp_path):
    assert (
        load_adapter(write_bin(tmp_path / "a.bin", unnorm_tensors(FULL, HALF))).spec.variant is Variant.PORTRAIT_UNNORM
    )
    named = write_bin(tmp_path / "faceid-portrait-unnorm.bin", unnorm_tensors(HALF, HALF))
    assert load_adapter(named).spec.variant is Variant.PORTRAIT_UNNORM


@pytest.mark.slow
def test_where_nothing_distinguishes_the_two_the_user_is_asked(tmp_path):
    path = write_bin(tmp_path / "model.bin", unnorm_tensors(HALF, HALF))
    with pytest.raises(
        AdapterError, match=r"Portrait unnorm and InstantID have the same tensors.*draws somebody else.*Rename"
    ):
        load_adapter(path)


@pytest.mark.parametrize(("size", "kind"), [(INSTANTID_SIZE, Kind.INSTANTID), (UNNORM_SIZE, Kind.FACEID_UNNORM)])
@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_the_published_size_decides_first(size, kind, dtype):
    tensors = {f"image_proj.{key}": TensorInfo(shape, dtype) for key, shape in RESAMPLER.items()}
    tensors["ip_adapter.1.to_k_ip.weight"] = TensorInfo((640, 2048), dtype)
    found = Evidence(tensors, Path("models/ipadapter/model.bin"), size)
    assert kind_of(found) is kind
    assert kind_of(dataclasses.replace(found, path=Path("unnorm/instantid.bin"))) is kind
