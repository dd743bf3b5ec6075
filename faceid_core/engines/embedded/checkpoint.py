"""Is a file an SD 1.5 checkpoint, and if not, what is it? Answered from its header, before gigabytes are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...model_files.kinds import Kind
from ...model_files.model_file import ModelFile, Shapes, open_model_file
from ...weights.check import warn_if_changed
from ...weights.published_shapes import text_encoder_shapes, unet_shapes, vae_shapes
from .errors import READER, CheckpointError

UNET, VAE, TEXT_ENCODER = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."

_CONTEXT_WIDTH = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"  # [320, width of the text]
_FIRST_LAYER = UNET + "input_blocks.0.0.weight"  # [320, channels, 3, 3]
_WANTED = "Use a single-file checkpoint of Stable Diffusion 1.5, such as v1-5-pruned-emaonly.safetensors."

# Checkpoints that are refused by more than their name: their kind, and what the engine does instead.
_BASES = {
    Kind.SDXL: "; the embedded engine draws SD 1.5 so far.",
    Kind.SDXL_DISTILLED: "; the embedded engine draws SD 1.5 so far.",
    Kind.SD2: "; the embedded engine draws SD 1.5.",
    Kind.VIDEO: "; the embedded engine draws pictures with SD 1.5.",
    Kind.INPAINTING: "; the embedded engine draws from text alone.",
    Kind.INSTRUCT_PIX2PIX: "; the embedded engine draws from text alone.",
}


def open_checkpoint(path: Path) -> ModelFile:
    """Open a single-file SD 1.5 checkpoint and see from its header that all of it is there.

    Raises:
        CheckpointError: says what the file is instead (SDXL, SD 2, inpainting, video, a LoRA, a VAE, ...), or what is
            missing in it.
    """
    file = open_model_file(path, READER)
    problem = _other_kind(file) or next((found for test in _TESTS if (found := test(file.shapes))), None)
    if problem:
        raise CheckpointError(f"{path.name}: {problem} {_WANTED}")
    warn_if_changed(path)
    return file


def part_keys(file: ModelFile, prefix: str) -> list[str]:
    """The keys of one part of a checkpoint (UNET, VAE or TEXT_ENCODER)."""
    return [key for key in file.shapes if key.startswith(prefix)]


def text_model_prefix(shapes: Shapes) -> str:
    """Where the text model's tensors are; some merges leave out the name of its inner module."""
    inner = TEXT_ENCODER + "text_model."
    return inner if any(key.startswith(inner) for key in shapes) else TEXT_ENCODER


def _other_kind(file: ModelFile) -> str | None:
    """What a file is if it is not a checkpoint of SD 1.5; None where only its parts can tell."""
    if not file.tensors:
        return "a file without tensors."
    if file.kind in _BASES:
        return f"{file.kind.what}{_BASES[file.kind]}"
    if _FIRST_LAYER not in file.tensors:
        return None if file.kind is Kind.SD15 else _sentence(file)
    width = (0, 768, *file.shapes.get(_CONTEXT_WIDTH, ()))[-1]
    if width != 768:
        return f"a checkpoint whose text is {width} wide (SD 1.5: 768); the embedded engine draws SD 1.5."
    channels = (*file.shapes[_FIRST_LAYER], 0, 0)[1]
    if channels != 4:
        return f"a checkpoint with {channels} input channels; the embedded engine draws from text alone."
    return None


def _sentence(file: ModelFile) -> str:
    return file.refusal("a Stable Diffusion checkpoint").removeprefix(f"{file.name}: ")


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


_TESTS: tuple[Callable[[Shapes], str | None], ...] = (_quantised, _lacks_part, _incomplete)
