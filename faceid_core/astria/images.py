"""The images of a prompt: downloaded in parallel, resumed when cut, and checked.

Their addresses are public (``addresses.py``) and have no suffix (docs/facts/astria.md 12), so they are fetched without
the key, and their type is read from the bytes.
"""

from __future__ import annotations

import asyncio
import io
import re
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import aiohttp

from ..faces.photo import MAX_PIXELS
from ..model_files.impostor import impostor
from .addresses import Fetcher, forbidden
from .client import AstriaClient
from .errors import Again, AstriaError, AstriaTransportError, ResultError
from .faults import CONNECTION_FAULTS, connection_fault

AT_ONCE = 4
MAX_BYTES = 64 * 1024 * 1024  # of one image; 4096x4096 as PNG is about 40 MB

T = TypeVar("T")
OnImage = Callable[[int, int], None]  # (done, of)

_KINDS = ("JPEG", "PNG", "WEBP")
_START = re.compile(r"bytes (\d+)-")


async def download_images(
    client: AstriaClient,
    addresses: Sequence[str],
    on_image: OnImage | None = None,
    *,
    max_bytes: int = MAX_BYTES,
) -> list[bytes]:
    """The image files (JPEG, PNG or WebP, whole and readable) at ``addresses``, in their order.

    ``on_image(done, of)`` is called after each. Cancelling, or the first failure, stops the others.

    Raises:
        ResultError: an address that is not, or no longer, an image; the message names it.
        AstriaError: it was not reached in ``client.policy.attempts`` attempts.
    """
    return await _all_of(_downloads(client, addresses, on_image, max_bytes))


async def fetch_images(
    client: AstriaClient, addresses: Sequence[str], on_image: OnImage | None = None, *, max_bytes: int = MAX_BYTES
) -> list[bytes | ResultError]:
    """As ``download_images``, but one that fails stops no other: its place has the reason.

    Raises:
        AstriaError: the place they lie at was not reached.
    """

    async def one(download: Coroutine[Any, Any, bytes]) -> bytes | ResultError:
        try:
            return await download
        except ResultError as error:
            return error

    return await _all_of([one(download) for download in _downloads(client, addresses, on_image, max_bytes)])


def _downloads(
    client: AstriaClient, addresses: Sequence[str], on_image: OnImage | None, max_bytes: int
) -> list[Coroutine[Any, Any, bytes]]:
    slots, done = asyncio.Semaphore(AT_ONCE), 0

    async def download(number: int, address: str) -> bytes:
        nonlocal done
        async with slots:
            part = _Part(client.fetcher, address, f"Image {number} of {len(addresses)}", max_bytes)
            image: bytes = await client.policy.retrying()(part.fetch)
        done += 1
        if on_image:
            on_image(done, len(addresses))
        return image

    return [download(number, address) for number, address in enumerate(addresses, 1)]


class _Part:
    """The bytes of one image that have arrived."""

    def __init__(self, fetcher: Fetcher, address: str, name: str, max_bytes: int) -> None:
        self.fetcher, self.address, self.name, self.max_bytes = fetcher, address, name, max_bytes
        self.data = bytearray()
        self.tag: str | None = None  # of the file that the data belongs to

    async def fetch(self) -> bytes:
        """Try once, from where the last try ended."""
        try:
            fault = await self._fetch()
        except CONNECTION_FAULTS as error:
            fault = self._fault(error)
        except ValueError:  # of a host that no name server takes
            fault = AstriaTransportError(f"{self.name}: {_host(self.address)} is not an address.")
        if fault is not None:
            raise fault
        image = bytes(self.data)
        problem = await asyncio.to_thread(_problem, image)
        if problem:
            self.data.clear()
            raise ResultError(f"{self.name} is {problem}.", again=Again.SAFE)
        return image

    def _fault(self, error: BaseException) -> AstriaError:
        if refused := forbidden(error):
            return ResultError(
                f"{self.name}: the answer names {_host(self.address)}, and {refused}: it is not fetched, because an "
                "answer of the API must not make this machine read what only it can reach."
            )
        return connection_fault(error, self.name, _host(self.address))

    async def _fetch(self) -> AstriaError | None:
        headers = {"Accept": "image/*", "Accept-Encoding": "identity"}
        if self.data and self.tag:
            headers |= {"Range": f"bytes={len(self.data)}-", "If-Range": self.tag}
        else:
            self.data.clear()
        async with self.fetcher.get(self.address, headers) as response:
            if response.status == 416:
                self.data.clear()
                return ResultError(f"{self.name} changed while it was downloaded.", again=Again.SAFE)
            if response.status not in (200, 206):
                return self._refused(response)
            if response.status == 200 or not _goes_on_at(response, len(self.data)):
                self.data.clear()  # the server sends it from the beginning
                if response.status == 206:
                    return ResultError(f"{self.name}: the server resumes at another position.", again=Again.SAFE)
            self.tag = response.headers.get("ETag") if not response.headers.get("ETag", "").startswith("W/") else None
            return await self._receive(response)

    async def _receive(self, response: aiohttp.ClientResponse) -> AstriaError | None:
        async for chunk in response.content.iter_any():
            self.data += chunk
            if len(self.data) > self.max_bytes:
                return ResultError(f"{self.name} is larger than {self.max_bytes / 1024**2:.3g} MB.")
        return None

    def _refused(self, response: aiohttp.ClientResponse) -> AstriaError:
        if response.status in (408, 429) or response.status >= 500:
            after = response.headers.get("Retry-After", "")
            return ResultError(
                f"{self.name} cannot be downloaded: {_host(self.address)} answers {response.status}.",
                status=response.status,
                again=Again.SAFE,
                retry_after=float(after) if after.isascii() and after.isdigit() else None,
            )
        return ResultError(
            f"{self.name} no longer exists ({response.status}): the remote API keeps images for 30 days. "
            "Run the prompt again.",
            status=response.status,
        )


async def _all_of(downloads: list[Coroutine[Any, Any, T]]) -> list[T]:
    tasks = [asyncio.ensure_future(download) for download in downloads]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _goes_on_at(response: aiohttp.ClientResponse, place: int) -> bool:
    match = _START.match(response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == place


def _problem(data: bytes) -> str | None:
    """What is wrong with an image file, in words that follow "Image 3 of 8 is"."""
    from PIL import Image, UnidentifiedImageError

    if kind := impostor(data):
        return f"{kind.value}, not an image"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is checked instead
            with Image.open(io.BytesIO(data), formats=_KINDS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return f"{picture.width}x{picture.height} pixels, too large to open"
                picture.draft(
                    picture.mode, (1, 1)
                )  # a JPEG at an eighth of its size: still read to its end, three times faster
                picture.load()  # verify() does not notice a truncated JPEG
    except Image.DecompressionBombError:
        return "too large to open"
    except UnidentifiedImageError:
        return "not a JPEG, PNG or WebP image"
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return f"damaged or cut short ({error})"
    return None


def _host(address: str) -> str:
    """Scheme and host of an address; the signature of a signed address is not shown."""
    return "/".join(address.split("/", 3)[:3])
