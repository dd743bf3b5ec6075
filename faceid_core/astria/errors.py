"""The errors of the remote API and of the connection to it.

AstriaError
├── AstriaSettingsError   no key, a key file that others can read, an address without TLS
├── AstriaTransportError  not reached, timed out, cut off
│   └── OutcomeUnknownError  ... and it is unknown whether the work was done
├── AuthenticationError   401, 403
├── NoCreditError         402, or the API says so
├── NotFoundError         404
├── ValidationError       400, 422: the API's own words, and the remedy if we know it
├── RateLimitedError      429
├── ServerError           5xx, or an answer that is not the API's
├── DeadlineError         the images are not ready yet; the work continues
└── ResultError           the work ended without usable images
"""

from __future__ import annotations

import copy
from enum import Enum

from ..errors import FaceIDError, printable
from .redaction import hide


class Again(Enum):
    """Whether the request that failed may be sent again."""

    NEVER = "the answer is final"
    SAFE = "nothing was done"
    UNSURE = "it may have been done"


class AstriaError(FaceIDError):
    """A request to the remote API failed.

    ``status`` is the HTTP status, None without an answer. ``messages`` are the API's own, word for word.
    ``retry_after`` is the wait that the API asked for, in seconds. No message shows a key: ``redaction.py``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        messages: tuple[str, ...] = (),
        again: Again = Again.NEVER,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(hide(message))
        self.status = status
        self.messages = tuple(map(hide, messages))
        self.again = again
        self.retry_after = retry_after

    def with_advice(self, advice: str) -> AstriaError:
        """The same error with one more sentence."""
        longer = copy.copy(self)
        longer.args = (hide(printable(f"{self} {advice}")),)
        return longer


class AstriaSettingsError(AstriaError):
    """The key, the address or the workspace cannot be used."""


class AstriaTransportError(AstriaError):
    """The API was not reached, or the connection ended before its answer did."""


class OutcomeUnknownError(AstriaTransportError):
    """The answer was lost and the search for the work failed: it may exist and must not be sent again."""

    @property
    def is_answered(self) -> bool:
        """Whether the server said yes, in an answer that cannot be read."""
        return self.status is not None and 200 <= self.status < 300


class AuthenticationError(AstriaError):
    """The API does not accept the key."""


class NoCreditError(AstriaError):
    """The account has no credit left."""


class NotFoundError(AstriaError):
    """The tune or prompt does not exist, or belongs to another account."""


class ValidationError(AstriaError):
    """The API refused the parameters."""


class RateLimitedError(AstriaError):
    """Too many requests."""


class ServerError(AstriaError):
    """The API failed, or something that is not the API answered."""


class DeadlineError(AstriaError):
    """The images are not ready yet; the prompt ``prompt_id`` continues and the wait can be resumed."""

    def __init__(self, message: str, prompt_id: int) -> None:
        super().__init__(message)
        self.prompt_id = prompt_id


class ResultError(AstriaError):
    """A prompt ended without images, or an image cannot be used."""

    @property
    def is_gone(self) -> bool:
        """Whether the image was deleted: no other try can bring it."""
        return self.status in (404, 410)
