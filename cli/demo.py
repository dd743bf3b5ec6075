"""``faceid demo``: all steps from a photo to a picture, with a photo from this package.

With the real weights, installed or downloaded now, it draws a picture; without them, the same steps use random values.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from ..faceid_core.example_photo import EXAMPLE_PHOTO
from ..faceid_core.faces.packs import BUFFALO_L, embedded_pack, list_packs
from ..faceid_core.prompts import Prompt, resolve
from ..faceid_core.prompts.defaults import SD15_RESOLUTION
from .engines import embedded_models, model_roots
from .generate import draw_and_save

if TYPE_CHECKING:
    from ..faceid_core.engines.embedded import EmbeddedModels
    from ..faceid_core.pictures.contact_sheet import Frame

TITLE, NAME = "Eileen Collins", "woman"
TEXT = f"<faceid:{TITLE}:1> {NAME} trekking in the alps"

_PLACEHOLDER_SIDE, _PLACEHOLDER_STEPS = 256, 4  # enough for noise
_GROUP = "generate"


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("demo", help="draw from a photo of this package; needs no model and no ComfyUI")
    parser.add_argument("--output", type=Path, default=Path("faceid-demo"), metavar="DIR", help="where the pictures go")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="a ComfyUI folder, or one laid out as its models folder"
    )
    parser.add_argument(
        "--accept-license", action="append", default=[], metavar="ID", help="download what is missing, without asking"
    )
    parser.set_defaults(run=_demo, checkpoint=None, adapter=None)


def _demo(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.engines.embedded import DiffusersEngine
    from ..faceid_core.pictures.png import writable_folder
    from ..faceid_core.tunes.create import create_tune
    from ..faceid_core.tunes.store import open_store
    from .results import Recognisers

    folder = writable_folder(options.output)
    models = _real_models(options)
    if models is None and (sys.stdin.isatty() or options.accept_license):
        yield from _fetch(options)
        models = _real_models(options)
    with TemporaryDirectory(prefix="faceid-demo-") as home, open_store(Path(home)) as store:
        create_tune(store, [EXAMPLE_PHOTO.read_bytes()], TITLE, NAME, models.pack if models else embedded_pack())
        if models is not None:
            packs = tuple(list_packs(model_roots(options).of("insightface")))
            recognisers = Recognisers(packs, models.pack.space)
            yield from draw_and_save(DiffusersEngine(models), Prompt(TEXT), store, folder, recognisers)
            return
        yield "PLACEHOLDER WEIGHTS: every step runs, but with random values. The picture will be noise."
        prompt = Prompt(TEXT, steps=_PLACEHOLDER_STEPS, w=_PLACEHOLDER_SIDE, h=_PLACEHOLDER_SIDE)
        shown = {"placeholder": True, "steps": tuple(_steps()), "lines": tuple(_lines(options, prompt))}
        with _placeholder_models() as models:
            engine = DiffusersEngine(models, preview=True)
            recognisers = Recognisers((models.pack,), models.pack.space)
            yield from draw_and_save(engine, prompt, store, folder, recognisers, **shown)
        yield f"For a picture of her: `faceid weights fetch --for {_GROUP}`, then `faceid demo` again."


def _steps() -> Iterator[Frame]:
    """What was done with the photo: the face that was found, its crop, and that another print is the same person."""
    import numpy as np

    from ..faceid_core.faces import read_photo
    from ..faceid_core.faces.annotated import annotated_photos
    from ..faceid_core.faces.extract import choose_faces, find_faces
    from ..faceid_core.faces.likeness import measure_likeness
    from ..faceid_core.pictures.contact_sheet import Frame

    photo, pack = read_photo(EXAMPLE_PHOTO), embedded_pack()
    found = find_faces([photo], pack)
    faces = choose_faces(found, "largest")
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    [face], [annotated] = faces.faces, annotated_photos([photo], found, faces)
    yield Frame(annotated, f"1  A face is found: score {face.score:.2f}", is_photo=True)
    yield Frame(face.crop, "2  Upright and cut out: who is it?", is_photo=True)
    likeness = ((TITLE, measure_likeness(mirrored, faces, pack)),)
    yield Frame(mirrored, "3  The photo mirrored", likeness, is_photo=True)


def _lines(options: argparse.Namespace, prompt: Prompt) -> Iterator[str]:
    """The prompt, its settings, what each missing model would add, and the command for a real picture."""
    from ..faceid_core.doctor.models import models

    settings = resolve(prompt, SD15_RESOLUTION)
    yield f"Prompt: {prompt.text}"
    [seed] = settings.seeds
    yield f"Settings: {settings.steps} steps of {settings.scheduler.name}, cfg {settings.cfg_scale:g}, seed {seed}"
    yield ""
    yield "Models that are not here, and what they are for:"
    yield from (f"   {finding.said}" for finding in models(model_roots(options)) if finding.fetch)
    yield ""
    yield f"For a picture of her:  faceid weights fetch --for {_GROUP}   then   faceid demo"


def _real_models(options: argparse.Namespace) -> EmbeddedModels | None:
    """The real weights, if everything that a likeness needs is installed."""
    try:
        models = embedded_models(options)
    except FaceIDError:
        return None
    return models if models.pack.name == BUFFALO_L else None


def _fetch(options: argparse.Namespace) -> Iterator[str]:
    """Download what a picture needs, as far as licences and network allow; yields what prevented it."""
    from ..faceid_core.weights.errors import WeightsError
    from ..faceid_core.weights.fetch import fetch_each
    from ..faceid_core.weights.manifest import files_for
    from .weights import asking, tell

    try:
        for fetched in fetch_each(files_for(_GROUP), model_roots(options), asking(options.accept_license), tell=tell):
            yield str(fetched.path)
    except WeightsError as error:
        yield f"No real weights: {error}"


@contextmanager
def _placeholder_models() -> Iterator[EmbeddedModels]:
    """Random weights in files, removed afterwards: 2.2 GB in the cache folder, because /tmp may be in memory."""
    from ..faceid_core.engines.embedded import EmbeddedModels

    with _scratch_folder() as folder:
        yield EmbeddedModels(*_written_placeholders(folder), embedded_pack())


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    import platformdirs

    from ..faceid_core.weights.placeholder import PLACEHOLDER_BYTES

    cache = platformdirs.user_cache_path("faceid-tunes", appauthor=False)
    with ExitStack() as stack:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="placeholder-", dir=cache)))
            free = shutil.disk_usage(cache).free
        except OSError as error:
            raise FaceIDError(f"{cache}: cannot be written to ({error.strerror or error}).") from error
        if free < PLACEHOLDER_BYTES:
            raise FaceIDError(
                f"{cache}: {free / 1e9:.1f} GB are free, but the placeholder weights need "
                f"{PLACEHOLDER_BYTES / 1e9:.1f} GB while the demo runs. Free space there."
            )
        yield folder


def _written_placeholders(folder: Path) -> tuple[Path, Path]:
    """A checkpoint and an adapter of random values."""
    from ..faceid_core.weights.placeholder import write_placeholder_adapter, write_placeholder_checkpoint
    from .progress import Bars

    checkpoint = folder / "placeholder_sd15.safetensors"
    adapter = folder / "placeholder_faceid_sd15.safetensors"
    try:
        with Bars() as bars:
            write_placeholder_checkpoint(checkpoint, partial(bars, "making a checkpoint"))
            write_placeholder_adapter(adapter, partial(bars, "making an adapter"))
    except OSError as error:
        raise FaceIDError(
            f"{folder}: the placeholder weights cannot be written ({error.strerror or error})."
        ) from error
    return checkpoint, adapter
