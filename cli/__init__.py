"""The command line, a module for each subject: ``faceid generate``, ``demo``, ``tunes``, ``prompt``, ``weights``, ...

A skin: it parses arguments, calls the core and writes lines. Errors go to standard error with exit status 1, also when
standard output cannot be written to; a prompt for which there is only advice exits with 0; Ctrl-C exits with 130, and a
pipe whose reader has gone with 141.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from ..faceid_core.errors import FaceIDError, printable
from . import demo, doctor, generate, prompt, remote, serve, swap, tunes, weights, worker
from .ctrl_c import noticing_ctrl_c
from .streams import decode_texts, prepare_streams, say

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_SUBJECTS = (generate, swap, demo, tunes, prompt, weights, doctor, remote, serve, worker)
_INTERRUPTED, _READER_GONE = 130, 141  # 128 and the number of the signal, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    prepare_streams()
    with noticing_ctrl_c() as was_pressed:
        try:
            options = _parser().parse_args(arguments)
            decode_texts(options)
            _write_lines(options)
        except KeyboardInterrupt:
            return _INTERRUPTED
        except BrokenPipeError:
            return _READER_GONE
        except Exception as error:
            if was_pressed():  # a library turned it into this error
                return _INTERRUPTED
            if not isinstance(error, FaceIDError):
                raise
            sys.stderr.write(f"faceid: {error}\n")
            return 1
    return 0


def _write_lines(options: argparse.Namespace) -> None:
    with closing(options.run(options)) as lines:  # after Ctrl-C here, too, a command can clean up
        for line in lines:
            say(*((line,) if isinstance(line, str) else line), "\n")
    say("")  # what a library has printed


_EXAMPLES = """examples:
  faceid demo
  faceid weights fetch --for generate
  faceid generate anna.jpg --title "Anna" --name woman --text "woman trekking in the alps"
  faceid tunes create anna1.jpg anna2.jpg --title "Anna" --name woman
  faceid generate --text "<faceid:Anna:1> woman reading in a cafe" --num-images 4
  faceid swap party.jpg --tune "Anna"

`faceid SUBJECT --help` has more."""


class _Version(argparse.Action):
    """Prints name and version, as installed or as the source says."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"faceid-tunes {version('faceid-tunes')}\n")
        except PackageNotFoundError:  # a folder in custom_nodes that was not installed
            say("faceid-tunes, not installed as a package\n")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A parser whose help is output: argparse itself ignores that it cannot be written."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        if file is None:
            say(self.format_help())
        else:
            super().print_help(file)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="faceid",
        description="Identities from photos, and prompts that name them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for subject in _SUBJECTS:
        subject.add_to(subjects)
    return parser
