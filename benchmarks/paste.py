"""Six swapped faces back into a 4K picture, next to insightface's full-frame paste: python benchmarks/paste.py

Both paste what the same swapper painted into the same crops, in the same run. insightface has no paste
of its own to call, so its time is ``INSwapper.get(paste_back=True)`` less ``get(paste_back=False)``; ours is what
``swap_faces`` does between the model and the finished picture. Target: at least 10 times faster.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import _setup  # noqa: F401
import cv2
import numpy as np
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, Face, Faces, find_faces, find_pack
from faceid_tunes.faceid_core.retouch import crop_face, load_swapper, make_patch, swap_faces
from faceid_tunes.faceid_core.retouch.swapper import Swapper, source_latent, swap_crop
from support.photos import t1
from support.retouch_models import write_swapper

warnings.simplefilter("ignore", FutureWarning)  # insightface's use of scikit-image


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """Median of several runs, the first thrown away."""
    run()
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def four_k() -> np.ndarray:
    """A real photo of six people over the whole height of 3840x2160, its borders repeated at the sides."""
    photo = cv2.resize(t1(), (3120, 2160), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(photo, 0, 0, 360, 360, cv2.BORDER_REFLECT)


def six_faces(picture: np.ndarray) -> tuple[Face, ...]:
    faces = find_faces([picture], find_pack(EMBEDDED_PACK, [])).photos[0].faces
    return tuple(sorted(faces, key=lambda face: face.box[0] - face.box[2])[:6])


def swapper_file(folder: Path) -> Path:
    """Paints every face lighter and redder, so that all of it has to be pasted."""
    emap = np.eye(512, dtype=np.float32)
    return write_swapper(folder / "inswapper_128.onnx", gain=(0.5, 0.5, 0.5), offset=(0.5, 0.2, 0.1), emap=emap)


def insightface_swaps(picture: np.ndarray, faces: tuple[Face, ...], file: Path) -> Callable[[bool], None]:
    from insightface.app.common import Face as InsightFace
    from insightface.model_zoo.inswapper import INSwapper

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its shape
        theirs = INSwapper(str(file))
    bgr = np.ascontiguousarray(picture[..., ::-1])
    targets = [InsightFace(kps=face.landmarks) for face in faces]
    source = InsightFace(embedding=faces[0].embedding)

    def swap(paste_back: bool) -> None:
        result = bgr
        for target in targets:
            given = theirs.get(result, target, source, paste_back=paste_back)
            result = given if paste_back else result

    return swap


def our_pastes(picture: np.ndarray, faces: tuple[Face, ...], swapper: Swapper, boost: int) -> Callable[[], None]:
    latent = source_latent(faces[0].unit_embedding, swapper)
    crops = [crop_face(picture, face.landmarks, "arcface_128", boost) for face in faces]
    swapped = [(crop, swap_crop(crop, latent, swapper), matrix) for crop, matrix in crops]

    def paste() -> None:
        canvas = picture.copy()
        for before, after, matrix in swapped:
            make_patch(canvas, before, after, matrix, match_colour=True).paste(canvas)

    return paste


def compare(picture: np.ndarray, faces: tuple[Face, ...], file: Path) -> None:
    swap = insightface_swaps(picture, faces, file)
    swapper = load_swapper(file)
    theirs_whole, theirs_crops = seconds(lambda: swap(True)), seconds(lambda: swap(False))
    theirs = theirs_whole - theirs_crops
    print(f"  insightface, full-frame paste of 6 faces:  {1000 * theirs:7.0f} ms")
    for boost in (128, 512):
        ours = seconds(our_pastes(picture, faces, swapper, boost))
        print(f"  ours, crops of {boost}, colours matched:      {1000 * ours:7.0f} ms  {theirs / ours:6.1f}x faster")
    pack = find_pack(EMBEDDED_PACK, [])
    person = Faces((faces[0],), pack.space, pack.name, "")

    def whole() -> None:
        swap_faces(picture, [person], swapper, pack, choice="all", boost=128, preview=True)

    print(f"  the whole swap, a trivial model included:  {1000 * theirs_whole:7.0f} ms insightface", end="")
    print(f", {1000 * seconds(whole):.0f} ms ours (looks its faces up in the cache)")


def main() -> None:
    picture = four_k()
    faces = six_faces(picture)
    sides = ", ".join(f"{face.box[2] - face.box[0]:.0f}" for face in faces)
    print(f"picture {picture.shape[1]}x{picture.shape[0]}, {len(faces)} faces {sides} pixels wide")
    default = cv2.getNumThreads()
    with tempfile.TemporaryDirectory() as folder:
        file = swapper_file(Path(folder))
        for threads in (1, default):
            cv2.setNumThreads(threads)
            print(f"OpenCV threads: {threads}{' (default)' if threads == default else ''}")
            compare(picture, faces, file)


if __name__ == "__main__":
    main()
