"""One real ComfyUI for all tests of this folder, with random models under the names the workflows ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.adapters import adapter_tensors, layer_widths, write_bin
from support.cached_files import cached
from support.checkpoint import clip_vision_h, sd15_checkpoint
from support.comfyui import (
    PLUGIN_NEEDS,
    ComfyUIMissingError,
    ComfyUIServer,
    Installation,
    find_comfyui,
)

SDXL_ADAPTER = "ip-adapter-faceid_sdxl.bin"


@pytest.fixture(scope="session")
def installation() -> Installation:
    try:
        found = find_comfyui()
    except ComfyUIMissingError as error:
        pytest.skip(str(error))
    if missing := found.missing(PLUGIN_NEEDS):
        pytest.skip(f"{found.python} lacks {', '.join(missing)}: `{found.python} -m pip install {' '.join(missing)}`.")
    return found


@pytest.fixture(scope="session")
def comfyui(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIServer]:
    base = tmp_path_factory.mktemp("comfyui")
    _fill_models(base / "models")
    server = ComfyUIServer(installation, base)
    try:
        server.start()
    except ComfyUIMissingError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    server = getattr(item, "funcargs", {}).get("comfyui")
    if report.failed and server is not None:
        report.sections.append(("end of ComfyUI's log", server.log()[-6000:]))
    return report


def _fill_models(models: Path) -> None:
    """Link the cached random models, full size but for the SDXL adapter, which no test samples with."""
    small_sdxl = {"hidden": layer_widths("sdxl", divide=20), "lora_rank": 1}
    files = {
        "checkpoints/realisticVisionV51_v51VAE.safetensors": sd15_checkpoint(),
        "clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors": clip_vision_h(),
        "ipadapter/ip-adapter-faceid_sd15.bin": _adapter("faceid", "sd15"),
        "ipadapter/ip-adapter-faceid-plusv2_sd15.bin": _adapter("plusv2", "sd15"),
        f"ipadapter/{SDXL_ADAPTER}": _adapter("faceid", "sdxl", **small_sdxl),
    }
    for name, target in files.items():
        link = models / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _adapter(variant: str, base: str, **sizes) -> Path:
    name = f"random_{variant}_{base}_v1.bin"
    return cached(name, lambda path: write_bin(path, adapter_tensors(variant, base, **sizes)))
