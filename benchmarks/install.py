"""What installing the plugin does to the ONNX runtime that is there: python benchmarks/install.py

Every way users install it, and then the same way again as an update, in throw-away environments next to
onnxruntime-gpu. No GPU is needed: a provider is lost with its files. Printed are onnxruntime's providers before,
after and after the update, the packages whose version changed, and how many of the six faces in a photo are then
found. The baseline, ``pip install insightface``, loses CUDA: the benchmark sees the trap it is about.

An environment sees the packages of the Python that runs this (torch above all) through links, except FRESH ones;
nothing is written outside the temporary folder. Needs PyPI, about 700 MB of downloads, git, and for comfy-cli and
ComfyUI-Manager a ComfyUI (COMFYUI_PATH or ~/comfy/ComfyUI, which is copied). POSIX only.
"""

from __future__ import annotations

import http.server
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))
FRESH = re.compile(r"onnx|ort-|insightface|faceid|opencv|scikit-image|diffusers|transformers|accelerate|peft|pip$|uv$")
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "models", "output", "input", "user")

PROVIDERS = """
import onnxruntime
print(*(provider.removesuffix("ExecutionProvider") for provider in onnxruntime.get_available_providers()))
"""
VERSIONS = """
from importlib.metadata import distributions
print(*(f"{found.name.lower()}=={found.version}" for found in distributions()))
"""
FACES = """
import sys
sys.path.append(sys.argv[1])  # the custom node's folder, where the package itself is not installed
from importlib.resources import files
from faceid_tunes.faceid_core.faces import find_faces, find_pack, read_photo
photo = read_photo(str(files("insightface") / "data" / "images" / "t1.jpg"))
print(len(find_faces([photo], find_pack("yunet_sface", [])).photos[0].faces))
"""


@dataclass(frozen=True)
class Way:
    """The shell commands of an installation and of the update after it. there: what is installed before."""

    name: str
    first: tuple[str, ...]
    again: tuple[str, ...]
    there: tuple[str, ...] = ("onnxruntime-gpu",)
    with_pip: bool = True


GPU = ("onnxruntime-gpu",)
LINES = [shlex.quote(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
SCRIPT = "cd {plugin} && {python} install.py"
MODULE = "{python} -m faceid_tunes.install"
BY_HAND = ("{python} -m pip install -r {plugin}/requirements.txt", SCRIPT)
BY_LINE = (*(f"{{python}} -m pip install {line}" for line in LINES), SCRIPT)
BY_UV = (*(f"uv pip install --python {{python}} {line}" for line in LINES), SCRIPT)
COMFY = "comfy --skip-prompt --workspace {comfyui} node"
PUBLISH = (
    "git push -q --force {served}/faceid_tunes.git HEAD:main && git -C {served}/faceid_tunes.git update-server-info"
)


def pip_install(target: str, there: tuple[str, ...] = GPU) -> Way:
    first, again = (f"{{python}} -m pip install {option}{target}" for option in ("", "--upgrade "))
    return Way(f"pip install {target.replace('{plugin}', '.')}", (first, MODULE), (again, MODULE), there)


WAYS = [
    pip_install("{plugin}"),
    pip_install("-e {plugin}"),
    pip_install("'{plugin}[standalone]'"),
    pip_install("'{plugin}[gpu]'"),
    Way("pip install -r, install.py", BY_HAND, BY_HAND),
    Way("the same beside openvino and numpy 1", BY_HAND, BY_HAND, ("onnxruntime-openvino", "numpy==1.26.4")),
    Way("pip install line by line, install.py", BY_LINE, BY_LINE),
    Way("the same by uv, no pip there", BY_UV, BY_UV, with_pip=False),
    Way(
        "comfy node install, comfy node update",
        (
            f"cd {{plugin}} && {PUBLISH}",
            "comfy --skip-prompt tracking disable",
            f"{COMFY} install {{url}} --mode local",
        ),
        (
            f"cd {{plugin}} && git commit -q --allow-empty -m update && {PUBLISH}",
            f"{COMFY} update faceid_tunes --mode local",
        ),
        ("onnxruntime-gpu", "comfy-cli", "comfyui-manager"),
    ),
    pip_install("{plugin}", there=()),
    pip_install("'{plugin}[gpu]'", there=()),
]
BASELINE = Way("baseline: pip install insightface", ("{python} -m pip install insightface",), ())


class Bench:
    """The temporary folder: links to this Python's packages, uv, caches, and what each way is tried in."""

    def __init__(self, folder: Path, url: str):
        self.folder = folder
        self.url = url
        self.served = folder / "served"
        tools = folder / "tools"
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
            "HOME": str(folder),
            "PATH": os.pathsep.join([str(tools / "bin"), os.environ["PATH"]]),
            "PIP_CACHE_DIR": str(folder / "cache"),
            "PIP_NO_COMPILE": "1",
            "UV_CACHE_DIR": str(folder / "cache-uv"),
            "UV_LINK_MODE": "copy",
            **{f"GIT_{who}_{what}": "benchmark" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        link_packages(folder / "packages", lambda name: not FRESH.match(name))
        link_packages(folder / "pip", lambda name: name == "pip")
        self.shell(f"{sys.executable} -m pip install -q --no-deps --target {tools} uv")

    def shell(self, command: str, **more: str) -> str:
        run = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.variables | more, capture_output=True, text=True
        )
        if run.returncode:
            raise RuntimeError(f"{command}\n{(run.stdout + run.stderr)[-2000:]}")
        return run.stdout.strip()

    def try_out(self, way: Way) -> Tried:
        place = Path(tempfile.mkdtemp(dir=self.folder))
        python, plugin, comfyui = place / "venv" / "bin" / "python", place / "faceid_tunes", place / "ComfyUI"
        self._make(way, place)
        names = {"python": python, "plugin": plugin, "comfyui": comfyui, "served": self.served, "url": self.url}
        inside = {
            "VIRTUAL_ENV": str(place / "venv"),
            "PATH": f"{python.parent}{os.pathsep}{self.variables['PATH']}",
        }
        look = partial(self._look, python, inside)
        before, start = look(), time.monotonic()
        states = []
        for commands in (way.first, way.again):
            for command in commands:
                self.shell(command.format(**names), **inside)
            states.append(look())
        seconds = time.monotonic() - start
        faces = self.shell(f"{python} -W ignore -c {shlex.quote(FACES)} {place}", **inside) if way.again else ""
        shutil.rmtree(place)
        return Tried(way, [before, *states], faces, seconds)

    def _make(self, way: Way, place: Path) -> None:
        environment = place / "venv"
        venv.create(environment, symlinks=True)
        (packages,) = environment.glob("lib/python*/site-packages")
        seen = ("packages", "pip") if way.with_pip else ("packages",)
        (packages / "this_python.pth").write_text("".join(f"{self.folder / name}\n" for name in seen))
        if way.there:
            self.shell(f"uv pip install --python {environment}/bin/python {' '.join(way.there)}")
        shutil.copytree(ROOT, place / "faceid_tunes", ignore=NOT_COPIED)
        if "comfyui-manager" in way.there:
            shutil.copytree(COMFYUI, place / "ComfyUI", ignore=NOT_COPIED)
            shutil.rmtree(self.served, ignore_errors=True)
            self.shell(f"git init -q --bare -b main {self.served}/faceid_tunes.git")
            for folder in ("faceid_tunes", "ComfyUI"):
                self.shell(f"cd {place / folder} && git init -q -b main && git add -A && git commit -qm first")

    def _look(self, python: Path, inside: dict[str, str]) -> State:
        versions: dict[str, str] = {}
        for found in self.shell(f"{python} -I -c {shlex.quote(VERSIONS)}", **inside).split():
            versions.setdefault(*found.split("=="))
        try:
            providers = self.shell(f"{python} -I -c {shlex.quote(PROVIDERS)}", **inside)
        except RuntimeError:
            providers = "none"
        return State(providers, versions)


@dataclass(frozen=True)
class State:
    providers: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Tried:
    """states: before, after the installation, after the update."""

    way: Way
    states: list[State]
    faces: str
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the providers that were there are there; where there were none, whether there are some."""
        before, *later = (state.providers for state in self.states)
        return all(one == before if before != "none" else one != "none" for one in later)

    def __str__(self) -> str:
        before, after, updated = (state.providers for state in self.states)
        old, new = self.states[0].versions, self.states[-1].versions
        changed = [f"{name} {old[name]} -> {new.get(name, 'gone')}" for name in old if new.get(name) != old[name]]
        verdict = ("added" if before == "none" else "equal") if self.is_kept else "LOST"
        return (
            f"{self.way.name:42} {before:22} {after:22} {updated:22} {verdict:6} {self.faces:>5} {self.seconds:4.0f} s"
            f"  {', '.join(changed) or 'nothing'}"
        )


def link_packages(folder: Path, is_wanted: Callable[[str], object]) -> None:
    """A folder of links to the wanted packages of this Python: what sees it counts them as installed."""
    folder.mkdir()
    for distribution in distributions():
        if not is_wanted(distribution.metadata["Name"].lower().replace("_", "-")):
            continue
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            source, link = Path(str(distribution.locate_file(name))), folder / name
            if source.exists() and not link.exists():
                link.symlink_to(source)


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    ways = [*WAYS, BASELINE]
    if not (COMFYUI / "folder_paths.py").is_file():
        ways = [way for way in ways if "comfyui-manager" not in way.there]
        print(f"comfy node install: not run, there is no ComfyUI at {COMFYUI}")
    print(f"{'':42} {'before':22} {'installed':22} {'updated':22} {'':6} faces   time  changed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        handler = partial(Silent, directory=Path(folder) / "served")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, ThreadPoolExecutor(2) as pool:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            bench = Bench(Path(folder), f"http://127.0.0.1:{server.server_port}/faceid_tunes.git")
            is_good = [is_as_it_should_be(tried) for tried in pool.map(bench.try_out, ways)]
            server.shutdown()
    return 0 if all(is_good) else 1


def is_as_it_should_be(tried: Tried) -> bool:
    print(tried, flush=True)
    return not tried.is_kept if tried.way is BASELINE else tried.is_kept and tried.faces == "6"


if __name__ == "__main__":
    sys.exit(main())
