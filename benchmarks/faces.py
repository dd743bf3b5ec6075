"""What the embedded face pack finds, how well it tells people apart, what it costs: python benchmarks/faces.py [SMALL]

SMALL: how many of the 100 faces of 25 pixels are turned, too (10). FACEID_BENCHMARK_PHOTOS names folders or files with
more photos of one face, as face_recognition's source package has (``pip download --no-binary :all: face_recognition``).

Targets (docs/facts/faces.md 2.4): t1.jpg 6 of 6; every single-face sample; the least similar copy of a person more
similar than the most similar other person; a second run in a few milliseconds, none of them in onnxruntime; upright
photos in 1.05 of the time or less; turned faces 0.8 or more, told of, or refused, none used under 0.4.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import _setup  # noqa: F401
import numpy as np
from faceid_tunes.faceid_core.errors import NoFaceError
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, FacePack, choose_faces, find_faces, find_pack, read_photo
from faceid_tunes.faceid_core.faces.align import norm_crop
from faceid_tunes.faceid_core.faces.detect import detect
from faceid_tunes.faceid_core.faces.embed import embed, face_of
from faceid_tunes.faceid_core.faces.face import Face
from faceid_tunes.faceid_core.faces.find import find_in_photo
from faceid_tunes.faceid_core.faces.models import FaceModels, load_models
from faceid_tunes.faceid_core.faces.trust import doubt
from support.photos import (
    backgrounds,
    look_alikes,
    no_faces,
    people,
    same_and_different_cosines,
    single_faces,
    t1,
    turned,
)


def milliseconds(run: Callable[[], object], times: int = 20) -> float:
    """Median of several runs, the first thrown away."""
    run()
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        spent.append(1000 * (time.perf_counter() - started))
    return statistics.median(spent)


def spread(values: np.ndarray) -> str:
    return f"min {values.min():.3f}  median {np.median(values):.3f}  max {values.max():.3f}  (n={len(values)})"


def alarms(pictures: dict, pack: FacePack) -> str:
    found = find_faces(list(pictures.values()), pack).photos
    names = [str(name) for name, photo in zip(pictures, found, strict=True) if photo.faces]
    return f"{len(names)} of {len(pictures)}" + (f" [{', '.join(names)}]" if names else "")


def one_thread(pack: FacePack) -> FaceModels:
    """The pack's models on one thread, so that processor time is time, however busy the machine is."""
    import onnxruntime
    from insightface.model_zoo import SCRFD, ArcFaceONNX

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    detection, recognition = (
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        for file in (pack.detector, pack.recogniser)
    )
    detector = SCRFD(str(pack.detector), session=detection, static_shape_sessions=False)
    return FaceModels(detector, ArcFaceONNX(str(pack.recogniser), session=recognition), "CPUExecutionProvider")


def upright_cost(pack: FacePack, pairs: int = 9) -> tuple[float, np.ndarray]:
    """The largest change of an embedding by turn.py on upright photos; [N, 2] processor seconds with and without it.

    Of each photo the least of several, taken in turn with and without.
    """
    models = one_thread(pack)
    moved, times = 0.0, []
    for photo in (t1(), *people(pack).values(), *list(single_faces().values())[2:13]):
        with_turning, without = partial(find_in_photo, photo, models, pack.space), partial(plain_faces, photo, models)
        faces = zip(without(), with_turning()[0], strict=True)
        moved = max(moved, *(float(abs(one.embedding - other.embedding).max()) for one, other in faces))
        times.append(np.min([(processor_time(with_turning), processor_time(without)) for _ in range(pairs)], axis=0))
    return moved, np.array(times)


def processor_time(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def plain_faces(photo: np.ndarray, models: FaceModels) -> list[Face]:
    return [face_of(photo, found, models) for found in detect(photo, models.detector).faces]


OUTCOMES = ("0.8 or more", "0.8 or more, told", "under 0.8, told", "refused", "0.4 to 0.8, SILENT", "UNDER 0.4, USED")


def turned_outcome(photo: np.ndarray, upright: np.ndarray, pack: FacePack) -> tuple[str, float]:
    """What becomes of the one face of a turned photo, and its cosine to the upright one."""
    found = find_faces([photo], pack)
    try:
        face = choose_faces(found).faces[0]
    except NoFaceError:
        return "refused", 1.0
    cosine, told = float(face.unit_embedding @ upright), bool(doubt(face, pack.space))
    if cosine >= 0.8:
        return "0.8 or more" + ", told" * told, cosine
    if cosine < 0.4:
        return "UNDER 0.4, USED", cosine
    return "under 0.8, told" if told else "0.4 to 0.8, SILENT", cosine


def turned_table(pack: FacePack, small_ones: int) -> dict[str, Counter[str]]:
    """Printed: every single-face photo at 30 to 330 degrees, a line each; and faces of 25 pixels together."""
    print(f"turned by 30 .. 330 degrees:    {'  '.join(OUTCOMES)}  lowest cosine")
    counted: dict[str, Counter[str]] = {}
    for name, photo in turned_samples(pack, small_ones).items():
        row = counted.setdefault("lfw, 25 pixels" if name.startswith("lfw") else name, Counter())
        upright = find_faces([photo], pack).photos[0].faces
        if len(upright) != 1:
            continue
        outcomes = [
            turned_outcome(turned(photo, angle), upright[0].unit_embedding, pack) for angle in range(30, 331, 30)
        ]
        row.update(outcome for outcome, _ in outcomes)
        if not name.startswith("lfw"):
            print(turned_line(name, row, f"{min(cosine for _, cosine in outcomes):.2f}"))
    small = counted.pop("lfw, 25 pixels", Counter())
    print(turned_line("all of them", sum(counted.values(), Counter()), ""))
    print(turned_line(f"{small_ones} faces of 25 pixels", small, ""))
    return counted


def turned_line(name: str, row: Counter[str], lowest: str) -> str:
    return f"{name[:31]:32}" + "  ".join(f"{row[outcome]:>{len(outcome)}}" for outcome in OUTCOMES) + f"  {lowest:>13}"


def turned_samples(pack: FacePack, small_ones: int) -> dict[str, np.ndarray]:
    """Every photo of one face that insightface, scikit-image, matplotlib (where it is) and the user have."""
    given = [Path(folder) for folder in os.environ.get("FACEID_BENCHMARK_PHOTOS", "").split(os.pathsep) if folder]
    if spec := find_spec("matplotlib"):
        given.append(Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg")
    files = [file for place in given for file in (sorted(place.glob("*.jp*g")) if place.is_dir() else [place])]
    read = {file.stem: read_photo(file) for file in files}
    single = {name: photo for name, photo in read.items() if len(find_faces([photo], pack).photos[0].faces) == 1}
    bundled = single_faces()
    small = {name: photo for name, photo in bundled.items() if name.startswith("lfw")}
    return people(pack) | {"camera": bundled["camera"]} | single | dict(list(small.items())[:small_ones])


def main() -> None:
    pack = find_pack(EMBEDDED_PACK, [])
    photo = t1()
    started = time.perf_counter()
    found = find_faces([photo], pack).photos[0]
    first = 1000 * (time.perf_counter() - started)
    print(f"pack {pack.name} ({pack.space}) on {found.provider}")
    print(f"t1.jpg: {len(found.faces)} of 6 faces")

    singles = single_faces()
    seen = [name for name, single in singles.items() if len(find_faces([single], pack).photos[0].faces) == 1]
    print(f"single-face samples: {len(seen)} of {len(singles)}")
    print(f"false alarms: {alarms(no_faces(), pack)} pictures without a face")
    print(f"              {alarms(dict(enumerate(backgrounds())), pack)} background patches (25 shows half a face)")
    print(f"              {alarms(look_alikes(), pack)} look-alikes (a known limit)")

    same, different = same_and_different_cosines(pack)
    print(f"same person:      {spread(same)}")
    print(f"different people: {spread(different)}")
    print(f"separable: {'yes' if same.min() > different.max() else 'no'}")

    moved, times = upright_cost(pack)
    ratios, (with_turning, without) = times[:, 0] / times[:, 1], times.sum(axis=0)
    print(
        f"upright photos: turn.py moves embeddings by {moved:.1g}; processor time x{with_turning / without:.3f} (all), "
        f"x{np.median(ratios):.3f} (median), x{ratios.max():.3f} (max) of {len(ratios)} photos"
    )
    turned_table(pack, int(sys.argv[1]) if len(sys.argv) > 1 else 10)

    models = load_models(pack)
    bgr = np.ascontiguousarray(photo[..., ::-1])
    crop = norm_crop(photo, found.faces[0].landmarks, 112)
    print(f"detector at 640:   {milliseconds(lambda: models.detector.detect(bgr, input_size=(640, 640))):.1f} ms")
    print(f"recogniser:        {milliseconds(lambda: embed(crop, models)):.1f} ms per face")
    print(f"t1.jpg, first run: {first:.0f} ms (imports and sessions included)")
    print(f"t1.jpg, again:     {milliseconds(lambda: find_faces([photo], pack)):.2f} ms")


if __name__ == "__main__":
    main()
