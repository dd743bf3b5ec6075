"""Tests that run inside ComfyUI's own interpreter, with the plugin imported as ComfyUI's plugins are: by folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))


def _import_comfyui() -> None:
    sys.path.insert(0, str(COMFYUI))
    # Before the first import of comfy, which reads it. Attention as with a GPU: that for the CPU is slower, and asks
    # the system for free memory at each layer, which no compiled graph can hold.
    sys.argv = ["comfyui", "--cpu", "--use-pytorch-cross-attention"]
    import comfy.options

    comfy.options.enable_args_parsing()
    # As main.py does. Once `nodes` is imported, ComfyUI 0.20 has its folder comfy in front, and in it a utils.py.
    import utils.extra_config  # noqa: F401


def _import_plugin() -> None:
    spec = importlib.util.spec_from_file_location(
        "faceid_tunes", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["faceid_tunes"] = module
    spec.loader.exec_module(module)


_import_comfyui()
_import_plugin()


@pytest.fixture(scope="module")
def unet():
    """A diffusers UNet with the blocks of SD 1.5, narrow, that reads text of width 64."""
    from support.unet import narrow_unet

    return narrow_unet("sd15")


@pytest.fixture(scope="module")
def bare(unet):
    """ComfyUI's MODEL of ``unet``."""
    from support.comfy_model import comfy_model

    return comfy_model(unet)


@pytest.fixture(scope="module")
def adapter(unet):
    """An adapter that fits ``unet``."""
    from support.fidelity import adapter_for, saved_adapter
    from support.unet import family_of

    with saved_adapter(adapter_for(unet, "faceid", family_of(unet), lora_rank=4), "faceid") as loaded:
        yield loaded


@pytest.fixture(autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that nodes show go into the test's own folder, not into that of the ComfyUI that is tested with."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path_factory.mktemp("temp")))
