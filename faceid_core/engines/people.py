"""The people a prompt's tags name, with the faces its adapter understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adapter.model import Adapter
from ..adapter.tokens import check_embedding_space
from ..errors import AdapterError, NoFaceError, UnclearPersonError
from ..faces import FacePack, Faces
from ..prompts import Prompt, Tag
from ..prompts.errors import error_at
from ..tunes.refs import named_tune

if TYPE_CHECKING:
    from ..tunes.store import TuneStore
    from ..tunes.tune import Tune


@dataclass(frozen=True, eq=False)
class TaggedPerson:
    """A ``<faceid:REF:STRENGTH>`` tag, the title of the tune it names, and that tune's faces."""

    tag: Tag
    title: str
    faces: Faces


def tagged_people(
    prompt: Prompt,
    store: TuneStore,
    adapter: Adapter,
    pack: FacePack,
    *,
    preview: bool,
    on_photo: Callable[[int, int], None] | None = None,
) -> Iterator[TaggedPerson]:
    """The person of each face tag, in the order of the text.

    Args:
        preview: allow faces of another embedding space than the adapter's; the likeness is meaningless then.
        on_photo: called (done, total) for each photo whose face has to be found.

    Raises:
        PromptError: a tag names no tune, or its tune has no face that the pack finds or the adapter understands;
            points at the tag.
    """
    for tag in prompt.parsed.faces:
        tune, faces = person_of_tag(prompt, tag, store, pack, on_photo)
        try:
            check_embedding_space(adapter, faces, preview=preview)
        except AdapterError as error:
            problem = f"{tag.ref!r} has no face that {adapter.name} understands"
            raise error_at(prompt.text, tag.start, problem, str(error)) from error
        yield TaggedPerson(tag, tune.title, faces)


def person_of_tag(
    prompt: Prompt, tag: Tag, store: TuneStore, pack: FacePack, on_photo: Callable[[int, int], None] | None = None
) -> tuple[Tune, Faces]:
    """The tune that a face tag of the prompt names, and its faces as ``pack`` reads them.

    Raises:
        PromptError: there is no such tune, or the pack finds no face in it; points at the tag.
    """
    from ..tunes.faces import faces_of

    tune = named_tune(store, tag, prompt.text)
    try:
        return tune, faces_of(tune, store, pack, on_photo)
    except UnclearPersonError as error:
        raise error_at(prompt.text, tag.start, f"it is not clear who tune {tune.title!r} is", str(error)) from error
    except NoFaceError as error:
        problem = f"tune {tune.title!r} has no face that the pack {pack.name} finds"
        raise error_at(prompt.text, tag.start, problem, str(error)) from error
