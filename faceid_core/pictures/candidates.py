"""Whom photos show when it is not clear who is meant, as a picture to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FaceIDError, UnclearPersonError
from ..faces.candidates import Candidate, candidates_of
from .contact_sheet import Frame, contact_sheet
from .png import save_png

if TYPE_CHECKING:
    import numpy as np


def candidates_sheet(candidates: Sequence[Candidate]) -> np.ndarray:
    """[H, W, 3] uint8 RGB: each face with its person's letter, its image and its number, as the message has them."""
    return contact_sheet([Frame(each.crop, f"person {each.person}: {each.place}") for each in candidates])


@contextmanager
def candidates_shown(folder: Path, show: Callable[[np.ndarray], None] | None = None) -> Iterator[None]:
    """Where nobody is in most of the photos, write the candidates into ``folder`` and name the file in the error.

    Args:
        folder: of the file; one that is there stays.
        show: called with the picture, too.

    Raises:
        UnclearPersonError: instead of the error that has candidates. That error itself when no file can be written.
    """
    try:
        yield
    except FaceIDError as error:
        candidates = candidates_of(error)
        if not candidates:
            raise
        sheet = candidates_sheet(candidates)
        if show is not None:
            show(sheet)
        names = (folder / f"candidates{'' if number == 1 else f'_{number}'}.png" for number in count(1))
        try:
            path = save_png(names, sheet, {})
        except FaceIDError:
            raise error from None
        raise UnclearPersonError(f"{error} Their faces are in {path}.") from error
