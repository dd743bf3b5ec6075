"""How well the likeness score tells people apart, and what its verdicts say: python benchmarks/likeness.py

Eight people of the bundled photos, ten altered copies of each (tests/support/photos.py), every copy measured against
every person; then all pairs of 100 faces of 25 pixels (LFW), of different people but for a few pairs that nobody
labelled. The thresholds for SFace in faceid_core/faces/verdict.py are published ones, checked on these figures.

Target: the least similar copy of a person is more similar than the most similar other person.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import _setup  # noqa: F401
import numpy as np
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, FacePack, extract_faces, find_faces, find_pack
from faceid_tunes.faceid_core.faces.likeness import Likeness, measure_likeness
from faceid_tunes.faceid_core.faces.verdict import Verdict, thresholds_of, verdict
from support.photos import altered_copies, people, single_faces


def measured(pack: FacePack) -> tuple[list[Likeness], list[Likeness]]:
    """Each altered copy against the person it shows, and against everybody else."""
    shown = people(pack)
    persons = {name: extract_faces([photo], pack) for name, photo in shown.items()}
    same, others = [], []
    for name, photo in shown.items():
        for copy in altered_copies(photo).values():
            for other, person in persons.items():
                (same if other == name else others).append(measure_likeness(copy, person, pack))
    return same, others


def small_faces(pack: FacePack) -> np.ndarray:
    pictures = [photo for name, photo in single_faces().items() if name.startswith("lfw")]
    units = [face.unit_embedding for photo in find_faces(pictures, pack).photos for face in photo.faces[:1]]
    return np.array([one @ other for one, other in combinations(units, 2)])


def distribution(cosines: np.ndarray) -> str:
    points = np.percentile(cosines, [0, 1, 50, 99, 100])
    return "min {:.3f}  1% {:.3f}  median {:.3f}  99% {:.3f}  max {:.3f}".format(*points) + f"  (n={len(cosines)})"


def counted(verdicts: list[Verdict]) -> str:
    counts = Counter(verdicts)
    return ", ".join(f"{found.value} {counts[found]}" for found in Verdict if counts[found])


def main() -> None:
    pack = find_pack(EMBEDDED_PACK, [])
    limits = thresholds_of(pack.space)
    print(f"pack {pack.name} ({pack.space})")
    print(f"same person from {limits.same:g}, probably from {limits.probably:g}, unsure from {limits.unsure:g}")
    print(f"  by {limits.source}")
    groups = dict(zip(("same person", "another person"), measured(pack), strict=True))
    cosines = {
        name: np.array([each.cosine for each in found if each.cosine is not None]) for name, found in groups.items()
    }
    for name, found in groups.items():
        print(f"{name + ':':16}{distribution(cosines[name])}")
        print(f"{'':16}{counted([each.verdict for each in found])}")
    pairs = small_faces(pack)
    print(f"25-pixel pairs: {distribution(pairs)}")
    print(f"{'':16}{counted([verdict(float(cosine), pack.space) for cosine in pairs])}")
    gap = cosines["same person"].min() - cosines["another person"].max()
    print(f"separates same from different: {'perfectly' if gap > 0 else 'NO'}, gap {gap:.3f}")


if __name__ == "__main__":
    main()
