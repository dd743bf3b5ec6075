"""Is a file an SD 1.5 checkpoint, and if not, what is it? Answered from its header, before gigabytes are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...weights.published_shapes import text_encoder_shapes, unet_shapes, vae_shapes
from .model_file import CheckpointError, ModelFile, Shapes, open_model_file

UNET, VAE, TEXT_ENCODER = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."

_CONTEXT_WIDTH = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"  # [320, width of the text]
_FIRST_LAYER = UNET + "input_blocks.0.0.weight"  # [320, channels, 3, 3]
_WANTED = "Use a single-file checkpoint of Stable Diffusion 1.5, such as v1-5-pruned-emaonly.safetensors."

# What is said of a file without the UNet of an SD 1.5 checkpoint, by the beginnings of keys that only such files have.
_OTHER_FILES = (
    (("lora_unet_", "lora_te", "unet.down_blocks.", "text_encoder.text_model."), "a LoRA file, not a checkpoint. Put "
     "it into the LoRA folder and name it in the text, as <lora:name:1>."),
    (("image_proj", "ip_adapter"), "an IP-Adapter, not a checkpoint. It is the adapter of the engine."),
    (("control_model.", "controlnet_", "input_hint_block."), "a ControlNet, not a checkpoint."),
    (("vision_model.", "visual."), "a CLIP vision encoder, not a checkpoint."),
    (("text_model.",), "a text encoder alone, not a whole checkpoint."),
    (("input_blocks.", "conv_in.", "down_blocks.", "mid_block."), "a UNet alone, not a whole checkpoint."),
    (("encoder.", "decoder.", "first_stage_model."), "a VAE alone, not a whole checkpoint."),
    (("joint_blocks.", "double_blocks.", "transformer_blocks.", "model.diffusion_model.joint_blocks.",
      "model.diffusion_model.double_blocks.", "model.diffusion_model.transformer_blocks.",
      "model.diffusion_model.blocks."), "a model with a transformer (SD 3, Flux or newer)."),
)  # fmt: skip


def open_checkpoint(path: Path) -> ModelFile:
    """Open a single-file SD 1.5 checkpoint and see from its header that all of it is there.

    Raises:
        CheckpointError: says what the file is instead (SDXL, SD 2, inpainting, video, a LoRA, a VAE, ...), or what is
            missing in it.
    """
    file = open_model_file(path)
    problem = next((found for test in _TESTS if (found := test(file.shapes))), None)
    if problem:
        raise CheckpointError(f"{path.name}: {problem} {_WANTED}")
    return file


def part_keys(file: ModelFile, prefix: str) -> list[str]:
    """The keys of one part of a checkpoint (UNET, VAE or TEXT_ENCODER)."""
    return [key for key in file.shapes if key.startswith(prefix)]


def text_model_prefix(shapes: Shapes) -> str:
    """Where the text model's tensors are; some merges leave out the name of its inner module."""
    inner = TEXT_ENCODER + "text_model."
    return inner if any(key.startswith(inner) for key in shapes) else TEXT_ENCODER


def _other_base(shapes: Shapes) -> str | None:
    if any(key.startswith("conditioner.embedders.") for key in shapes) or UNET + "label_emb.0.0.weight" in shapes:
        return "an SDXL checkpoint; the embedded engine draws SD 1.5 so far."
    if any(mark in key for key in shapes for mark in ("time_stack", "temporal_", "motion_modules", "time_mixer")):
        return "a video model; the embedded engine draws pictures with SD 1.5."
    width = shapes.get(_CONTEXT_WIDTH, (0, 768))[-1]
    if width == 1024 or any(key.startswith("cond_stage_model.model.") for key in shapes):
        return "an SD 2 checkpoint; the embedded engine draws SD 1.5."
    if width != 768:
        return f"a checkpoint whose text is {width} wide (SD 1.5: 768); the embedded engine draws SD 1.5."
    return None


def _other_task(shapes: Shapes) -> str | None:
    channels = shapes.get(_FIRST_LAYER, (320, 4))[1]
    tasks = {8: "an InstructPix2Pix checkpoint (8 input channels)", 9: "an inpainting checkpoint (9 input channels)"}
    if channels == 4:
        return None
    task = tasks.get(channels, f"a checkpoint with {channels} input channels")
    return f"{task}; the embedded engine draws from text alone."


def _other_file(shapes: Shapes) -> str | None:
    if _FIRST_LAYER in shapes:
        return None
    if not shapes:
        return "a file without tensors."
    if any(".lora_" in key or ".lora." in key or "hada_w1" in key or "lokr_w" in key for key in shapes):
        return _OTHER_FILES[0][1]
    for beginnings, what in _OTHER_FILES:
        if any(key.startswith(beginnings) for key in shapes):
            return what
    return f"not a Stable Diffusion checkpoint (its first tensor is {next(iter(shapes))!r})."


def _quantised(shapes: Shapes) -> str | None:
    marks = (".comfy_quant", ".scale_weight", ".weight_scale", "scaled_fp8", ".absmax")
    if any(key.endswith(marks) for key in shapes):
        return "a quantised checkpoint, which ComfyUI reads and the embedded engine does not."
    return None


def _lacks_part(shapes: Shapes) -> str | None:
    parts = {VAE: "VAE", TEXT_ENCODER: "text encoder"}
    lacking = [name for prefix, name in parts.items() if not any(key.startswith(prefix) for key in shapes)]
    return f"has a UNet, but no {' and no '.join(lacking)}." if lacking else None


def _incomplete(shapes: Shapes) -> str | None:
    text_model = text_model_prefix(shapes)
    text = {key.removeprefix("text_model."): shape for key, shape in text_encoder_shapes().items()}
    text.pop("embeddings.position_ids")  # the numbers 0 to 76, which newer files leave out
    expected = {UNET + key: shape for key, shape in unet_shapes().items()}
    expected |= {VAE + key: shape for key, shape in vae_shapes().items()}
    expected |= {text_model + key: shape for key, shape in text.items()}
    missing = [key for key in expected if key not in shapes]
    if missing:
        return f"incomplete: {len(missing)} tensors are missing, among them {missing[0]}."
    unlike = [key for key, shape in expected.items() if not _fits(key, shapes[key], shape)]
    if unlike:
        key = unlike[0]
        return f"of another architecture: {key} is {_sizes(shapes[key])}, in SD 1.5 it is {_sizes(expected[key])}."
    return None


def _fits(key: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    # The VAE's 1x1 convolutions are sometimes saved as the matrices they are, and read as well.
    return found == wanted or (key.startswith(VAE) and (*found, 1, 1) == wanted)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


_TESTS: tuple[Callable[[Shapes], str | None], ...] = (
    _other_base,
    _other_file,
    _other_task,
    _quantised,
    _lacks_part,
    _incomplete,
)
