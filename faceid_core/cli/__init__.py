"""The command line: ``faceid tunes``, ``prompt``, ``weights``, ``generate`` and ``demo``, one module each.

A skin: it parses arguments, calls the core and writes lines. Errors go to standard error with exit status 1, a prompt
that only has advice to offer exits with 0; Ctrl-C exits with 130.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing

from ..errors import FaceIDError
from . import demo, generate, prompt, tunes, weights

_SUBJECTS = (generate, demo, tunes, prompt, weights)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    options = _parser().parse_args(arguments)
    try:
        with closing(options.run(options)) as lines:  # Ctrl-C here, too, lets a command clean up behind itself
            for line in lines:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    except FaceIDError as error:
        sys.stderr.write(f"faceid: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `faceid weights list | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its exit
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faceid", description="Identities from photos, and prompts that name them.")
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for subject in _SUBJECTS:
        subject.add_to(subjects)
    return parser
