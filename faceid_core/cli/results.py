"""Pictures of a run as files: PNGs that say how they were made, and the contact sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..engines.engine import Drawn, Picture
from ..errors import NoFaceError
from ..prompts import Prompt, resolve
from ..prompts.defaults import SD15_RESOLUTION

if TYPE_CHECKING:
    from ..faces import Faces
    from ..pictures.contact_sheet import Frame
    from ..tunes.store import TuneStore
    from ..tunes.tune import Tune

PLACEHOLDER_WARNING = "PLACEHOLDER WEIGHTS: random values, so this is noise and shows nobody"


@dataclass(frozen=True)
class Run:
    """What was asked of which engine. ``placeholder``: it drew with random weights, which every file will say."""

    prompt: Prompt
    engine: str
    placeholder: bool = False

    @property
    def prefix(self) -> str:
        return "placeholder" if self.placeholder else "faceid"


def save_results(folder: Path, run: Run, drawn: Drawn, store: TuneStore) -> Iterator[str]:
    """Write every picture and the contact sheet into ``folder``; yields a line about each.

    Raises:
        FaceIDError: a file cannot be written.
    """
    from ..pictures.contact_sheet import Frame, contact_sheet, describe_likeness
    from ..pictures.png import save_png
    from ..tunes.refs import tunes_by_ref

    tunes = list({tune.id: tune for tune in tunes_by_ref(store, run.prompt.parsed).values()}.values())
    people = [(tune, faces) for tune in tunes if (faces := _comparable_faces(tune, store)) is not None]
    first = _next_number(folder, run.prefix)
    frames = [frame for tune in tunes for frame in _photo_frames(tune, store)]
    for number, picture in enumerate(drawn.pictures, first):
        scores = tuple((tune.title, _likeness(picture, faces)) for tune, faces in people)
        path = folder / f"{run.prefix}_{number:05}.png"
        save_png(path, picture.pixels, _texts(run, picture, scores))
        yield "  ".join([str(path), *(describe_likeness(*score) for score in scores)])
        frames.append(Frame(picture.pixels, f"seed {picture.seed}", scores))
    path = folder / f"{run.prefix}_{first:05}_sheet.png"
    save_png(path, contact_sheet(frames, PLACEHOLDER_WARNING if run.placeholder else ""), _about(run))
    yield str(path)


def _comparable_faces(tune: Tune, store: TuneStore) -> Faces | None:
    """The tune's faces as the embedded pack reads them: a recogniser other than the one that conditions the picture."""
    from ..faces.packs import embedded_pack
    from ..tunes.create import faces_of

    try:
        return faces_of(tune, store, embedded_pack())
    except NoFaceError:
        return None


def _likeness(picture: Picture, faces: Faces) -> float | None:
    from ..faces.likeness import likeness
    from ..faces.packs import embedded_pack

    return likeness(picture.pixels, faces, embedded_pack())


def _photo_frames(tune: Tune, store: TuneStore) -> Iterator[Frame]:
    from ..faces import read_photo
    from ..pictures.contact_sheet import Frame

    for number, photo in enumerate(tune.photos, 1):
        yield Frame(read_photo(store.photo_bytes(tune, photo)), f"{tune.title}, photo {number}", is_photo=True)


def _texts(run: Run, picture: Picture, scores: Sequence[tuple[str, float | None]]) -> dict[str, str]:
    """``parameters`` as other programs write and read it, and ``faceid``, complete, as JSON."""
    settings = resolve(run.prompt, SD15_RESOLUTION)
    height, width = picture.pixels.shape[:2]
    negative = f"\nNegative prompt: {run.prompt.negative_prompt}" if run.prompt.negative_prompt else ""
    parameters = (
        f"{run.prompt.text}{negative}\nSteps: {settings.steps}, Sampler: {settings.scheduler.name}, "
        f"CFG scale: {settings.cfg_scale:g}, Seed: {picture.seed}, Size: {width}x{height}"
    )
    about = _about(run, seed=picture.seed, likeness={name: cosine and round(cosine, 4) for name, cosine in scores})
    return {"parameters": parameters, **about}


def _about(run: Run, **more: object) -> dict[str, str]:
    asked = {field.name: getattr(run.prompt, field.name) for field in fields(run.prompt)}
    said = {name: value for name, value in asked.items() if value and not isinstance(value, bytes)}
    about = {"prompt": said, "engine": run.engine, **more}
    if run.placeholder:
        about["placeholder_weights"] = True
    return {"faceid": json.dumps(about, ensure_ascii=False)}


def _next_number(folder: Path, prefix: str) -> int:
    pattern = re.compile(rf"{prefix}_(\d+)")
    return 1 + max((int(found[1]) for path in folder.iterdir() if (found := pattern.match(path.name))), default=0)
