"""Find a ComfyUI, run it headless on the CPU, and talk to it as a client does: over HTTP."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = "faceid-tunes"  # name of the plugin's folder under custom_nodes

# What the plugin itself imports in ComfyUI's interpreter once a node runs.
PLUGIN_NEEDS = ("safetensors", "PIL", "numpy", "insightface", "onnxruntime")

START_SECONDS = 240
PROMPT_SECONDS = 600

T = TypeVar("T")


class ComfyUIMissingError(Exception):
    """There is no usable ComfyUI; the message says what is missing and how to get it."""


class PromptError(Exception):
    """ComfyUI refused a prompt or failed while running it. ``details`` is what it answered."""

    def __init__(self, message: str, details: dict[str, Any]):
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Installation:
    """A ComfyUI checkout and the interpreter it runs under."""

    path: Path
    python: Path

    def missing(self, modules: tuple[str, ...]) -> list[str]:
        """Those of ``modules`` its interpreter cannot find."""
        probe = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if not importlib.util.find_spec(m)])"
        run = subprocess.run([self.python, "-c", probe, *modules], capture_output=True, text=True, check=True)
        return run.stdout.split()


def find_comfyui() -> Installation:
    """``COMFYUI_PATH``, else comfy-cli's ``~/comfy/ComfyUI``, else the ComfyUI whose custom_nodes folder this is.

    Raises:
        ComfyUIMissingError: none of them is a ComfyUI.
    """
    places = [Path.home() / "comfy" / "ComfyUI", REPOSITORY.parent.parent]
    if chosen := os.environ.get("COMFYUI_PATH"):
        places = [Path(chosen).expanduser()]
    for path in places:
        if (path / "main.py").is_file() and (path / "comfy").is_dir():
            return Installation(path.resolve(), _interpreter(path))
    looked = ", ".join(map(str, places))
    raise ComfyUIMissingError(f"no ComfyUI at {looked}: set COMFYUI_PATH to a ComfyUI folder, or run `comfy install`.")


def _interpreter(path: Path) -> Path:
    inner = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    for name in (".venv", "venv"):
        python = path.joinpath(name, *inner)
        if python.exists():
            return python
    return Path(sys.executable)


def _environment() -> dict[str, str]:
    """Without the developer's own tune store, which the tests must not fill, and account, which they must not use."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("FACEID_", "ASTRIA_"))}
    return own | {"PYTHONUNBUFFERED": "1"}


class ComfyUIServer:
    """A ComfyUI process with this repository as its only custom node.

    ``base`` is its --base-directory: models, input, output and custom_nodes lie there, nothing is written elsewhere.
    ``environment``: variables that it gets besides those of this process. ``more``: folders below custom_nodes that it
    loads, too. ``options``: of main.py, besides its own.
    """

    def __init__(
        self,
        installation: Installation,
        base: Path,
        environment: Mapping[str, str] | None = None,
        more: tuple[str, ...] = (),
        options: Sequence[str] = (),
    ):
        self._more = more
        self._installation = installation
        self._options = options
        self._environment = environment or {}
        self._log_path = base / "comfyui.log"
        self.base = base
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            ComfyUIMissingError: its interpreter lacks a module that ComfyUI needs.
            RuntimeError: it ended, or did not answer in time; the message holds the end of its log.
        """
        plugin = self.base / "custom_nodes" / FOLDER
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.symlink_to(REPOSITORY, target_is_directory=True)
        port = str(urllib.parse.urlsplit(self.url).port)
        command = [self._installation.python, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", port]
        command += ["--base-directory", self.base, "--database-url", "sqlite:///:memory:", "--disable-api-nodes"]
        command += ["--disable-all-custom-nodes", "--cache-classic", *self._options]
        command += ["--whitelist-custom-nodes", FOLDER, *self._more]
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._installation.path,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment() | self._environment,
                start_new_session=True,  # a process group of its own, so that nothing it starts outlives it
            )
        try:
            self._until("ComfyUI to answer", START_SECONDS, lambda: self._json("/system_stats"))
        except BaseException as error:
            self.stop()
            last = self.log().strip().rpartition("\n")[2]
            if isinstance(error, RuntimeError) and last.startswith("ModuleNotFoundError"):
                raise ComfyUIMissingError(
                    f"{self._installation.python} cannot run ComfyUI ({last}): "
                    f"`{self._installation.python} -m pip install -r {self._installation.path}/requirements.txt`."
                ) from error
            raise

    def stop(self) -> None:
        """End the whole process group: asked first, killed when it has not ended after ten seconds."""
        if self._process is None:
            return
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, ending)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        self._process = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def object_info(self, node: str) -> dict[str, Any]:
        """The schema ComfyUI serves for a node class.

        Raises:
            KeyError: no node of that name is registered.
        """
        return self._json(f"/object_info/{node}")[node]

    def upload(self, photo: Image.Image | np.ndarray, name: str) -> str:
        """Put a picture where LoadImage finds it, as the browser does. Returns the name to give to LoadImage."""
        if isinstance(photo, np.ndarray):
            photo = Image.fromarray(photo)
        png = io.BytesIO()
        photo.save(png, "PNG")
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        body = head.encode() + b"Content-Type: image/png\r\n\r\n" + png.getvalue() + f"\r\n--{boundary}--\r\n".encode()
        answer = self._json("/upload/image", body, f"multipart/form-data; boundary={boundary}")
        return answer["name"]

    def queue(self, prompt: dict[str, Any], workflow: dict[str, Any] | None = None) -> dict[str, Any]:
        """Post an API-form workflow and wait for its end. Returns its history entry.

        workflow: its graph form, which the editor sends along to be kept in pictures.

        Raises:
            PromptError: the prompt was refused, or a node failed; the message is what a user would read.
        """
        request = {"prompt": prompt, "client_id": uuid.uuid4().hex}
        if workflow is not None:
            request["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        body = json.dumps(request).encode()
        answer = self._json("/prompt", body)
        if answer["node_errors"]:  # ComfyUI goes on with the outputs that do not need the refused nodes
            raise PromptError(_refusal(answer), answer)
        prompt_id = answer["prompt_id"]
        entry = self._until(
            f"prompt {prompt_id}", PROMPT_SECONDS, lambda: self._json(f"/history/{prompt_id}").get(prompt_id)
        )
        if entry["status"]["status_str"] != "success":
            details = dict(entry["status"]["messages"])["execution_error"]
            raise PromptError(details["exception_message"].strip(), details)
        return entry

    def image(self, entry: dict[str, Any], node: str) -> Image.Image:
        """The first picture that output node ``node`` saved in a finished prompt, as RGB."""
        return self.png(entry, node).convert("RGB")

    def png(self, entry: dict[str, Any], node: str) -> PngImageFile:
        """The first file that output node ``node`` saved in a finished prompt, with its texts."""
        where = entry["outputs"][node]["images"][0]
        with self._open(f"/view?{urllib.parse.urlencode(where)}") as answer:
            return PngImageFile(io.BytesIO(answer.read()))

    def free(self) -> None:
        """Have it unload its models, and wait until it has: it does so after a prompt, or while it waits for one."""
        self._open("/free", b'{"unload_models": true}', "application/json").close()
        empty = {"width": 16, "height": 16, "batch_size": 1, "color": 0}
        between = {"1": {"class_type": "EmptyImage", "inputs": empty}}
        self.queue(between | {"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})

    def _json(self, path: str, body: bytes | None = None, kind: str = "application/json") -> dict[str, Any]:
        with self._open(path, body, kind) as answer:
            return json.load(answer)

    def _open(self, path: str, body: bytes | None = None, kind: str = "application/json"):
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind})
        try:
            return urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            details = json.load(error)
            raise PromptError(_refusal(details), details) from None

    def _until(self, what: str, seconds: float, ask: Callable[[], T | None]) -> T:
        """The first true answer of ``ask``, asked ten times a second while the process lives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if answer := ask():
                    return answer
            except PromptError:
                raise
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # not listening yet, or too busy to answer
            try:
                code = self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"ComfyUI ended with code {code}. Its log ends with:\n{self.log()[-4000:]}")
        raise RuntimeError(f"Waited {seconds} s for {what}. ComfyUI's log ends with:\n{self.log()[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _refusal(details: dict[str, Any]) -> str:
    """The sentences of an answer to /prompt: the prompt's own error if it is refused as a whole, then each node's."""
    errors = [details["error"]] if "error" in details else []
    errors += [error for node in details["node_errors"].values() for error in node["errors"]]
    return "; ".join(f"{error['message']} {error['details']}" for error in errors)
