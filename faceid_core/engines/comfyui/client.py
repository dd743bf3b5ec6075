"""A running ComfyUI over HTTP: the few requests a headless client makes (docs/facts/comfyui.md 3.3)."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Literal

import aiohttp
from yarl import URL

from ...errors import FaceIDError
from ..engine import AwayError

Graph = dict[str, dict[str, Any]]  # node id -> class_type and inputs: ComfyUI's API form of a workflow

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60  # without a byte; a ComfyUI that is loading a model answers late
_STOP_SECONDS = 60  # to wait for a stopped job: it notices after a step, or when a model is loaded
_TICK = 0.1


class ComfyUIError(FaceIDError):
    """A ComfyUI that cannot be used, or a job that failed in it; says which one and what to do."""


class UnreachableError(ComfyUIError, AwayError):
    """Nothing answers at the address."""


def comfyui_url(text: str) -> URL:
    """The address a person wrote, with or without http:// and a trailing slash.

    Raises:
        ComfyUIError: it is no http or https address.
    """
    spelled = text.strip()
    with suppress(ValueError):
        url = URL(spelled if "://" in spelled else f"http://{spelled}")
        if url.scheme in ("http", "https") and url.host:
            return url.with_path(url.path.rstrip("/"))
    raise ComfyUIError(f"{text!r} is not ComfyUI's address. Write it as in http://127.0.0.1:8188.")


@asynccontextmanager
async def connected(url: URL) -> AsyncIterator[ComfyUI]:
    """The ComfyUI at an address.

    Raises:
        UnreachableError: nothing answers there.
        ComfyUIError: something else does.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        comfyui = ComfyUI(session, url)
        await comfyui.check()
        yield comfyui


class ComfyUI:
    """Requests to one ComfyUI. ``url`` may hold a user name and password; ``address`` is for people and does not.

    Every method raises UnreachableError when nothing answers, ComfyUIError when the answer is not ComfyUI's.
    """

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        self._session = session
        self._url = url
        self.address = address(url)

    async def check(self) -> None:
        """Make sure that this is a ComfyUI. A redirect, as from http to https, is followed once for all."""
        status, landed, body = await self._request("GET", "system_stats")
        if status in (401, 403):
            remedy = "Put its user name and password into the address: https://NAME:PASSWORD@HOST."
            raise ComfyUIError(f"{self.address} wants a login (HTTP {status}). {remedy}")
        try:
            is_comfyui = status == 200 and "comfyui_version" in json.loads(body)["system"]
        except (ValueError, TypeError, LookupError):
            is_comfyui = False
        if not is_comfyui:
            raise ComfyUIError(
                f"{self.address} answers, but it is not ComfyUI (HTTP {status} for /system_stats). ComfyUI writes its "
                "own address when it starts: 'To see the GUI go to: ...'."
            )
        login = self._url if landed.host == self._url.host else landed  # not for a host we are sent on to
        self._url = landed.parent.with_user(login.user).with_password(login.password)

    async def node_info(self, kinds: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What ComfyUI says of its node classes; one it does not have is missing."""
        answers = await asyncio.gather(*(self._json("GET", f"object_info/{kind}") for kind in kinds))
        return {kind: info for answer in answers for kind, info in answer.items()}

    async def upload(self, name: str, png: bytes, subfolder: str) -> str:
        """Put a picture into ComfyUI's temporary folder. Returns what LoadImage calls it."""
        form = aiohttp.FormData({"type": "temp", "subfolder": subfolder})
        form.add_field("image", png, filename=name, content_type="image/png")
        status, _, body = await self._request("POST", "upload/image", data=form)
        if status == 413:
            size = f"{len(png) / 1e6:.1f} MB"
            raise ComfyUIError(
                f"{self.address} does not take a photo of {size}: start it with a larger --max-upload-size."
            )
        answer = _parsed(self._checked(status, body, "upload/image"), self.address)
        return f"{answer['subfolder']}/{answer['name']} [{answer['type']}]"

    async def queue(self, graph: Graph, job_id: str, client_id: str) -> None:
        """Put a graph into the queue, under an id of our own so that it can be stopped whatever happens next.

        Raises:
            ComfyUIError: ComfyUI refuses it; names each node and input at fault.
        """
        order = {"prompt": graph, "prompt_id": job_id, "client_id": client_id}
        status, _, body = await self._request("POST", "prompt", json=order)
        if status == 400:
            raise ComfyUIError(f"{self.address} refuses the job. {refusal(_parsed(body, self.address))}")
        self._checked(status, body, "prompt")

    async def place(self, job_id: str) -> int | None:
        """How many jobs are before this one: 0 runs, or is next. None when it is not in the queue."""
        queue = await self._json("GET", "queue")
        running, pending = ([item[1] for item in queue[f"queue_{name}"]] for name in ("running", "pending"))
        if job_id in running:
            return 0
        if job_id not in pending:
            return None
        numbers = {item[1]: item[0] for item in queue["queue_pending"]}  # a heap: listed in no particular order
        return len(running) + sum(number < numbers[job_id] for number in numbers.values())

    async def history(self, job_id: str) -> dict[str, Any] | None:
        """The record of a job that has ended: ``status``, and the ``outputs`` of its nodes."""
        return (await self._json("GET", f"history/{job_id}")).get(job_id)

    async def stop(self, job_id: str) -> None:
        """Take one job out of the queue, or interrupt it if it runs, and wait until it is gone; other jobs go on."""
        deadline = asyncio.get_running_loop().time() + _STOP_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if await self.place(job_id) is None:
                return
            # Each answers to one job alone, and does nothing where it is not due. Again each time: a job that starts
            # just now is no longer in the queue, and forgets an interrupt that came a moment too early.
            status, _, _ = await self._request("POST", f"api/jobs/{job_id}/cancel")
            if status in (404, 405):  # ComfyUI 0.20 has no such route
                await self._request("POST", "queue", json={"delete": [job_id]})
                await self._request("POST", "interrupt", json={"prompt_id": job_id})
            await asyncio.sleep(_TICK)

    async def view(self, where: Mapping[str, str]) -> bytes:
        """A picture that an output node named in its record."""
        params = {key: where[key] for key in ("filename", "subfolder", "type")}
        status, _, body = await self._request("GET", "view", params=params)
        return self._checked(status, body, f"view?filename={params['filename']}")

    def listen(self, client_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """The websocket on which ComfyUI tells what the jobs of a client do."""
        return self._session.ws_connect(self._url / "ws", params={"clientId": client_id}, max_msg_size=0)

    async def _json(self, method: Literal["GET", "POST"], path: str, **options: Any) -> Any:
        status, _, body = await self._request(method, path, **options)
        return _parsed(self._checked(status, body, path), self.address)

    async def _request(self, method: Literal["GET", "POST"], path: str, **options: Any) -> tuple[int, URL, bytes]:
        try:
            async with self._session.request(method, self._url / path, **options) as answer:
                return answer.status, answer.url, await answer.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            reason = str(error) or "no answer in time"
            raise UnreachableError(
                f"No ComfyUI answers at {self.address} ({reason}). Start it with `python main.py --listen`, or give "
                "the address it runs at."
            ) from error

    def _checked(self, status: int, body: bytes, path: str) -> bytes:
        if status != 200:
            if status in (502, 503, 504):  # a proxy before a ComfyUI that starts, or is too busy to answer
                raise UnreachableError(f"{self.address} is not up: HTTP {status}.")
            said = f": {body[:200].decode(errors='replace').strip()}" if body and not body.startswith(b"<") else ""
            raise ComfyUIError(f"{self.address} answered /{path} with HTTP {status}{said}.")
        return body


def address(url: URL) -> str:
    """For people: without the user name and password that the address may hold."""
    return str(url.with_user(None))


def new_id() -> str:
    return str(uuid.uuid4())


def refusal(answer: Mapping[str, Any]) -> str:
    """The sentences of ComfyUI's answer to a graph it will not run: each node, input and reason."""
    found = [
        f"{node['class_type']}: {_reason(error)}" for node in answer["node_errors"].values() for error in node["errors"]
    ]
    whole = answer["error"]
    return "; ".join(found) or f"{whole['message']} {whole['details']}".strip()


def _reason(error: Mapping[str, Any]) -> str:
    """A node's own check is a sentence, which ComfyUI puts behind the name of an input."""
    details = str(error["details"])
    if error.get("type") == "custom_validation_failed" and (said := details.partition(" - ")[2]):
        return said
    return f"{error['message']}, {details}".rstrip(", ")


def _parsed(body: bytes, address: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise ComfyUIError(f"{address} answered with something that is not JSON. Is it behind a proxy?") from None
