"""The command line: ``faceid tunes``, ``prompt``, ``weights``, ``generate``, ``demo`` and ``serve``, one module each.

A skin: it parses arguments, calls the core and writes lines. Errors go to standard error with exit status 1; a prompt
for which there is only advice exits with 0; Ctrl-C exits with 130.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing

from ..faceid_core.errors import FaceIDError
from . import demo, generate, prompt, serve, tunes, weights
from .ctrl_c import noticing_ctrl_c

_SUBJECTS = (generate, demo, tunes, prompt, weights, serve)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    options = _parser().parse_args(arguments)
    with noticing_ctrl_c() as was_pressed:
        try:
            _write_lines(options)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader has closed the pipe, as in `faceid weights list | head`
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # otherwise Python reports the error again at its exit
        except Exception as error:
            if was_pressed():  # a library turned it into this error
                return 130
            if not isinstance(error, FaceIDError):
                raise
            sys.stderr.write(f"faceid: {error}\n")
            return 1
    return 0


def _write_lines(options: argparse.Namespace) -> None:
    with closing(options.run(options)) as lines:  # after Ctrl-C here, too, a command can clean up
        for line in lines:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faceid", description="Identities from photos, and prompts that name them.")
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for subject in _SUBJECTS:
        subject.add_to(subjects)
    return parser
