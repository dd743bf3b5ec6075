"""The tunes that the tags of a prompt name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..prompts.errors import error_at
from ..prompts.grammar import parse, with_tag
from ..prompts.text import PromptText, Tag
from .errors import TuneNotFoundError
from .fields import normal
from .tune import Tune

if TYPE_CHECKING:
    from .store import TuneStore


def with_tune(text: str, tune: Tune) -> str:
    """``text`` with the tune's tag in front, or unchanged if it already names the tune, by id or title."""
    refs = {normal(tag.ref) for tag in parse(text).faces}
    return text if tune.title in refs else with_tag(text, Tag("faceid", str(tune.id)))


def tunes_by_ref(store: TuneStore, text: PromptText) -> dict[str, Tune]:
    """The existing tunes that a text names, by the ref in the text."""
    found = {}
    for tag in text.faces:
        try:
            found[tag.ref] = tune_of(store, tag)
        except TuneNotFoundError:
            continue
    return found


def double_meanings(store: TuneStore, text: PromptText) -> Iterator[str]:
    """A sentence for each number in a tag that is a tune's id and another's title, as older stores may have it."""
    for tag in text.faces:
        by_number = None if tag.tune_id is None else store.find_id(tag.tune_id)
        by_title = None if by_number is None else store.find(tag.ref)
        if by_number is not None and by_title is not None and by_title.id != by_number.id:
            yield (
                f"<faceid:{tag.ref}:...> is tune {by_number.id} ({by_number.title!r}); tune {by_title.id}, whose title "
                f"is {by_title.title!r}, is not meant. `faceid tunes rename {by_title.id} TITLE` gives it another."
            )


def named_tune(store: TuneStore, tag: Tag, text: str) -> Tune:
    """The tune a tag names by id or title.

    Raises:
        PromptError: there is no such tune, or it has expired; points at the tag in ``text``.
    """
    try:
        return tune_of(store, tag)
    except TuneNotFoundError as error:
        problem, _, remedy = str(error).partition(". ")
        raise error_at(text, tag.start, problem, remedy or "Check the number or title after <faceid:.") from error


def tune_of(store: TuneStore, tag: Tag) -> Tune:
    """The tune a tag names by id or title. Raises TuneNotFoundError."""
    if tag.tune_id is None:
        return store.get_by_title(tag.ref)
    try:
        return store.get(tag.tune_id)
    except TuneNotFoundError:
        # A title may be a number, too; the id comes first.
        by_title = store.find(tag.ref)
        if by_title is None:
            raise
        return by_title
