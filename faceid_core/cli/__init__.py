"""The command line: ``faceid tunes``, ``prompt``, ``weights``, ``generate`` and ``demo``, one module each.

A skin: it parses arguments, calls the core and writes lines. Errors go to standard error with exit status 1, a prompt
that only has advice to offer exits with 0; Ctrl-C exits with 130.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import FaceIDError
from . import prompt, tunes

_SUBJECTS = (tunes, prompt)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(options):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    except FaceIDError as error:
        sys.stderr.write(f"faceid: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faceid", description="Identities from photos, and prompts that name them.")
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for subject in _SUBJECTS:
        subject.add_to(subjects)
    return parser
