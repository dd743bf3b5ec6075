"""``faceid prompt check``: what is wrong with a text, and what could be better."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .home import add_home_option, opened_store


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("prompt", help="prompt texts")
    commands = parser.add_subparsers(required=True, metavar="{check}")
    check = commands.add_parser("check", help="show what is wrong with a text, and what could be better")
    check.add_argument("text", help="for example '<faceid:12:1> woman trekking in the alps'")
    check.set_defaults(run=_check_prompt)
    add_home_option(parser)


def _check_prompt(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.prompts import Prompt, lint
    from ..faceid_core.tunes.refs import double_meanings, named_tune

    prompt = Prompt(options.text)
    with opened_store(options) as store:
        tunes = {tag.ref: named_tune(store, tag, prompt.text) for tag in prompt.parsed.faces}
        doubles = list(double_meanings(store, prompt.parsed))
    for ref, tune in tunes.items():
        yield f"<faceid:{ref}:...> is {tune.title!r} ({tune.name})"
    yield f"text: {prompt.parsed.plain_text}"
    yield from (f"advice: {found.message}" for found in lint(prompt, tunes))
    yield from (f"advice: {sentence}" for sentence in doubles)
