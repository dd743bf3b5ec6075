"""``faceid generate PHOTO... --text TEXT``: pictures of a person from photos and a text."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..faceid_core.errors import FaceIDError
from ..faceid_core.faces.packs import list_packs
from ..faceid_core.prompts import RETOUCH_SWITCHES, SCHEDULERS, SWITCHES, Prompt, lint, parse
from ..faceid_core.prompts.prompt import (
    ASPECT_RATIOS,
    COLOR_GRADINGS,
    MAX_CFG_SCALE,
    MAX_IMAGES,
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    STYLES,
)
from .engines import add_engine_options, chosen_engine, face_pack, model_roots
from .home import add_home_option, opened_store, photo_bytes
from .photo_options import remark_lines

if TYPE_CHECKING:
    from ..faceid_core.engines.engine import Engine
    from ..faceid_core.tunes.store import TuneStore
    from ..faceid_core.tunes.tune import Tune
    from .results import Recognisers

_NUMBERS: dict[str, tuple[type, str]] = {
    "num_images": (int, f"how many pictures, up to {MAX_IMAGES}; default: 1"),
    "seed": (int, "picture i is drawn with seed + i; default: 42"),
    "steps": (int, f"up to {MAX_STEPS}; default: 30, or 6 with lcm"),
    "cfg_scale": (float, f"0 to {MAX_CFG_SCALE}; default: 3 with a person, 7.5 without, 1.5 with lcm"),
    "w": (int, f"width in pixels, {MIN_SIDE} to {MAX_SIDE}; default: from the aspect ratio"),
    "h": (int, f"height in pixels, {MIN_SIDE} to {MAX_SIDE}; default: from the aspect ratio"),
}
_CHOICES = {
    "scheduler": tuple(SCHEDULERS),
    "aspect_ratio": ASPECT_RATIOS,
    "style": STYLES,
    "color_grading": COLOR_GRADINGS,
}


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("generate", help="draw a person from photos and a text")
    parser.add_argument(
        "photos", nargs="*", type=Path, metavar="PHOTO", help="none: the text names people who are stored already"
    )
    parser.add_argument("--text", required=True, help="for example '<faceid:me:1> woman trekking in the alps'")
    parser.add_argument("--title", help="the title to store the person under; default: the one in the text's tag")
    parser.add_argument("--name", default="person", help="what the person is: man, woman, person, ...")
    parser.add_argument(
        "--output", type=Path, default=Path("faceid-pictures"), metavar="DIR", help="where the pictures go"
    )
    add_home_option(parser)
    _add_prompt_options(parser.add_argument_group("prompt"))
    add_engine_options(parser)
    parser.set_defaults(run=_generate)


def _add_prompt_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--negative-prompt", default="", metavar="TEXT", help="what the picture must not show")
    for name, (kind, does) in _NUMBERS.items():
        group.add_argument(_option(name), type=kind, metavar="N", help=does)
    for name, choices in _CHOICES.items():
        group.add_argument(_option(name), choices=choices, metavar="NAME", help=", ".join(choices))
    for name in RETOUCH_SWITCHES:
        group.add_argument(_option(name), action="store_true", help=SWITCHES[name])


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


def _generate(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.pictures.png import writable_folder

    folder = writable_folder(options.output)
    with opened_store(options) as store:
        text = options.text
        if options.photos:
            tune = _kept_person(options, store)
            yield f"{tune.title} is <faceid:{tune.id}:1>"
            yield from remark_lines(tune)
            text = _naming(text, tune)
        prompt = _prompt(options, text)
        yield from draw_and_save(chosen_engine(options), prompt, store, folder, _recognisers(options))


def draw_and_save(
    engine: Engine,
    prompt: Prompt,
    store: TuneStore,
    folder: Path,
    recognisers: Recognisers,
    **shown: Any,
) -> Iterator[str]:
    """Draw with progress bars and write everything into ``folder``; yields lines for the user.

    ``shown``: fields of ``results.Provenance``.
    """
    from ..faceid_core.tunes.refs import double_meanings, tunes_by_ref
    from .progress import Bars
    from .results import Provenance, save_results

    yield from (f"advice: {found.message}" for found in lint(prompt, tunes_by_ref(store, prompt.parsed)))
    yield from (f"advice: {sentence}" for sentence in double_meanings(store, prompt.parsed))
    yield f"drawing with {engine.name}"
    with Bars() as bars:
        drawn = engine.draw(prompt, store, bars)
    yield from (f"note: {note}" for note in drawn.notes)
    yield from save_results(folder, Provenance(prompt, engine.name, recognisers, **shown), drawn, store)
    drawn.delivered()


def _recognisers(options: argparse.Namespace) -> Recognisers:
    """The face packs here. But for a preview, every engine draws from faces of its adapter's embedding space."""
    from ..faceid_core.adapter.variants import Variant
    from .results import Recognisers

    folders = model_roots(options)
    conditioned_space = face_pack(folders).space if options.preview else Variant.FACEID.space
    return Recognisers(tuple(list_packs(folders.of("insightface"))), conditioned_space)


def _kept_person(options: argparse.Namespace, store: TuneStore) -> Tune:
    """The tune of the photos, created or found again. Never another person's of the same title."""
    from ..faceid_core.pictures.candidates import candidates_shown
    from ..faceid_core.tunes.create import create_tune
    from .progress import Bars

    photos = [photo_bytes(path) for path in options.photos]
    title = options.title or _title_in(options.text, store)
    with Bars() as bars, candidates_shown(Path()):
        return create_tune(
            store,
            photos,
            title,
            options.name,
            face_pack(model_roots(options)),
            on_photo=lambda done, total: bars("finding faces", done, total),
        )


def _title_in(text: str, store: TuneStore) -> str:
    """The title in the photos' tag: the first tag without a tune, else the first tag; "me" without a tag."""
    titles = [tag.ref for tag in parse(text).faces if tag.tune_id is None]
    if not titles and parse(text).faces:
        raise FaceIDError("The text names tunes by number only: give the photos a title with --title.")
    unknown = [title for title in titles if store.find(title) is None]
    return (unknown or titles or ["me"])[0]


def _naming(text: str, tune: Tune) -> str:
    from ..faceid_core.tunes.refs import with_tune

    return text if parse(text).faces else with_tune(text, tune)


def _prompt(options: argparse.Namespace, text: str) -> Prompt:
    given = {name: getattr(options, name) for name in (*_NUMBERS, *_CHOICES)}
    given = {name: value for name, value in given.items() if value is not None}
    switches = {name: getattr(options, name) for name in RETOUCH_SWITCHES}
    return Prompt(text, options.negative_prompt, **given, **switches)
