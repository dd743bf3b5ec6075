"""Installs what finding faces needs: insightface and, if there is none, an ONNX runtime. It changes nothing else.

ComfyUI-Manager and comfy-cli run it after requirements.txt. By hand: ``python install.py``, or ``python -m
faceid_tunes.install`` if the package is installed. A second run does nothing.

insightface requires the package ``onnxruntime`` by name. Next to onnxruntime-gpu (or -directml, -openvino, ...) pip
would therefore install the CPU build into the same folder, and CUDA would stop working without a warning. So
insightface is installed without its dependencies, after the missing ones. During this, every installed package is
pinned to its version: an onnxruntime-gpu built for numpy 1 stops working when scikit-image installs numpy 2.
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
# Versions as wheels write them; pip refuses a whole constraints file because of one version it cannot read.
RELEASE = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._][a-z0-9]+)*)?")

Installed = dict[str, Distribution]


def main() -> int:
    """Exit status: 0 if faces can be found afterwards, 130 after Ctrl-C, else pip's, or 1."""
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
    """What must be installed so that faces can be found."""
    wanted = [need for need in NEEDED_BY_INSIGHTFACE if need.partition(">")[0] not in installed]
    if not any(name.startswith("opencv-") for name in installed) and not importable("cv2"):
        wanted.append(OPENCV)
    if not runtimes(installed) and not importable(RUNTIME):
        wanted.append(RUNTIME)
    if "insightface" not in installed:
        wanted.append(INSIGHTFACE)
    return wanted


def runtimes(installed: Installed) -> list[str]:
    """The distributions that own the folder ``onnxruntime``, whatever their names, the CPU one last.

    The name does not show it: onnxruntime-extensions and onnxruntime-genai are not runtimes, ort-nightly-gpu is one.
    """
    owners = [name for name, distribution in installed.items() if name == RUNTIME or owns_runtime(distribution)]
    return sorted(owners, key=lambda name: (name == RUNTIME, name))


def owns_runtime(distribution: Distribution) -> bool:
    return f"\n{RUNTIME}/__init__.py," in f"\n{distribution.read_text('RECORD') or ''}"


def importable(module: str) -> bool:
    """Whether the module exists; an empty folder left by an uninstall does not count."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def add(wanted: list[str]) -> int:
    """Install one after the other. After a failure, say what is missing and return its exit status."""
    for package in wanted:
        status = install(package, *(("--no-deps",) if package == INSIGHTFACE else ("--only-binary", ":all:")))
        if status:
            still = ", ".join(missing(look_around()))
            say(
                f"not installed: {still}. The reason is above. Without them faces cannot be found. When the "
                f'problem is solved, run again:\n    "{sys.executable}" "{Path(__file__).resolve()}"'
            )
            return status
    return 0


def install(*arguments: str) -> int:
    """Run pip with every installed package pinned to its version; returns its exit status.

    One package at a time: with several, pip tries the combinations of their versions, almost endlessly if installed
    packages contradict each other (ml-dtypes 0.6 and numpy 1).
    """
    command = pip("install")
    if command is None:
        say(f'neither pip nor uv is installed; run "{sys.executable}" -m ensurepip')
        return 1
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text("".join(f"{line}\n" for line in pins(look_around())), encoding="utf-8")
        process = subprocess.Popen([*command, "--constraint", str(constraints), *arguments])
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reached pip too: wait until it has undone its unfinished work
            raise


def pins(installed: Installed) -> list[str]:
    versions = {name: (distribution.version or "").lower() for name, distribution in installed.items()}
    return [f"{name}=={version}" for name, version in versions.items() if RELEASE.fullmatch(version)]


def pip(action: str) -> list[str] | None:
    """The command, or None: uv replaces pip in environments without pip, as in ComfyUI-Manager."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", action]
    uv = [sys.executable, "-m", "uv"] if find_spec("uv") else [found] if (found := shutil.which("uv")) else None
    return uv and [*uv, "pip", action, "--python", sys.executable]


def old_insightface(installed: Installed) -> list[str]:
    """The user decides on upgrading an old insightface, because another extension may need the old version."""
    found = installed.get("insightface")
    if found is None or not found.version.startswith(("0.", "1.")):
        return []
    return [
        f"insightface {found.version} is installed, and finding faces needs 2.0 or newer. It was "
        "not changed, because another extension may need the old one. If none does:\n"
        f'    {shown("install", "--upgrade", "--no-deps")} "{INSIGHTFACE}"'
    ]


def broken_runtime(owners: list[str]) -> list[str]:
    """A runtime whose files were deleted when another one was uninstalled."""
    if not owners or importable(RUNTIME):
        return []
    return [f"{' and '.join(owners)}: installed, but the files are missing. To repair it:\n{repair(owners)}"]


def two_runtimes(owners: list[str]) -> list[str]:
    """Two runtimes in one folder: the user decides; nothing is changed."""
    if len(owners) < 2 or not importable(RUNTIME):
        return []
    return [
        f"{' and '.join(owners)} are installed into one folder, and the last one has overwritten the other: the GPU "
        f"may be unused. Nothing was changed here. To keep {owners[0]} alone:\n{repair(owners)}"
    ]


def repair(owners: list[str]) -> str:
    """The commands that leave only owners[0], complete, at its version: a newer one may need another CUDA."""
    keep, *others = owners
    version = look_around()[keep].version
    lines = [f"    {shown('uninstall', '--yes', *others)}"] if others else []
    lines.append(f"    {shown('install', '--force-reinstall', '--no-deps', f'{keep}=={version}')}")
    return "\n".join([*lines, f"(with the --index-url that {keep} was installed from, if that was not PyPI)"])


def shown(action: str, *arguments: str) -> str:
    executable, *command = pip(action) or [sys.executable, "-m", "pip", action]
    return " ".join([f'"{executable}"', *command, *arguments])


def say(message: str) -> None:
    print(f"FaceID Tunes: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
