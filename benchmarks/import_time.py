"""What registering the nodes adds to ComfyUI's start: COMFYUI_PATH=... <ComfyUI's python> benchmarks/import_time.py

Loads the plugin as ComfyUI does, in a process that has ComfyUI's nodes loaded already, five times, each in a process of
its own; the baseline is an empty plugin in the same process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))
HEAVY = ("cv2", "onnxruntime", "onnx", "insightface", "diffusers", "scipy", "skimage", "sqlalchemy", "alembic")

EMPTY = """
class Empty:
    async def on_load(self): ...
    async def get_node_list(self): return []
from comfy_api.latest import ComfyExtension
class Extension(Empty, ComfyExtension): ...
async def comfy_entrypoint(): return Extension()
"""

CHILD = """
import asyncio, json, sys, time
sys.argv = ["comfyui", "--cpu"]
sys.path.insert(0, {comfyui!r})
import comfy.options; comfy.options.enable_args_parsing()
import nodes
async def load(path):
    wall, processor = time.perf_counter(), time.process_time()
    assert await nodes.load_custom_node(path)
    return time.perf_counter() - wall, time.process_time() - processor
async def main():
    await nodes.init_public_apis()
    await load({warm_up!r})  # pays for what the first plugin of any start pays for
    empty = await load({empty!r})
    before = set(sys.modules)
    ours = await load({ours!r})
    print(json.dumps([*empty, *ours, sorted({{name.split(".")[0] for name in set(sys.modules) - before}})]))
asyncio.run(main())
"""


def one_start(warm_up: Path, empty: Path) -> list:
    """[wall, processor seconds of an empty plugin, the same of ours, packages ours pulled in]"""
    code = CHILD.format(comfyui=str(COMFYUI), warm_up=str(warm_up), empty=str(empty), ours=str(ROOT))
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=COMFYUI, env=compiled
    )
    return json.loads(run.stdout.strip().splitlines()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        plugins = [Path(folder) / name for name in ("warm_up", "empty")]
        for plugin in plugins:
            plugin.mkdir()
            (plugin / "__init__.py").write_text(EMPTY)
            # ComfyUI imports its pyproject reader when the first plugin that has one is loaded.
            (plugin / "pyproject.toml").write_text('[project]\nname = "empty"\nversion = "1.0.0"\n')
        one_start(*plugins)  # compiles
        starts = [one_start(*plugins) for _ in range(5)]
    columns = list(zip(*starts, strict=True))
    empty_wall, empty_processor, wall, processor = (statistics.median(column) for column in columns[:4])
    new = set(starts[0][4])
    print(
        f"registering the nodes adds {wall - empty_wall:.3f} s ({processor - empty_processor:.3f} s of processor time)"
    )
    print(f"an empty plugin takes {empty_wall:.3f} s ({empty_processor:.3f} s of processor time)")
    print(f"heavy packages pulled in: {sorted(new & set(HEAVY)) or 'none'}")


if __name__ == "__main__":
    main()
