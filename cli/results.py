"""The pictures of a run as files: PNGs with their settings, and the contact sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.engines.engine import Drawn, Picture
from ..faceid_core.errors import FaceIDError, FacePackError
from ..faceid_core.prompts import Prompt, Settings, resolve
from ..faceid_core.prompts.defaults import SD15_RESOLUTION

if TYPE_CHECKING:
    import numpy as np

    from ..faceid_core.faces import FacePack, Faces
    from ..faceid_core.faces.likeness import Likeness
    from ..faceid_core.pictures.contact_sheet import Frame
    from ..faceid_core.tunes.store import TuneStore
    from ..faceid_core.tunes.tune import Tune

PLACEHOLDER_WARNING = "PLACEHOLDER WEIGHTS: random values, so this is noise and shows no person"
_CONDITIONED_TOO = "which also conditioned the pictures, so the likeness is overestimated"


@dataclass(frozen=True)
class Recognisers:
    """packs: the packs to measure with, not empty; conditioned_space: the space of the pictures' embeddings."""

    packs: tuple[FacePack, ...]
    conditioned_space: str


@dataclass(frozen=True)
class Provenance:
    """The source of pictures.

    placeholder: drawn with random weights; every file says so. steps, lines: what was done before, for the sheet:
    beside the pictures, and below them.
    """

    prompt: Prompt
    engine: str
    recognisers: Recognisers
    placeholder: bool = False
    steps: tuple[Frame, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        return "placeholder" if self.placeholder else "faceid"


@dataclass(frozen=True, eq=False)
class _Measure:
    """The recogniser that measures likeness, and the people.

    conditioned_too: this recogniser also conditioned the pictures and overestimates the likeness; people: titles and
    faces.
    """

    pack: FacePack
    conditioned_too: bool
    people: tuple[tuple[str, Faces], ...]

    def of(self, pixels: np.ndarray) -> tuple[tuple[str, Likeness], ...]:
        from ..faceid_core.faces.likeness import measure_likeness

        return tuple((title, measure_likeness(pixels, faces, self.pack)) for title, faces in self.people)

    def __str__(self) -> str:
        return f"{self.pack.name} ({self.pack.space}){f', {_CONDITIONED_TOO}' if self.conditioned_too else ''}"


def save_results(folder: Path, made: Provenance, drawn: Drawn, store: TuneStore) -> Iterator[str]:
    """Write every picture, the contact sheet and, of several photos or pictures, the similarity plot into ``folder``.

    Yields a line for each. If a pack or photo cannot be read, its likeness is missing, never a picture.

    Raises:
        FaceIDError: a file cannot be written.
    """
    from ..faceid_core.pictures.contact_sheet import Frame, contact_sheet, describe_likeness
    from ..faceid_core.pictures.png import save_png
    from ..faceid_core.tunes.refs import tunes_by_ref

    tunes = list({tune.id: tune for tune in tunes_by_ref(store, made.prompt.parsed).values()}.values())
    notes: list[str] = []
    measure = _measure(made.recognisers, tunes, store, notes)
    photos = [frame for tune in tunes for frame in _photo_frames(tune, store, notes)]
    yield from (f"note: {note}" for note in notes)
    if measure.people:
        yield f"likeness by {measure}"
    told = {"notes": [*drawn.notes, *notes], "photos": {tune.title: list(tune.notes) for tune in tunes if tune.notes}}
    said = {name: value for name, value in told.items() if value}
    first = last = _next_number(folder, made.prefix)
    results: list[Frame] = []
    for picture in drawn.pictures:
        found = measure.of(picture.pixels)
        names = (folder / f"{made.prefix}_{number:05}.png" for number in count(last))
        path = save_png(names, picture.pixels, _texts(made, picture, measure, found, said))
        number = int(path.stem.rpartition("_")[2])  # others may write here at the same time
        first, last = number if not results else first, number + 1
        yield "  ".join([str(path), *(describe_likeness(*each) for each in found)])
        label = f"picture {len(results) + 1}" if picture.seed is None else f"seed {picture.seed}"
        results.append(Frame(picture.pixels, label, found))
    warning = PLACEHOLDER_WARNING if made.placeholder else ""
    sheets = {"sheet": contact_sheet([*(made.steps or photos), *results], warning, made.lines)}
    if photos and len(photos) + len(results) > 2:
        sheets["likeness"] = _plot(photos, results, measure)
    for name, pixels in sheets.items():
        stem = f"{made.prefix}_{first:05}_{name}"
        names = (folder / f"{stem}{'' if number == 1 else f'_{number}'}.png" for number in count(1))
        yield str(save_png(names, pixels, _about(made, **said)))


def _measure(recognisers: Recognisers, tunes: Sequence[Tune], store: TuneStore, notes: list[str]) -> _Measure:
    """The recogniser to measure with, if possible not the one that conditioned, and the tunes' people."""
    from ..faceid_core.faces.likeness import measuring_pack
    from ..faceid_core.faces.models import load_models
    from ..faceid_core.faces.packs import embedded_pack
    from ..faceid_core.tunes.faces import faces_of

    pack = measuring_pack(recognisers.conditioned_space, recognisers.packs)
    try:
        load_models(pack)
    except FacePackError as error:
        pack = embedded_pack()
        notes.append(f"{error} The likeness is measured with {pack.name} instead.")
    people = []
    for tune in tunes:
        try:
            people.append((tune.title, faces_of(tune, store, pack)))
        except FaceIDError as error:
            notes.append(f"no likeness to {tune.title!r}: {error}")
    return _Measure(pack, pack.space == recognisers.conditioned_space, tuple(people))


def _photo_frames(tune: Tune, store: TuneStore, notes: list[str]) -> Iterator[Frame]:
    from ..faceid_core.faces import read_photo
    from ..faceid_core.pictures.contact_sheet import Frame

    for number, photo in enumerate(tune.photos, 1):
        try:
            pixels = read_photo(store.photo_bytes(tune, photo))
        except FaceIDError as error:
            notes.append(f"photo {number} of {tune.title!r} is not shown: {error}")
            continue
        yield Frame(pixels, f"{tune.title}, photo {number}", is_photo=True)


def _plot(photos: Sequence[Frame], results: Sequence[Frame], measure: _Measure) -> np.ndarray:
    from ..faceid_core.faces.likeness import likeness_matrix
    from ..faceid_core.pictures.similarity_plot import similarity_plot

    matrix = likeness_matrix([photo.pixels for photo in photos], [result.pixels for result in results], measure.pack)
    return similarity_plot(photos, results, matrix, f"Likeness by {measure}")


def _texts(
    made: Provenance,
    picture: Picture,
    measure: _Measure,
    found: Sequence[tuple[str, Likeness]],
    said: Mapping[str, object],
) -> dict[str, str]:
    """``parameters`` in the form that other programs write and read, and ``faceid``, everything as JSON.

    ``said`` is what a person was told of this run: doubts about who it is above all.
    """
    settings = resolve(made.prompt, SD15_RESOLUTION)
    width, height = _sampled_size(made.prompt, settings, picture)
    negative = f"\nNegative prompt: {made.prompt.negative_prompt}" if made.prompt.negative_prompt else ""
    seed = "" if picture.seed is None else f", Seed: {picture.seed}"
    parameters = (
        f"{made.prompt.text}{negative}\nSteps: {settings.steps}, Sampler: {settings.scheduler.name}, "
        f"CFG scale: {settings.cfg_scale:g}{seed}, Size: {width}x{height}"
    )
    likeness = {
        title: {"cosine": one.cosine and round(one.cosine, 4), "verdict": one.verdict.value} for title, one in found
    }
    measured = {
        "face_pack": measure.pack.name,
        "embedding_space": measure.pack.space,
        "conditioned_too": measure.conditioned_too,
    }
    return {
        "parameters": parameters,
        **_about(made, seed=picture.seed, likeness=likeness, measured_with=measured, **said),
    }


def _sampled_size(prompt: Prompt, settings: Settings, picture: Picture) -> tuple[int, int]:
    """The width and height that draw this picture again: its size before super_resolution."""
    from ..faceid_core.retouch.by_prompt import UPSCALE

    height, width = picture.pixels.shape[:2]
    enlarged = (settings.width * UPSCALE, settings.height * UPSCALE)
    if prompt.super_resolution and (width, height) == enlarged:
        return settings.width, settings.height
    return width, height


def _about(made: Provenance, **more: object) -> dict[str, str]:
    asked = {field.name: getattr(made.prompt, field.name) for field in fields(made.prompt)}
    said = {name: value for name, value in asked.items() if value and not isinstance(value, bytes)}
    about = {
        "prompt": said,
        "engine": made.engine,
        **more,
    }
    if made.placeholder:
        about["placeholder_weights"] = True
    return {"faceid": json.dumps(about, ensure_ascii=False)}


def _next_number(folder: Path, prefix: str) -> int:
    pattern = re.compile(rf"{prefix}_(\d+)")
    return 1 + max((int(found[1]) for path in folder.iterdir() if (found := pattern.match(path.name))), default=0)
