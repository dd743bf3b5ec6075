"""The one table of how each kind of model file is recognised, by keys that only it has and by shapes.

The first line that holds decides, so what contains another kind's keys stands above it. Sources: each project's own
loader and published key lists (docs/facts/identity-models.md 1 to 6; spandrel's detection for restorers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .kinds import Kind
from .onnx_header import Header
from .torch_scan import TensorInfo

ID_WIDTH = 512  # numbers of a face embedding
RESTORER_SIDES = (256, 512, 1024, 2048)
INSTANTID_SIZE, UNNORM_SIZE = 1_691_134_141, 1_009_523_411  # bytes of the published files

_UNET = "model.diffusion_model."
_FIRST_LAYER = _UNET + "input_blocks.0.0.weight"  # [320, channels, 3, 3]
_TEXT_WIDTH = _UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"  # [320, width of the text]
_DEEP = _UNET + "input_blocks.7.1.transformer_blocks."
_FLOAT = {"F32", "F64"}
# Restorers whose ONNX files may leave the picture's size open, which super-resolution models do too.
_RESTORER_NAMES = ("gfpgan", "codeformer", "restoreformer", "gpen")


@dataclass(frozen=True)
class Evidence:
    """What a PyTorch or safetensors file shows without being read. size: in bytes."""

    tensors: Mapping[str, TensorInfo]
    path: Path
    size: int

    def side(self, key: str, number: int) -> int:
        """A side of a tensor; 0 when there is no such tensor or side."""
        shape = self.tensors[key].shape if key in self.tensors else ()
        return shape[number] if -len(shape) <= number < len(shape) else 0


Test = Callable[[Evidence], bool]


def kind_of(found: Evidence) -> Kind:
    """What a PyTorch or safetensors file is."""
    return next((kind for kind, test in _TABLE if test(found)), Kind.UNKNOWN)


def kind_of_onnx(header: Header, name: str) -> Kind:
    """What an ONNX file is."""
    picture, output = header.picture, header.outputs[0]
    others = [value for value in header.inputs if value is not picture]
    if picture is None:
        return Kind.UNKNOWN
    if any(len(other.shape) == 2 and other.shape[1] == ID_WIDTH for other in others):
        return Kind.SWAPPER
    if any(len(other.shape) == 4 for other in others):
        return Kind.SWAPPER  # of the kind that takes a source picture; it is refused by name when it is loaded
    if len(header.outputs) >= 5:
        return Kind.DETECTOR
    if len(output.shape) == 2:
        return Kind.RECOGNISER
    if any(known in name.lower() for known in _RESTORER_NAMES):
        return Kind.RESTORER
    side = picture.shape[2]
    same_size = not output.shape or output.shape[2:] in (picture.shape[2:], (0, 0))
    if side in RESTORER_SIDES and picture.shape[3] == side and same_size:
        return Kind.RESTORER
    return Kind.UPSCALER if picture.shape[1] in (0, 1, 3, 4) else Kind.UNKNOWN


def begins(*beginnings: str) -> Test:
    return lambda found: any(key.startswith(beginnings) for key in found.tensors)


def contains(*marks: str) -> Test:
    return lambda found: any(mark in key for key in found.tensors for mark in marks)


def has(*keys: str) -> Test:
    return lambda found: all(key in found.tensors for key in keys)


def is_side(key: str, number: int, *lengths: int) -> Test:
    return lambda found: found.side(key, number) in lengths


def both(*tests: Test) -> Test:
    return lambda found: all(test(found) for test in tests)


def either(*tests: Test) -> Test:
    return lambda found: any(test(found) for test in tests)


def no(test: Test) -> Test:
    return lambda found: not test(found)


def looks_like_instantid(found: Evidence) -> bool | None:
    """Of an adapter with the keys and shapes of both FaceID Portrait unnorm and InstantID; None if unknown.

    InstantID's file is fp32 throughout; unnorm's has fp32 projections and fp16 keys and values. A conversion to half
    precision loses that, and the name is what is left (docs/facts/identity-models.md 2.1).
    """
    if found.size in (INSTANTID_SIZE, UNNORM_SIZE):
        return found.size == INSTANTID_SIZE
    kinds = [
        {tensor.dtype for key, tensor in found.tensors.items() if key.startswith(part)}
        for part in ("image_proj.", "ip_adapter.")
    ]
    if kinds[1] <= _FLOAT:
        return True
    name = f"{found.path.parent.name}/{found.path.name}".lower()
    if re.search(r"instant[-_ ]?id", name):
        return True
    return False if kinds[0] <= _FLOAT or re.search("unnorm|portrait", name) else None


def _plain_adapter(found: Evidence) -> bool:
    return any(key.startswith(("image_proj", "ip_adapter")) for key in found.tensors)


def _tokens(found: Evidence) -> float:
    return found.side("image_proj.proj.2.weight", 0) / (found.side("image_proj.norm.weight", 0) or 1)


def _is_upscaler(found: Evidence) -> bool:
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return False
    try:
        return any(support.detect(dict(found.tensors)) for support in MAIN_REGISTRY)
    except (LookupError, AttributeError, TypeError, ValueError):  # shapes that no model of these keys has
        return False


_reads_faces = is_side("image_proj.proj.0.weight", 1, ID_WIDTH)
_unnorm = both(has("image_proj.latents"), is_side("image_proj.proj_in.weight", 1, ID_WIDTH), begins("ip_adapter."))
_sdxl = either(begins("conditioner.embedders."), has(_UNET + "label_emb.0.0.weight"))

_TABLE: tuple[tuple[Kind, Test], ...] = (
    (Kind.PULID_FLUX, begins("pulid_ca.", "pulid_encoder.")),
    (Kind.PULID, begins("id_adapter_attn_layers.", "id_adapter.", "image_proj.mapping_", "image_proj.body.")),
    (Kind.PHOTOMAKER, begins("id_encoder.", "lora_weights.")),
    (Kind.CONSISTENTID, begins("FacialEncoder.")),
    (Kind.KOLORS_FACEID, both(begins("image_proj."), begins("adapter_modules."))),
    (Kind.KOLORS_FACEID, is_side("image_proj.perceiver_resampler.proj_in.weight", 1, 1024)),
    (Kind.IP_ADAPTER_FLUX, either(contains(".ip_adapter_double_stream_"), begins("ip_adapter_proj_model."))),
    (Kind.IP_ADAPTER_FLUX, is_side("ip_adapter.0.to_k_ip.weight", 1, 4096)),
    (Kind.INFINITE_YOU, both(is_side("image_proj.proj_out.weight", 0, 4096), no(begins("ip_adapter.")))),
    (Kind.INFINITE_YOU, both(has("latents", "proj_in.weight"), is_side("proj_out.weight", 0, 4096))),
    (Kind.INSTANTID, both(_unnorm, lambda found: looks_like_instantid(found) is True)),
    (Kind.FACEID_UNNORM, both(_unnorm, lambda found: looks_like_instantid(found) is False)),
    (Kind.UNNORM_OR_INSTANTID, _unnorm),
    (Kind.FACEID_PLUS, both(_reads_faces, begins("image_proj.perceiver_resampler."))),
    (Kind.FACEID, both(_reads_faces, lambda found: _tokens(found) == 4)),
    (Kind.FACEID_PORTRAIT, _reads_faces),
    (Kind.IP_ADAPTER, _plain_adapter),
    (Kind.INFUSENET, both(has("controlnet_blocks.3.weight", "controlnet_single_blocks.9.weight"),
                          no(has("controlnet_blocks.4.weight")), no(has("controlnet_single_blocks.10.weight")))),
    (Kind.CONTROLNET, begins("control_model.", "controlnet_", "input_hint_block.", "lora_controlnet")),
    (Kind.LORA, contains(".lora_", ".lora.", "hada_w1", "lokr_w", "dora_scale")),
    (Kind.LORA, begins("lora_unet_", "lora_te", "unet.down_blocks.", "text_encoder.text_model.")),
    (Kind.SDXL_DISTILLED, both(_sdxl, has(_DEEP + "1.attn2.to_k.weight"), no(has(_DEEP + "9.attn2.to_k.weight")))),
    (Kind.SDXL, _sdxl),
    (Kind.VIDEO, contains("time_stack", "temporal_", "motion_modules", "time_mixer")),
    (Kind.SD2, either(is_side(_TEXT_WIDTH, 1, 1024), begins("cond_stage_model.model."))),
    (Kind.INPAINTING, is_side(_FIRST_LAYER, 1, 9)),
    (Kind.INSTRUCT_PIX2PIX, is_side(_FIRST_LAYER, 1, 8)),
    (Kind.SD15, both(is_side(_FIRST_LAYER, 1, 4), is_side(_TEXT_WIDTH, 1, 768))),
    (Kind.FLUX, either(begins("double_blocks.", _UNET + "double_blocks."), begins("single_transformer_blocks."))),
    (Kind.SD3, begins("joint_blocks.", _UNET + "joint_blocks.")),
    (Kind.TRANSFORMER, begins("transformer_blocks.", _UNET + "transformer_blocks.", _UNET + "blocks.")),
    (Kind.CHECKPOINT, begins(_UNET, "cond_stage_model.")),
    (Kind.EVA_CLIP, has("visual.blocks.0.mlp.w1.weight")),
    (Kind.OPEN_CLIP, begins("visual.")),
    (Kind.CLIP_VISION, contains("vision_model.")),
    (Kind.TEXT_ENCODER, begins("text_model.", "encoder.block.")),
    (Kind.FACE_PARSER, begins("cp.resnet.", "cp.arm16.")),
    (Kind.EMBEDDING, lambda found: bool(found.tensors)
     and found.tensors.keys() <= {"emb_params", "clip_g", "clip_l", "string_to_param.*"}),
    (Kind.GFPGAN, has("stylegan_decoder.style_mlp.1.weight", "toRGB.0.weight")),
    (Kind.CODEFORMER, has("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")),
    (Kind.RESTOREFORMER_PP, both(has("quantize.embedding.weight", "encoder.conv_in.weight"),
                                 begins("decoder.up.4.attn"))),
    (Kind.RESTOREFORMER, has("quantize.embedding.weight", "encoder.conv_in.weight", "decoder.conv_out.weight")),
    (Kind.UNET, begins("input_blocks.", "down_blocks.", "mid_block.")),
    (Kind.VAE, either(has("encoder.conv_in.weight"), has("decoder.conv_in.weight"), begins("first_stage_model."))),
    (Kind.UPSCALER, _is_upscaler),
)  # fmt: skip
