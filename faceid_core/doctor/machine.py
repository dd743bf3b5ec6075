"""The programs: this package, ComfyUI and its web UI, PyTorch, onnxruntime."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import FaceIDError
from .finding import Finding, Level

OLDEST_COMFYUI = (0, 20, 0)  # pyproject.toml: requires-comfyui
AREA = "Programs"


def machine(comfyui: Path | None) -> Iterator[Finding]:
    """One finding for each program."""
    yield Finding(AREA, Level.GOOD, f"faceid-tunes {_installed('faceid-tunes')}, Python {platform.python_version()}.")
    yield from _comfyui(comfyui)
    yield _torch()
    yield _onnxruntime()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed as a package)"


def _comfyui(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        yield Finding(
            AREA,
            Level.MISSING,
            "No ComfyUI has this package in its custom_nodes.",
            "Link or clone it there to draw in the graph editor, or name the ComfyUI in COMFYUI_PATH.",
        )
        return
    found = _quoted(folder / "comfyui_version.py", r'__version__\s*=\s*"(\d+(?:\.\d+)*)')
    if found is None:
        yield Finding(AREA, Level.GOOD, f"ComfyUI in {folder}.")
        return
    said = f"ComfyUI {found} in {folder}"
    if web := _quoted(folder / "requirements.txt", r"comfyui-frontend-package==([\d.]+)"):
        said += f", whose web UI is {web}"
    if tuple(map(int, found.split("."))) < OLDEST_COMFYUI:
        needed = ".".join(map(str, OLDEST_COMFYUI))
        yield Finding(AREA, Level.PROBLEM, f"{said}.", f"Update ComfyUI: the nodes need {needed} or newer.")
    else:
        yield Finding(AREA, Level.GOOD, f"{said}.")


def _quoted(file: Path, pattern: str) -> str | None:
    try:
        found = re.search(pattern, file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found[1] if found else None


def _torch() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(AREA, Level.GOOD, f"PyTorch {torch.__version__} on {torch.cuda.get_device_name(0)}.")
    if torch.backends.mps.is_available():
        return Finding(AREA, Level.GOOD, f"PyTorch {torch.__version__} on the GPU of this Mac.")
    return Finding(
        AREA,
        Level.MISSING,
        f"PyTorch {torch.__version__} finds no GPU: a picture takes minutes.",
        "With a GPU here, install the build of PyTorch for it.",
    )


def _onnxruntime() -> Finding:
    from ..faces.models import load_models
    from ..faces.packs import embedded_pack

    try:
        provider = load_models(embedded_pack()).provider
    except FaceIDError as error:
        return Finding(AREA, Level.PROBLEM, str(error), "Then faces can be found.")
    return Finding(AREA, Level.GOOD, f"Faces are found by onnxruntime on {provider.removesuffix('ExecutionProvider')}.")
