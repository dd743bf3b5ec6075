"""The model files: what drawing a person needs, and what each other one would add."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from ..adapter.model import READER
from ..adapter.variants import AdapterSpec, detect
from ..errors import FaceIDError
from ..faces.packs import BUFFALO_L, list_packs
from ..model_files.model_file import open_model_file
from ..retouch.preferred import FACE_PACKS, preferred
from ..weights.check import State, look
from ..weights.folders import ModelFolders
from ..weights.manifest import PublishedFile, files_for, manifest, model_file
from .finding import Finding, Level

DRAWING, MORE = "To draw a person", "More"


def models(folders: ModelFolders) -> Iterator[Finding]:
    """What is needed, what can be added, and what is not what its name says."""
    yield from _packs(folders)
    specs = yield from _adapters(folders)
    yield from _image_encoder(folders, specs)
    yield _any(DRAWING, folders.files("checkpoints"), "checkpoints", "generate", Level.PROBLEM, "realistic-vision-5.1")
    swappers, restorers, parsers = preferred(folders.files)
    yield _any(MORE, swappers, "face swapper: --face_swap", "face-swap")
    yield _any(MORE, restorers, "restorer: --face_correct", "face-correct")
    yield _any(MORE, parsers, "face parser: hands and hair stay in front of a face", "face-mask")
    yield _any(MORE, folders.files("upscale_models"), "upscaler: --super_resolution", "super-resolution")
    yield _any(MORE, _lcm(folders), "LCM LoRA: pictures in 4 to 8 steps", "lcm-sd15")
    for entry in manifest():
        check = look(entry, folders)
        if check.state in (State.DAMAGED, State.DIFFERS):
            level = Level.PROBLEM if check.state is State.DAMAGED else Level.MISSING
            remedy = f"Delete it and fetch it again: {_fetch(entry.id)}." if check.state is State.DAMAGED else ""
            yield Finding(DRAWING, level, f"{check.path}: {check.detail}", remedy, (entry.id,))


def _packs(folders: ModelFolders) -> Iterator[Finding]:
    names = [pack.name for pack in list_packs(folders.of(FACE_PACKS))]
    if BUFFALO_L in names:
        yield Finding(DRAWING, Level.GOOD, f"Face packs: {', '.join(names)}.")
        return
    yield Finding(
        DRAWING,
        Level.PROBLEM,
        f"The face pack buffalo_l is missing ({', '.join(names)} is here): FaceID models know people by it.",
        f"{_fetch('buffalo_l-detector', 'buffalo_l-recogniser')} (non-commercial)",
        ("buffalo_l-detector", "buffalo_l-recogniser"),
    )


def _adapters(folders: ModelFolders) -> Generator[Finding, None, list[AdapterSpec]]:
    """Returns what the adapters are."""
    specs: list[AdapterSpec] = []
    for file in folders.files("ipadapter"):
        try:
            specs.append(detect(open_model_file(file, READER)))
        except FaceIDError as error:
            yield Finding(DRAWING, Level.MISSING, str(error))
            continue
        yield Finding(DRAWING, Level.GOOD, f"Adapter {file.name}: {specs[-1].title}.")
    if not specs:
        yield Finding(
            DRAWING,
            Level.PROBLEM,
            f"There is no FaceID model in {' or '.join(map(str, folders.of('ipadapter')))}.",
            f"{_fetch('plusv2-sd15')} (non-commercial)",
            ("plusv2-sd15",),
        )
    return specs


def _image_encoder(folders: ModelFolders, specs: list[AdapterSpec]) -> Iterator[Finding]:
    encoder = folders.find(model_file("clip-vit-h"))
    if encoder is not None:
        yield Finding(DRAWING, Level.GOOD, f"CLIP vision {encoder.name}.")
    elif specs:
        needing = sorted({spec.title for spec in specs if spec.variant.uses_clip})
        level = Level.PROBLEM if len(needing) == len({spec.title for spec in specs}) else Level.MISSING
        said = f"CLIP vision ViT-H is missing; {' and '.join(needing) or 'FaceID Plus'} needs it."
        yield Finding(DRAWING, level, said, _fetch("clip-vit-h"), ("clip-vit-h",))


def _lcm(folders: ModelFolders) -> list[Path]:
    entries = [entry for group in ("lcm-sd15", "lcm-sdxl") for entry in files_for(group)]
    return [found for entry in entries if (found := folders.find(entry))]


def _any(
    area: str, found: list[Path], what: str, group: str, level: Level = Level.MISSING, first: str | None = None
) -> Finding:
    """Whether there is one of a kind; what the manifest has of it mends it."""
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return Finding(area, Level.GOOD, f"{what[0].upper()}{what[1:]}: {found[0].name}{more}.")
    ids = (first,) if first else tuple(entry.id for entry in _of_its_own(group))
    return Finding(area, level, f"No {what}.", _fetch(*ids), ids)


def _of_its_own(group: str) -> list[PublishedFile]:
    """The files of a group but for its face pack."""
    return [entry for entry in files_for(group) if not entry.id.startswith(BUFFALO_L)]


def _fetch(*ids: str) -> str:
    return f"faceid weights fetch {' '.join(ids)}"
