"""Which model files of a ComfyUI to draw with: those named, else the only one that makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ...prompts import Prompt
from ...prompts.errors import suggestion
from ...weights.manifest import model_file
from .client import ComfyUIError
from .graph import ModelFiles

OURS = ("FaceIDPrompt", "FaceIDApplyPrompt", "FaceIDLoadAdapter", "FaceIDCreateTune", "FaceIDLoadTune")
CORE = ("CheckpointLoaderSimple", "CLIPVisionLoader", "LoraLoader", "SamplerCustomAdvanced", "BatchImagesNode")
RETOUCH, LOAD_UPSCALER = "FaceIDRetouch", "UpscaleModelLoader"  # for prompts that ask for it

# Of the FaceID models for SD 1.5, by their ids in the manifest, the preferred one first.
ADAPTERS = ("faceid-sd15",)
PLUS_ADAPTERS = ("plusv2-sd15", *ADAPTERS)  # where an image encoder is there

_VIT_H = re.compile(r"vit[-_ ]?h|clip[-_ ]vision[-_ ]h|image_encoder", re.IGNORECASE)

NodeInfo = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ComfyModels:
    """Model files by the names ComfyUI lists, with or without folder and ending; None chooses the obvious one."""

    checkpoint: str | None = None
    adapter: str | None = None
    clip_vision: str | None = None


def check_nodes(info: NodeInfo, address: str) -> None:
    """Raises ComfyUIError when ComfyUI lacks our nodes, or is too old for the nodes of its own that are used here."""
    if missing := [kind for kind in OURS if kind not in info]:
        some = "these" if len(missing) < len(OURS) else "the"
        raise ComfyUIError(
            f"{address} does not have {some} FaceID nodes ({', '.join(missing)}). Install or update them there with "
            "`comfy node install faceid-tunes`, or clone this package into its custom_nodes folder, and restart it. If "
            "they are installed, its log says under 'IMPORT FAILED' why they did not load."
        )
    if missing := [kind for kind in CORE if kind not in info]:
        raise ComfyUIError(f"{address} lacks {', '.join(missing)}: update that ComfyUI to 0.20.0 or later.")


def nodes_for(prompt: Prompt) -> tuple[str, ...]:
    """The node classes that drawing a prompt asks ComfyUI about."""
    retouch = (RETOUCH,) if prompt.retouch_flags else ()
    return (*OURS, *CORE, *retouch, *((LOAD_UPSCALER,) if prompt.super_resolution else ()))


def check_retouch(info: NodeInfo, prompt: Prompt, address: str) -> None:
    """Raises ComfyUIError when the prompt asks for retouching and our nodes there are too old for it."""
    flags = prompt.retouch_flags
    if flags and RETOUCH not in info:
        raise ComfyUIError(
            f"{address} has an older version of the FaceID nodes, without {RETOUCH}, which {', '.join(flags)} "
            f"{'needs' if len(flags) == 1 else 'need'}. Update them there with `comfy node update faceid-tunes`, or "
            "`git pull` in their folder under custom_nodes, and restart it; or leave that out of the prompt."
        )


def choices(info: NodeInfo, kind: str, name: str) -> list[str]:
    """The options of a node's combo input, in both of ComfyUI's spellings."""
    found, *rest = info[kind]["input"]["required"][name]
    return list(found) if isinstance(found, list) else list(rest[0]["options"])


def choose_files(info: NodeInfo, wanted: ComfyModels, address: str) -> ModelFiles:
    """The files to draw with, and to enlarge with where ``info`` lists them.

    Raises:
        ComfyUIError: a file is not there, or several could be meant; lists those there are.
    """
    checkpoints = choices(info, "CheckpointLoaderSimple", "ckpt_name")
    adapters = choices(info, "FaceIDLoadAdapter", "adapter_name")
    encoders = choices(info, "CLIPVisionLoader", "clip_name")
    # The folder is shared with IP-Adapters of other kinds.
    of_faces = [name for name in adapters if "faceid" in name.lower()]
    adapter = _chosen("adapter", wanted.adapter, adapters, of_faces or adapters, "models/ipadapter", address)
    checkpoint = _chosen("checkpoint", wanted.checkpoint, checkpoints, checkpoints, "models/checkpoints", address)
    encoder = None
    if wanted.clip_vision is not None or "plus" in PurePosixPath(adapter).name.lower():
        fit = sorted(name for name in encoders if _VIT_H.search(name))[:1]
        encoder = _chosen("clip_vision", wanted.clip_vision, encoders, fit, "models/clip_vision", address)
    return ModelFiles(checkpoint, adapter, encoder, find_upscaler(info))


def preferred_adapter(adapters: Sequence[str], encoders: Sequence[str]) -> str | None:
    """The published FaceID model for SD 1.5 to take where nobody can be asked; None where none is there."""
    ids = PLUS_ADAPTERS if any(map(_VIT_H.search, encoders)) else ADAPTERS
    return next((name for id in ids for name in adapters if _file_name(name) == model_file(id).name), None)


def find_upscaler(info: NodeInfo) -> str | None:
    """The super-resolution model our manifest names, else the first; None without one, or where nothing asks."""
    there = choices(info, LOAD_UPSCALER, "model_name") if LOAD_UPSCALER in info else []
    known = _stem(model_file("realesrgan-x4plus").name)
    return next((name for name in there if _stem(name) == known), there[0] if there else None)


def _chosen(
    what: str, wanted: str | None, there: Sequence[str], sensible: Sequence[str], folder: str, address: str
) -> str:
    listed = f" There are: {', '.join(there)}." if there else ""
    if wanted is not None:
        for spelled in (str, _file_name, _stem):
            if found := [name for name in there if spelled(name) == wanted]:
                return found[0]
        hint = suggestion(wanted, map(_stem, there))
        raise ComfyUIError(f"{what}: {address} has no {wanted!r} in {folder}.{hint}{listed}")
    if len(sensible) == 1:
        return sensible[0]
    if sensible:
        raise ComfyUIError(f"{what}: {address} has several. Choose one of {', '.join(sensible)}.")
    needed = " that is a CLIP ViT-H/14, which this adapter needs" if what == "clip_vision" else ""
    raise ComfyUIError(f"{what}: {address} has no file in {folder}{needed}. Put one there.{listed}")


def _file_name(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _stem(name: str) -> str:
    return PurePosixPath(_file_name(name)).stem
