"""Tests that run inside ComfyUI's own interpreter, with the plugin imported as ComfyUI's plugins are: by folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))


def _import_comfyui() -> None:
    sys.path.insert(0, str(COMFYUI))
    sys.argv = ["comfyui", "--cpu"]  # before the first import of comfy, which reads it
    import comfy.options

    comfy.options.enable_args_parsing()


def _import_plugin() -> None:
    spec = importlib.util.spec_from_file_location(
        "faceid_tunes", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["faceid_tunes"] = module
    spec.loader.exec_module(module)


_import_comfyui()
_import_plugin()
