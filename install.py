"""Adds what finding faces needs: insightface and, where there is none, an ONNX runtime. Nothing else changes.

Run by ComfyUI-Manager and comfy-cli after requirements.txt; by hand, ``python install.py``, or ``python -m
faceid_tunes.install`` where the package is installed. Running it again does nothing.

insightface requires the package ``onnxruntime`` by name. Next to onnxruntime-gpu (or -directml, -openvino, ...) pip
would therefore install the CPU build over the same folder, and CUDA would be gone without a word. So insightface goes
in without its dependencies, after whatever of them is missing. While those are installed every package already there
is pinned to its version: an onnxruntime-gpu built for numpy 1 stops working when scikit-image brings numpy 2.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib import invalidate_caches
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

INSIGHTFACE = "insightface>=2.0"  # 1.0 and older take other arguments (faceid_core/faces/models.py)
NEEDED_BY_INSIGHTFACE = ("onnx>=1.13", "requests", "scikit-image", "scipy", "tqdm")
OPENCV = "opencv-python-headless"
RUNTIME = "onnxruntime"
# Releases as wheels write them; pip refuses a whole constraints file for one version it cannot read.
RELEASE = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._][a-z0-9]+)*)?")

Installed = dict[str, Distribution]


def main() -> int:
    """Exit status: 0 when faces can be found afterwards, 130 after Ctrl-C, else pip's, or 1."""
    try:
        status = add(missing(look_around()))
    except KeyboardInterrupt:
        return 130
    if status:
        return status
    installed = look_around()
    owners = runtimes(installed)
    problems = [*old_insightface(installed), *broken_runtime(owners)]
    for problem in [*problems, *two_runtimes(owners)]:
        say(problem)
    if problems:
        return 1
    there = [f"{name} {installed[name].version}" for name in ("insightface", *owners) if name in installed]
    say(f"{', '.join(there)}: faces can be found.")
    return 0


def look_around() -> Installed:
    """Every installed distribution by its normalised name."""
    invalidate_caches()
    found: Installed = {}
    for distribution in distributions():
        if name := distribution.metadata["Name"]:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution)
    return found


def missing(installed: Installed) -> list[str]:
    """What has to be added so that faces can be found."""
    wanted = [need for need in NEEDED_BY_INSIGHTFACE if need.partition(">")[0] not in installed]
    if not any(name.startswith("opencv-") for name in installed) and not importable("cv2"):
        wanted.append(OPENCV)
    if not runtimes(installed) and not importable(RUNTIME):
        wanted.append(RUNTIME)
    if "insightface" not in installed:
        wanted.append(INSIGHTFACE)
    return wanted


def runtimes(installed: Installed) -> list[str]:
    """The distributions that own the folder ``onnxruntime``, under whatever name, the CPU one last.

    Their names do not tell: onnxruntime-extensions and onnxruntime-genai are no runtimes, ort-nightly-gpu is one.
    """
    owners = [name for name, distribution in installed.items() if name == RUNTIME or owns_runtime(distribution)]
    return sorted(owners, key=lambda name: (name == RUNTIME, name))


def owns_runtime(distribution: Distribution) -> bool:
    return f"\n{RUNTIME}/__init__.py," in f"\n{distribution.read_text('RECORD') or ''}"


def importable(module: str) -> bool:
    """Whether there is such a module; a folder that an uninstall left behind is none."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def add(wanted: list[str]) -> int:
    """Install one after the other; returns the exit status of the first that failed, having said what is missing."""
    for package in wanted:
        status = install(package, *(("--no-deps",) if package == INSIGHTFACE else ("--only-binary", ":all:")))
        if status:
            still = ", ".join(missing(look_around()))
            say(
                f"not installed: {still}. The reason is above. Faces cannot be found until they are there; once the "
                f'reason is gone, run again:\n    "{sys.executable}" "{Path(__file__).resolve()}"'
            )
            return status
    return 0


def install(*arguments: str) -> int:
    """Run pip, holding what is installed at its versions; returns its exit status.

    One package at a time: with several, pip searches the combinations of their versions, without end in sight where
    packages that are there contradict each other (ml-dtypes 0.6 beside numpy 1).
    """
    command = pip("install")
    if command is None:
        say(f'neither pip nor uv is here; run "{sys.executable}" -m ensurepip')
        return 1
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text("".join(f"{line}\n" for line in pins(look_around())), encoding="utf-8")
        process = subprocess.Popen([*command, "--constraint", str(constraints), *arguments])
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reached pip too: let it take back what it has begun
            raise


def pins(installed: Installed) -> list[str]:
    versions = {name: (distribution.version or "").lower() for name, distribution in installed.items()}
    return [f"{name}=={version}" for name, version in versions.items() if RELEASE.fullmatch(version)]


def pip(action: str) -> list[str] | None:
    """The command, or None: uv does pip's work in environments made without pip, as for ComfyUI-Manager."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", action]
    uv = [sys.executable, "-m", "uv"] if find_spec("uv") else [found] if (found := shutil.which("uv")) else None
    return uv and [*uv, "pip", action, "--python", sys.executable]


def old_insightface(installed: Installed) -> list[str]:
    """An insightface that is too old belongs to someone else, who may rely on it: upgrading is the user's choice."""
    found = installed.get("insightface")
    if found is None or not found.version.startswith(("0.", "1.")):
        return []
    return [
        f"insightface {found.version} is installed, and finding faces needs 2.0 or newer. It was "
        "left alone, for another extension may need the old one. If none does:\n"
        f'    {shown("install", "--upgrade", "--no-deps")} "{INSIGHTFACE}"'
    ]


def broken_runtime(owners: list[str]) -> list[str]:
    """A runtime whose folder was emptied when another one was uninstalled."""
    if not owners or importable(RUNTIME):
        return []
    return [f"{' and '.join(owners)}: installed, but the files are gone. To repair it:\n{repair(owners)}"]


def two_runtimes(owners: list[str]) -> list[str]:
    """Not ours to settle, and not made worse: nothing was installed over either."""
    if len(owners) < 2 or not importable(RUNTIME):
        return []
    return [
        f"{' and '.join(owners)} are installed into one folder, where the last one has overwritten the other: the GPU "
        f"may be unused. Nothing was changed here. To keep {owners[0]} alone:\n{repair(owners)}"
    ]


def repair(owners: list[str]) -> str:
    """The commands that leave owners[0] alone and whole, at its version: a newer one may want another CUDA."""
    keep, *others = owners
    version = look_around()[keep].version
    lines = [f"    {shown('uninstall', '--yes', *others)}"] if others else []
    lines.append(f"    {shown('install', '--force-reinstall', '--no-deps', f'{keep}=={version}')}")
    return "\n".join([*lines, f"(with the --index-url that {keep} came from, if that was not PyPI)"])


def shown(action: str, *arguments: str) -> str:
    executable, *command = pip(action) or [sys.executable, "-m", "pip", action]
    return " ".join([f'"{executable}"', *command, *arguments])


def say(message: str) -> None:
    print(f"FaceID Tunes: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
