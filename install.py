"""Run by ComfyUI-Manager and comfy-cli after requirements.txt: adds insightface without taking a GPU runtime away.

insightface requires the package `onnxruntime` by name. Next to onnxruntime-gpu (or -directml, -openvino, ...) pip
would therefore install the CPU build over the same folder, and CUDA would be gone without a word. So insightface goes
in without its dependencies, after whatever of them is missing, except a runtime that is there under another name.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions

INSIGHTFACE = "insightface>=2.0"
NEEDED_BY_INSIGHTFACE = ("onnx", "requests", "scikit-image", "scipy", "tqdm")
OPENCV = "opencv-python-headless"
RUNTIME = "onnxruntime"


def missing(installed: set[str]) -> list[str]:
    """Packages to add so that insightface runs."""
    packages = [name for name in NEEDED_BY_INSIGHTFACE if name not in installed]
    if not any(name.startswith("opencv-") for name in installed):
        packages.append(OPENCV)
    if not any(name == RUNTIME or name.startswith(f"{RUNTIME}-") for name in installed):
        packages.append(RUNTIME)
    return packages


def pip_install(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=True)


def main() -> None:
    installed = {name.lower().replace("_", "-") for found in distributions() if (name := found.metadata["Name"])}
    packages = missing(installed)
    if packages:
        pip_install(*packages)
    if "insightface" not in installed:
        pip_install("--no-deps", INSIGHTFACE)


if __name__ == "__main__":
    main()
