"""From a failed request to an AstriaError that says what to do."""

from __future__ import annotations

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from .errors import (
    Again,
    AstriaError,
    AstriaSettingsError,
    AstriaTransportError,
    AuthenticationError,
    NoCreditError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    ValidationError,
)
from .settings import BASE_URL_VARIABLE, KEY_VARIABLE

if TYPE_CHECKING:
    from aiohttp.connector import Connection

# The exceptions of a connection; OSError comes from the sockets below aiohttp.
CONNECTION_FAULTS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)

_NOT_A_CHECKPOINT = "Use a checkpoint instead"
_NO_CREDIT = re.compile(r"\b(insufficient|not enough|no|out of|low)\b.{0,20}\b(credit|credits|balance|funds)\b", re.I)

_REMEDIES = {
    _NOT_A_CHECKPOINT: "A prompt is sent to a base model from the gallery, not to the FaceID tune: set base_tune_id "
    "to a checkpoint such as 690204 (Realistic Vision v5.1); the tune is named in the text, as in <faceid:ID:1>.",
    "could not download": "Check that the image's address opens in a private browser window and has no letters "
    "outside ASCII.",
}


class ConnectionLostError(aiohttp.ClientError):
    """The connection ended after the request was sent."""


class Response(aiohttp.ClientResponse):
    """A lost connection, under a name that aiohttp does not treat as its own.

    aiohttp itself sends a GET again at once when its connection is lost; but ``RetryPolicy`` and ``polling.py`` decide
    how often and how fast we ask.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise ConnectionLostError(str(error) or type(error).__name__) from None


def connection_fault(error: BaseException, what: str, host: str) -> AstriaError:
    """The error for a connection to ``host`` that failed during ``what`` (``POST /tunes``)."""
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch):
        return AstriaTransportError(
            f"{what}: {host} does not show a certificate this machine trusts ({error}). Check the address, and this "
            "machine's clock and certificates."
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return AstriaTransportError(f"{what}: {error} is not an address.")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        reason = "it does not answer" if isinstance(error, asyncio.TimeoutError) else str(error)
        return AstriaTransportError(
            f"{what}: {host} cannot be reached ({reason}). Check the address, the network, and any proxy or firewall.",
            again=Again.SAFE,
        )
    reason = "no answer in time" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
    return AstriaTransportError(f"{what}: the connection to {host} was lost ({reason}).", again=Again.UNSURE)


def status_fault(status: int, messages: tuple[str, ...], headers: Mapping[str, str], what: str) -> AstriaError:
    """The error for an answer that is not 2xx; ``messages`` are the API's words."""
    said = "; ".join(messages)
    retry_after = _retry_after(headers.get("Retry-After"))
    known: dict[str, Any] = {"status": status, "messages": messages, "retry_after": retry_after}
    if status == 402 or (status in (403, 422) and _NO_CREDIT.search(said)):
        return NoCreditError(
            f"The remote account has no credit left{_quoted(said)}. Top it up on the API's site, then run again.",
            **known,
        )
    if status in (401, 403):
        return AuthenticationError(
            f"The remote API does not accept the key ({status}{_quoted(said)}). Check {KEY_VARIABLE} or the key file.",
            **known,
        )
    if status == 404:
        return NotFoundError(
            f"{what}: not found{_quoted(said)}. It was deleted, has expired, or belongs to another account.",
            **known,
        )
    if status == 429:
        return RateLimitedError(
            f"{what}: too many requests{_quoted(said)}. Wait {_in_words(retry_after)}, and run fewer prompts at once.",
            again=Again.SAFE,
            **known,
        )
    if status >= 500 or status == 408:
        return ServerError(f"{what}: the remote API failed ({status}{_quoted(said)}).", again=Again.UNSURE, **known)
    if 300 <= status < 400:
        return AstriaSettingsError(
            f"{what}: the API redirects to {_address(headers.get('Location'))}; the key is not sent there. "
            f"Set {BASE_URL_VARIABLE} to the final address.",
            status=status,
        )
    remedy = next((f" {remedy}" for sign, remedy in _REMEDIES.items() if sign in said), "")
    return ValidationError(
        f"The remote API refused {what} ({status}): {said or 'it does not say why'}{_stop(said)}{remedy}", **known
    )


def not_the_api(what: str, status: int, content_type: str) -> AstriaError:
    """The error for a 2xx answer that is not JSON: a proxy's or portal's page, or an answer that was cut."""
    return ServerError(
        f"{what}: the answer is not the API's ({status}, {content_type or 'no type'}). Check {BASE_URL_VARIABLE}, and "
        "whether a proxy or a sign-in page answers instead.",
        status=status,
        again=Again.UNSURE,
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or an HTTP date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _in_words(seconds: float | None) -> str:
    return "a minute" if seconds is None else f"{seconds:.0f} s"


def _quoted(said: str) -> str:
    return f": {said}" if said else ""


def _stop(said: str) -> str:
    return "" if said.endswith((".", "!", "?")) else "."


def _address(location: str | None) -> str:
    """Without the query, which may contain anything."""
    return (location or "another address").partition("?")[0][:200]
