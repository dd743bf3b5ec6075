"""Everything this package raises on purpose.

    FaceIDError
    ├── PhotoError  an input picture cannot be used (NaN, 1x1, not a picture)
    │   ├── NoFaceError  no face was found in a readable picture
    │   └── UnclearPersonError  several photos show different people, and none is in most of them
    ├── FacePackError  a face pack is missing or incomplete
    ├── AdapterError  an IP-Adapter file cannot be read, or does not fit the model or faces it is used with
    ├── MissingDependencyError  a Python package has to be installed first
    ├── PromptError  (prompts/errors.py) a prompt cannot be used; says where in it
    ├── TuneError  (tunes/errors.py) a tune cannot be created, read or changed
    │   ├── DamagedValueError  a row has a value that its column never has
    │   ├── QuotaError  who posts has posted as much as they may for now
    │   ├── TuneStorageError  the database or the files of the tunes fail
    │   └── TuneNotFoundError  no tune has that id or title, or it has expired
    ├── WeightsError  (weights/errors.py) a model file is unknown, missing or damaged
    │   ├── LicenceError  a licence has to be accepted first
    │   ├── DownloadError  a file could not be downloaded
    │   └── StorageError  a file could not be kept: the disk is full, the folder cannot be written to
    ├── RetouchError  (retouch/errors.py) a swapper, restorer or mask cannot be used
    ├── CheckpointError  (engines/embedded/errors.py) a checkpoint, LoRA or image encoder cannot be used
    │   └── ReplacedError  a model file changed after it was opened
    ├── ComfyUIError  (engines/comfyui/client.py) a running ComfyUI refused or failed
    │   └── UnreachableError  nothing answers at its address; an AwayError, too
    ├── DamagedNoteError  (engines/remote/journal.py) a note of an order that may be paid cannot be read
    ├── AllowanceError  (engines/remote/allowance.py) the owner of the key allows no more orders today
    ├── AwayError  (engines/engine.py) what an engine draws with does not answer
    ├── Cancelled  (engines/engine.py) somebody asked an engine to stop
    ├── AstriaError  (astria/errors.py) the remote API could not do what was asked
    │   ├── AstriaSettingsError  the key, the address or the workspace cannot be used
    │   ├── AstriaTransportError  the API was not reached, or the connection ended before the answer
    │   │   └── OutcomeUnknownError  the work may exist and must not be sent again
    │   ├── AuthenticationError  the API does not accept the key
    │   ├── NoCreditError  the account has no credit left
    │   ├── NotFoundError  the tune or prompt does not exist, or belongs to somebody else
    │   ├── ValidationError  the API refused the parameters
    │   ├── RateLimitedError  too many requests
    │   ├── ServerError  the API failed, or something else answered
    │   ├── DeadlineError  the images are not there yet; waiting can be resumed
    │   └── ResultError  a prompt ended without images, or an image cannot be used
    ├── MalformedRequestError  (astria/wire/brackets.py) a request's body or names cannot be understood
    │   └── BodyTooLargeError  (astria/wire/bodies.py) a request's body, or a part of it, goes beyond the limits
    └── UnexpectedObjectError  (astria/wire/objects_json.py) JSON is not the object it should be

A file is relative to ``faceid_core``; an error without one is in the file of its parent. A test compares the tree with
the classes.

Each message says what was wrong, in which input, and what to do next; it is shown to the user as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

# They turn the direction in which what follows is read: a message would say another thing than it does.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_ENDLESS = re.compile(r"\S{1001,}")  # longer than a path or an address with a signature
_SHORT = 100

# Whoever writes an address by hand encodes nothing: a password may have a slash or an @ in it.
_LOGIN = re.compile(r"(?<=://)(?:[^\s/?#@\"']*:\S*@|[^\s/?#\"']*@)")
_SECRETS = "password|passwd|pwd|secret|token|key|signature|credential"
_SECRET = re.compile(rf"([?&;](?:[a-z-]+[_-])?(?:{_SECRETS})=)[^&;\s\"']+", re.IGNORECASE)


def printable(text: str) -> str:
    r"""``text`` as it may go to a terminal or log: control and direction characters are written as ``\x1b``.

    Line feeds and tabs stay. Whoever writes a text that came from a file, a graph or a server uses this.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def without_passwords(text: str) -> str:
    """``text`` in which no address has a login, or the value of a parameter that is named like a secret."""
    if "://" not in text:
        return text
    return _SECRET.sub(r"\1…", _LOGIN.sub("", text))


def counted(number: int, noun: str) -> str:
    """As in "1 face" and "2 faces", for messages."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def readable(text: str) -> str:
    """``text`` without the middle of words that nobody reads: a message repeats what was given, of any length."""
    return _ENDLESS.sub(lambda word: f"{word[0][:_SHORT]}…{word[0][-_SHORT:]}", text)


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    is_odd = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTIONS
    return character.encode("unicode_escape").decode("ascii") if is_odd else character


class FaceIDError(Exception):
    """Base of every error meant for the user. Its message is ``printable``, ``readable`` and ``without_passwords``."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(_told(part) if isinstance(part, str) else part for part in args))


def _told(said: str) -> str:
    return readable(without_passwords(printable(said)))


class PhotoError(FaceIDError):
    """An input picture cannot be used."""


class NoFaceError(PhotoError):
    """No face was found in a readable picture."""


class UnclearPersonError(PhotoError):
    """Several photos show different people, and none is in most of them.

    ``candidates`` are the faces of those who are in some (``faces.candidates.Candidate``), where they are known.
    """

    def __init__(self, message: str, candidates: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class FacePackError(FaceIDError):
    """A face pack (detector and recogniser) is missing or incomplete."""


class AdapterError(FaceIDError):
    """An IP-Adapter FaceID file cannot be read, or does not fit the model or the faces it is applied with."""


class MissingDependencyError(FaceIDError):
    """A Python package that this step needs is not installed."""
