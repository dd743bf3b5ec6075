"""The parsers of the command line, as a tree."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def all_parsers(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command ("tunes create") with its parser, the groups of commands too."""
    yield path, parser
    for action in _below(parser):
        for name, child in action.choices.items():
            yield from all_parsers(child, f"{path} {name}".strip())


def is_command(parser: argparse.ArgumentParser) -> bool:
    """Whether it can be run without a further word."""
    return not any(action.required for action in _below(parser))


def _below(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
