"""``faceid swap PICTURE... --tune TITLE``: kept people painted over the faces of pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from .engines import face_pack, model_roots
from .home import add_home_option, opened_store, photo_bytes
from .photo_options import tune_named

if TYPE_CHECKING:
    import numpy as np

    from ..faceid_core.faces import FacePack
    from ..faceid_core.retouch import Parse, Swapper, Target
    from ..faceid_core.weights.folders import ModelFolders


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("swap", help="paint kept people over the faces of pictures")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="where to paint faces")
    parser.add_argument(
        "--tune", action="append", required=True, metavar="ID_OR_TITLE", help="whom to paint; several for several faces"
    )
    parser.add_argument(
        "--onto",
        action="append",
        default=[],
        metavar="WHERE",
        help="of the tunes in their order: a photo of whose face it is, a number from 0 from left to right, or "
        "largest, central, leftmost, rightmost; none: the face most like the person",
    )
    parser.add_argument("--output", type=Path, default=Path("faceid-pictures"), metavar="DIR", help="for the results")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="a ComfyUI folder, or one laid out as its models folder"
    )
    parser.add_argument(
        "--preview", action="store_true", help="swap although buffalo_l is missing; the picture shows another person"
    )
    add_home_option(parser)
    parser.set_defaults(run=_swap)


def _swap(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.faces import describe_doubts
    from ..faceid_core.pictures.png import save_png, writable_folder
    from ..faceid_core.retouch import shape_note, swap_faces
    from ..faceid_core.tunes.faces import faces_of

    folder, folders = writable_folder(options.output), model_roots(options)
    pack = face_pack(folders)
    targets = _targets(options, pack)
    swapper, parse = _models(folders)
    with opened_store(options) as store:
        tunes = [tune_named(store, ref) for ref in options.tune]
        people = [faces_of(tune, store, pack) for tune in tunes]
    about = [
        f"{tune.title}: {doubt}" for tune, one in zip(tunes, people, strict=True) for doubt in describe_doubts(one)
    ]
    about += [remark for target in targets if target for remark in target.remarks]
    about.append(shape_note(parse))
    yield from (f"note: {note}" for note in about)
    for path in options.pictures:
        colours, transparency = _read(path)
        done = swap_faces(colours, people, swapper, pack, targets=targets, preview=options.preview, parse=parse)
        yield from (f"note: {path}: {note}" for note in done.notes)
        if done.picture is colours:
            yield f"{path}: not changed, nothing written"
            continue
        said = {"swap": [tune.title for tune in tunes], "swapper": swapper.name, "notes": [*about, *done.notes]}
        about_it = {"faceid": json.dumps(said, ensure_ascii=False)}
        yield str(save_png(_names(folder, path.stem), _joined(done.picture, transparency), about_it))


def _targets(options: argparse.Namespace, pack: FacePack) -> tuple[Target | None, ...]:
    from ..faceid_core.faces import read_photo
    from ..faceid_core.retouch import place_target, reference_target

    if len(options.onto) > len(options.tune):
        raise FaceIDError(f"--onto: {len(options.onto)} for {len(options.tune)} people; give one for each --tune.")
    targets: list[Target | None] = [None] * len(options.tune)
    for number, where in enumerate(options.onto):
        is_photo = Path(where).is_file()
        photo = [read_photo(photo_bytes(Path(where)))] if is_photo else []
        targets[number] = reference_target(photo, pack, f"--onto {where}") if is_photo else place_target(where)
    return tuple(targets)


def _models(folders: ModelFolders) -> tuple[Swapper, Parse | None]:
    from ..faceid_core.retouch import load_swapper, parsing
    from ..faceid_core.retouch.preferred import PARSER_FOLDERS, SWAPPER_FOLDERS, preferred_parsers, preferred_swappers

    swappers = preferred_swappers({key: folders.files(key) for key in SWAPPER_FOLDERS})
    if not swappers:
        raise FaceIDError("There is no swapper in the models folder: faceid weights fetch --for face-swap gets one.")
    parsers = preferred_parsers(file for key in PARSER_FOLDERS for file in folders.files(key))
    return load_swapper(swappers[0]), parsing(next(iter(parsers), None), lambda parser: None)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The colours of a picture, [H, W, 3], as they are stored, and its transparency, [H, W], if it has any."""
    import io

    import numpy as np
    from PIL import Image

    from ..faceid_core.faces import read_photo

    data = photo_bytes(path)
    opaque = read_photo(data)  # refuses what is no picture
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode != "RGBA" or picture.size != opaque.shape[1::-1]:
            return opaque, None
        pixels = np.array(picture)
    return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3]


def _joined(colours: np.ndarray, transparency: np.ndarray | None) -> np.ndarray:
    import numpy as np

    return colours if transparency is None else np.dstack([colours, transparency])


def _names(folder: Path, stem: str) -> Iterator[Path]:
    return (folder / f"{stem}_swapped{'' if number == 1 else f'_{number}'}.png" for number in count(1))
