"""What the embedded face pack finds, how well it tells people apart, and what it costs: python benchmarks/faces.py

Targets (docs/facts/faces.md 2.4): t1.jpg 6 of 6; every single-face sample; the least similar copy of a person more
similar than the most similar other person; a second run in a few milliseconds, none of them in onnxruntime.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import _setup  # noqa: F401
import numpy as np
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, FacePack, find_faces, find_pack
from faceid_tunes.faceid_core.faces.align import norm_crop
from faceid_tunes.faceid_core.faces.detect import detect
from faceid_tunes.faceid_core.faces.embed import embed, face_of
from faceid_tunes.faceid_core.faces.face import Face
from faceid_tunes.faceid_core.faces.find import find_in_photo
from faceid_tunes.faceid_core.faces.models import FaceModels, load_models
from support.photos import backgrounds, look_alikes, no_faces, people, same_and_different_cosines, single_faces, t1


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


def upright_cost(pack: FacePack) -> tuple[float, list[float]]:
    """The largest change of an embedding by turn.py on upright photos, and each photo's time over that without it."""
    models = load_models(pack)
    moved, ratios = 0.0, []
    for photo in (t1(), *people(pack).values(), *list(single_faces().values())[:13]):
        without, with_turning = partial(plain_faces, photo, models), partial(find_in_photo, photo, models, pack.space)
        faces = zip(without(), with_turning()[0], strict=True)
        moved = max(moved, *(float(abs(one.embedding - other.embedding).max()) for one, other in faces))
        pairs = [(milliseconds(with_turning, 1), milliseconds(without, 1)) for _ in range(5)]  # in turn: a busy machine
        ratios.append(min(turning for turning, _ in pairs) / min(plain for _, plain in pairs))
    return moved, ratios


def plain_faces(photo: np.ndarray, models: FaceModels) -> list[Face]:
    return [face_of(photo, found, models) for found in detect(photo, models.detector).faces]


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

    moved, ratios = upright_cost(pack)
    times = (
        f"x{statistics.mean(ratios):.3f} (mean), x{statistics.median(ratios):.3f} (median), x{max(ratios):.3f} (max)"
    )
    print(f"upright photos: turn.py moves embeddings by {moved:.1g}; time {times} of {len(ratios)} photos")

    models = load_models(pack)
    bgr = np.ascontiguousarray(photo[..., ::-1])
    crop = norm_crop(photo, found.faces[0].landmarks, 112)
    print(f"detector at 640:   {milliseconds(lambda: models.detector.detect(bgr, input_size=(640, 640))):.1f} ms")
    print(f"recogniser:        {milliseconds(lambda: embed(crop, models)):.1f} ms per face")
    print(f"t1.jpg, first run: {first:.0f} ms (imports and sessions included)")
    print(f"t1.jpg, again:     {milliseconds(lambda: find_faces([photo], pack)):.2f} ms")


if __name__ == "__main__":
    main()
