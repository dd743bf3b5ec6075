"""Choosing one face of a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import FaceIDError, NoFaceError
from .face import Face


def _area(face: Face) -> float:
    x1, y1, x2, y2 = (float(side) for side in face.box)
    return (x2 - x1) * (y2 - y1)


def _centre(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


# Every key sorts the chosen face first.
_KEYS: dict[str, Callable[[Face, tuple[int, int]], float]] = {
    "largest": lambda face, size: -_area(face),
    "central": lambda face, size: float(np.linalg.norm(_centre(face) - np.array(size) / 2)),
    "leftmost": lambda face, size: float(_centre(face)[0]),
    "rightmost": lambda face, size: -float(_centre(face)[0]),
    "best score": lambda face, size: -face.score,
}
PICKS: tuple[str, ...] = (*_KEYS, "index")


def left_to_right(faces: Sequence[Face]) -> tuple[Face, ...]:
    """The faces by the x, then the y, of their centres: the order that ``index`` counts in, from 0."""
    return tuple(sorted(faces, key=lambda face: tuple(_centre(face))))


def choose(faces: Sequence[Face], size: tuple[int, int], pick: str, index: int = 0) -> Face:
    """One of the faces of a photo.

    faces: at least one, all of one photo; size: (width, height) of that photo.
    pick: one of PICKS; "index" takes face number ``index``, counted from 0, left to right (the number the preview
    shows); of equals, the larger face is taken, then the one further left, so the choice never depends on detection
    order.
    Raises FaceIDError for an unknown pick, NoFaceError naming the image when it has no such face.
    """
    if pick not in PICKS:
        raise FaceIDError(f'pick: "{pick}" is not one of {", ".join(PICKS)}.')
    ordered = left_to_right(faces)
    if pick == "index":
        if not 0 <= index < len(ordered):
            raise NoFaceError(_no_such_face(ordered, index))
        return ordered[index]
    return min(ordered, key=lambda face: (_KEYS[pick](face, size), -_area(face)))


def _no_such_face(faces: Sequence[Face], index: int) -> str:
    count = f"{len(faces)} faces, numbered 0 to {len(faces) - 1}" if len(faces) > 1 else "one face, number 0"
    return (
        f"There is no face number {index} in image {faces[0].photo + 1}: it has {count} from left to right. "
        "Change `index`, or let `pick` choose."
    )
