"""A real ComfyUI with random models under the names that workflows ask for; without a ComfyUI its tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .adapters import cached_adapter, layer_widths
from .checkpoint import clip_vision_h, sd15_checkpoint
from .comfyui import PLUGIN_NEEDS, ComfyUIMissingError, ComfyUIServer, Installation, find_comfyui

CHECKPOINT = "checkpoints/realisticVisionV51_v51VAE.safetensors"
CLIP_VISION = "clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"
FACEID = "ipadapter/ip-adapter-faceid_sd15.bin"
PLUSV2 = "ipadapter/ip-adapter-faceid-plusv2_sd15.bin"
SDXL_FACEID = "ipadapter/ip-adapter-faceid_sdxl.bin"

# Full size, but for the SDXL adapter, which no test samples with.
_RANDOM = {
    CHECKPOINT: sd15_checkpoint,
    CLIP_VISION: clip_vision_h,
    FACEID: lambda: cached_adapter("faceid", "sd15"),
    PLUSV2: lambda: cached_adapter("plusv2", "sd15"),
    SDXL_FACEID: lambda: cached_adapter("faceid", "sdxl", hidden=layer_widths("sdxl", divide=20), lora_rank=1),
}


def installed_comfyui() -> Installation:
    """The ComfyUI of this machine, with all that the plugin needs; skips where there is none."""
    try:
        found = find_comfyui()
    except ComfyUIMissingError as error:
        pytest.skip(str(error))
    if missing := found.missing(PLUGIN_NEEDS):
        pytest.skip(f"{found.python} lacks {', '.join(missing)}: `{found.python} -m pip install {' '.join(missing)}`.")
    return found


def link_models(base: Path, *names: str) -> None:
    """Put random models, made once for all tests, below the base directory of a ComfyUI."""
    for name in names:
        link = base / "models" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(_RANDOM[name]())


@contextmanager
def running(server: ComfyUIServer) -> Iterator[ComfyUIServer]:
    """The server, started, and stopped afterwards; skips where its interpreter cannot run it."""
    try:
        server.start()
    except ComfyUIMissingError as error:
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def folders_as_they_were(base: Path) -> Iterator[None]:
    """Afterwards the models, inputs and outputs below the base directory are those of before."""
    before = _files(base)
    try:
        yield
    finally:
        for path in _files(base) - before:
            path.unlink()


def _files(base: Path) -> set[Path]:
    found = (path for folder in ("models", "input", "output") for path in (base / folder).rglob("*"))
    return {path for path in found if path.is_symlink() or path.is_file()}
