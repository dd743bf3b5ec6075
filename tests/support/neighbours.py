"""Other people's extensions, from a folder that FACEID_NEIGHBOURS names. None of their code is in this repository.

Clone them there under their own names, for example ComfyUI-TiledDiffusion and ComfyUI-ppm.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import comfy.ldm.cosmos.predict2 as predict2
import pytest

VARIABLE = "FACEID_NEIGHBOURS"


def neighbour(name: str, module: str = "") -> ModuleType:
    """An extension's package, or a module in it; skips the test where it is not there."""
    home = os.environ.get(VARIABLE)
    if not home:
        pytest.skip(f"{VARIABLE} names no folder with other extensions, so {name} is not tested beside.")
    folder = Path(home) / name
    if not (folder / "__init__.py").is_file():
        pytest.skip(f"There is no {name} in {home} ({VARIABLE}).")
    package = f"custom_nodes.{name}"  # as ComfyUI's own layout has it; some import themselves by it
    sys.modules.setdefault("custom_nodes", ModuleType("custom_nodes"))
    if not hasattr(predict2, "apply_rotary_pos_emb"):  # ComfyUI-ppm imports it for Anima, newer than ComfyUI 0.33
        predict2.apply_rotary_pos_emb = None
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[package] = loaded
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[package]
            raise
    return importlib.import_module(f"{package}.{module}") if module else sys.modules[package]
