"""Memory of a ComfyUI over 300 executions of extract, apply and one step: python benchmarks/memory.py [PHOTOS [KEPT]]

Each goes through the real queue: a photo that is a little larger than the one before is loaded, its face is extracted,
applied to a narrow random UNet with the blocks of SD 1.5, and one step is sampled. PHOTOS (300): after how many the
first comes again. KEPT (128): MB of found faces that the plugin keeps, so that another pick needs no new detection;
about 0.15 MB for each face, which is what grows until it is full.

Printed after 10, 50, 100, ... executions: the process's memory (VmRSS, /proc), what of it lies in files (RssFile) and
on the heap (RssAnon); and at the end what is left when glibc is asked to give back what is free (malloc_trim).

Nothing is in ComfyUI but this plugin and the node that makes the UNet. Its history keeps each prompt (10,000 of them).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import _setup
import skimage.data
from support.adapters import adapter_tensors, layer_widths, write_safetensors
from support.comfyui import ComfyUIServer, find_comfyui

EXECUTIONS, STEP = 300, 50
CONTEXT, CHANNELS = 64, (32, 64, 64, 64)
EXTENSION = "faceid-benchmark"
# As ComfyUI loads it: with this repository's tests on the path, and the plugin under its own name for them.
NODES = """
import ctypes, gc, importlib.util, sys
sys.path.insert(0, {tests!r})
places = {{"submodule_search_locations": [{root!r}]}}
spec = importlib.util.spec_from_file_location("faceid_tunes", {root!r} + "/__init__.py", **places)
sys.modules["faceid_tunes"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["faceid_tunes"])

class SmallModel:
    CATEGORY, FUNCTION, RETURN_TYPES = "benchmark", "make", ("MODEL", "CONDITIONING")
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}
    def make(self):
        for name, module in list(sys.modules.items()):
            if name.endswith("faceid_core.faces.extract"):
                module._found._limit = {kept} << 20
        from support.comfy_model import comfy_model, conditioning
        from support.unet import sd15_unet
        return comfy_model(sd15_unet({channels!r}, context={context!r})), conditioning({context!r}, 1.0)

class Trim:
    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "benchmark", "trim", ("INT",), True
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}
    def trim(self):
        gc.collect()
        return {{"ui": {{"trimmed": [ctypes.CDLL(None).malloc_trim(0)]}}, "result": (0,)}}

NODE_CLASS_MAPPINGS = {{"BenchmarkSmallModel": SmallModel, "BenchmarkTrim": Trim}}
"""


def prompt(number: int, photo: str) -> dict[str, object]:
    faces = {"images": ["scaled", 0], "face_pack": "auto", "pick": "largest", "index": 0, "on_missing": "error"}
    applied = {"model": ["model", 0], "adapter": ["adapter", 0], "faces": ["faces", 0], "strength": 1.0}
    applied |= {"lora_strength": 1.0, "structure": 1.0, "start_at": 0.0, "end_at": 1.0, "preview": True}
    sampled = {"model": ["applied", 0], "positive": ["model", 1], "negative": ["model", 1], "latent_image": ["size", 0]}
    sampled |= {"seed": number, "steps": 1, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    scale = {
        "image": ["photo", 0],
        "upscale_method": "bilinear",
        "width": 256 + number,
        "height": 300,
        "crop": "disabled",
    }
    return {
        "photo": {"class_type": "LoadImage", "inputs": {"image": photo}},
        "scaled": {"class_type": "ImageScale", "inputs": scale},
        "faces": {"class_type": "FaceIDExtractFace", "inputs": faces},
        "adapter": {"class_type": "FaceIDLoadAdapter", "inputs": {"adapter_name": "a.safetensors", "variant": "auto"}},
        "model": {"class_type": "BenchmarkSmallModel", "inputs": {}},
        "applied": {"class_type": "FaceIDApply", "inputs": applied},
        "size": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "sampled": {"class_type": "KSampler", "inputs": sampled},
        "saved": {"class_type": "SaveLatent", "inputs": {"samples": ["sampled", 0], "filename_prefix": "x"}},
    }


def memory(pid: int) -> dict[str, float]:
    """MB, by the name in /proc."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[0].startswith(("VmRSS", "Rss"))}


def report(label: str, pid: int) -> None:
    now = memory(pid)
    print(
        f"{label:>18}: {now['VmRSS']:7.1f} MB, {now['RssFile']:6.1f} in files, {now['RssAnon']:6.1f} on the heap",
        flush=True,
    )


def main(photos: int = EXECUTIONS, kept: int = 128) -> None:
    root = Path(_setup.TESTS).parent
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "custom_nodes" / EXTENSION).mkdir(parents=True)
        text = NODES.format(tests=str(_setup.TESTS), root=str(root), channels=CHANNELS, context=CONTEXT, kept=kept)
        (base / "custom_nodes" / EXTENSION / "__init__.py").write_text(text)
        (base / "models" / "ipadapter").mkdir(parents=True)
        widths = [32 if width == 320 else 64 for width in layer_widths("sd15")]
        tensors = adapter_tensors("faceid", "sd15", hidden=widths, context=CONTEXT, lora_rank=4)
        write_safetensors(base / "models" / "ipadapter" / "a.safetensors", tensors)
        server = ComfyUIServer(find_comfyui(), base, more=(EXTENSION,))
        server.start()
        try:
            photo = server.upload(skimage.data.astronaut(), "her.png")
            report("started", server.pid)
            for number in range(1, EXECUTIONS + 1):
                server.queue(prompt(number % photos, photo))
                if number == 10 or number % STEP == 0:
                    report(f"{number} executions", server.pid)
            server.queue({"trim": {"class_type": "BenchmarkTrim", "inputs": {}}})
            report("malloc_trim", server.pid)
        finally:
            server.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
