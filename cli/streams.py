"""What the command line reads and writes, in any encoding, on any stream: closed, full, or cut off by its reader."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from typing import NamedTuple, TextIO, TypeAlias

from ..faceid_core.errors import FaceIDError, printable


def prepare_streams() -> None:
    r"""Make the three streams usable: a character that the encoding lacks is written as ``\u5f20``, never an error.

    A stream that was closed (``>&-``) gets the null device under its number, so that no file opened later, such as the
    database, takes that number and receives what is meant for the stream. Output to it fails as it should.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        _open_if_closed(number)
        if getattr(sys, name) is None:  # Python found it closed
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        sys.stderr = _unfailing(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Coloured(NamedTuple):
    """Part of a line. The colour never says more than the text does."""

    text: str
    colour: str  # of _COLOURS


_COLOURS = {"red": 31, "green": 32, "yellow": 33}
Line: TypeAlias = "str | tuple[str | Coloured, ...]"  # what a command yields


def say(*parts: str | Coloured) -> None:
    """Write to standard output, now; what would steer the terminal is shown instead (``errors.py: printable``).

    Colours are for terminals, unless NO_COLOR is set (https://no-color.org).

    Raises:
        BrokenPipeError: the reader has closed the pipe, as in ``faceid weights list | head``.
        FaceIDError: it cannot be written to: the disk is full, or it was closed.
    """
    try:
        sys.stdout.write("".join(map(_shown, parts)))
        sys.stdout.flush()
    except OSError as error:
        _give_up_output()
        # Windows says EINVAL when the reader has closed the pipe.
        if error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        raise FaceIDError(f"Standard output cannot be written to ({error.strerror or error}).") from error


def _shown(part: str | Coloured) -> str:
    if isinstance(part, str):
        return printable(part)
    text = printable(part.text)
    in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[part.colour]}m{text}\x1b[0m" if in_colour and os.name != "nt" else text


def _give_up_output() -> None:
    """Nothing more is written to standard output; otherwise Python reports the error again at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def decode_texts(options: argparse.Namespace) -> None:
    """Replace each text in ``options`` by what the user typed, where Python took its UTF-8 for another encoding.

    In the C locale Python may read the arguments as ASCII and keep every other byte as a lone surrogate. Paths stay as
    they are: the same bytes name the file.

    Raises:
        FaceIDError: a text is not UTF-8 either.
    """
    for name, value in vars(options).items():
        if isinstance(value, str):
            setattr(options, name, _decoded(name, value))
        elif isinstance(value, list):
            setattr(options, name, [_decoded(name, each) if isinstance(each, str) else each for each in value])


def _decoded(name: str, text: str) -> str:
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        pass
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError as error:
        raise FaceIDError(
            f"{name.replace('_', '-')}: {text!a} holds bytes that are no text in UTF-8. Type it in a terminal that "
            "uses UTF-8."
        ) from error


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDONLY)  # the lowest free number, so this one; writing to it is an error
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


class _Unfailing(io.FileIO):
    """A file that drops what it cannot write: lost messages and progress bars are no reason to stop."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _unfailing(stream: TextIO) -> TextIO:
    if stream.isatty():
        return stream
    raw = _Unfailing(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, line_buffering=True)
