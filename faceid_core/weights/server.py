"""What a server's answer, or a connection that broke, means for a download."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import DownloadError

if TYPE_CHECKING:
    import requests

HUB = "https://huggingface.co"
_MOST_DIGITS = 18  # of a number of bytes or seconds
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class AgainError(Exception):
    """This attempt failed, another may succeed. ``wait``: seconds the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def refuse_status(response: requests.Response, url: str) -> None:
    """Go on where the answer has the file.

    Raises:
        AgainError: the server may answer better later.
        DownloadError: it will not; says why.
    """
    status = response.status_code
    if status in _TRY_AGAIN:
        wait = response.headers.get("Retry-After", "")
        reason = "too many requests" if status == 429 else "the server has a problem"
        raise AgainError(f"{reason} (HTTP {status})", float(number(wait) or 0))
    if status in (401, 403):
        raise DownloadError(_not_allowed(response, url))
    if status in (404, 410):
        raise DownloadError(f"{url} no longer exists (HTTP {status}): it was deleted, renamed or made private")
    if status >= 400:
        raise DownloadError(f"{url} answers HTTP {status} {response.reason}")


def number(text: str) -> int | None:
    """A whole number of a header; None for anything else. ``isdigit`` says yes to "²", and int() takes 4,300 digits."""
    return int(text) if 0 < len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit() else None


def _not_allowed(response: requests.Response, url: str) -> str:
    reason = f"{host(url)} restricts access to {url} (HTTP {response.status_code})"
    if not url.startswith(hub() + "/"):
        return reason
    page = "/".join(url.split("/")[:5])
    if response.headers.get("X-Error-Code") == "RepoNotFound":
        return f"{reason}: the repository {page} was deleted or made private"
    return f"{reason}: accept the conditions on {page}, and set HF_TOKEN to your access token"


def mirrored(url: str) -> str:
    """HF_ENDPOINT names a mirror of huggingface.co, as for huggingface_hub."""
    return hub() + url.removeprefix(HUB) if url.startswith(HUB + "/") else url


def hub() -> str:
    """The address of Hugging Face, or of its mirror, without a slash at the end."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/") or HUB


def host(url: str) -> str:
    """The server's name in an address."""
    from urllib.parse import urlsplit

    return urlsplit(url).netloc


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions wrapped in one of requests, outermost first."""
    seen: list[BaseException] = []
    found: object = error
    while isinstance(found, BaseException) and found not in seen:
        seen.append(found)
        yield found
        found = getattr(found, "reason", None) or next((arg for arg in found.args if isinstance(arg, Exception)), None)


def no_connection(error: requests.RequestException) -> bool:
    """Whether the server could not be reached at all."""
    import requests
    import urllib3

    kinds = (requests.ConnectTimeout, requests.exceptions.ProxyError, urllib3.exceptions.NewConnectionError)
    return any(isinstance(cause, kinds) for cause in _causes(error))


def stalled(error: requests.RequestException) -> bool:
    """Whether no data came for too long."""
    import requests
    import urllib3

    return any(isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError) for cause in _causes(error))


def cause(error: requests.RequestException) -> str:
    """The message of the innermost exception, without the object addresses before it."""
    return str(list(_causes(error))[-1]).rsplit(": ", 1)[-1]
