"""Which row of a UNet call shows which picture, in which role, at which place.

A UNet call is often not the whole picture: it may be one tile of several, one window of a video, an area, rows of two
prompts side by side or one after the other. Counting rows cannot say which is which. So every row carries a marker from
the start of sampling, as one more conditioning tensor. Whatever cuts, repeats or reorders the rows does the same to
their markers, and here they are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import AdapterError

_ROLE, _PICTURE, _TOP, _LEFT = range(4)
_PLAIN_FIELDS = 2  # role and picture; places only where a mask asks for them


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one UNet call.

    Attributes:
        positive: [B] bool, rows that are to show the person.
        pictures: [B] int64, number of the picture (or frame) in the whole batch.
        places: ([B, h, w], [B, h, w]) int64, row and column in the whole picture's latent of each cell; None where no
            mask asks for them.
    """

    positive: np.ndarray
    pictures: np.ndarray
    places: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.positive)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for calls that cut the same rows out of the same pictures."""
        corners = () if self.places is None else tuple(at[:, (0, -1)][:, :, (0, -1)].tobytes() for at in self.places)
        return self.positive.tobytes(), self.pictures.tobytes(), self.size, corners

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of each row in cells of the latent, where places are known."""
        return None if self.places is None else (self.places[0].shape[1], self.places[0].shape[2])


def marker(
    pictures: Sequence[int], size: tuple[int, int] | None, corner: tuple[int, int] = (0, 0), *, positive: bool
) -> Tensor:
    """Markers of pictures, int16 on the CPU: [B, 2], or with ``size`` (height, width) [B, 4, height, width].

    On the CPU: reading it waits for no device.

    Args:
        pictures: number of each row's picture in the whole batch.
        size: of what is sampled, in cells of the latent; None where no mask asks for places.
        corner: (top, left) of it in the whole picture.
        positive: whether the rows are to show the person.
    """
    role = np.full(len(pictures), positive, dtype=np.int16)
    plain = np.stack([role, np.asarray(pictures, dtype=np.int16)], axis=1)
    if size is None:
        return torch.utils.dlpack.from_dlpack(plain)
    (height, width), (top, left) = size, corner
    whole = np.empty((len(pictures), 4, height, width), dtype=np.int16)
    whole[:, :_PLAIN_FIELDS] = plain[:, :, None, None]
    whole[:, _TOP], whole[:, _LEFT] = np.mgrid[top : top + height, left : left + width]
    return torch.utils.dlpack.from_dlpack(whole)


def as_array(markers: Tensor) -> np.ndarray:
    """The numbers of a tensor, without an operation of torch where they are on the CPU: this happens at every call."""
    return np.from_dlpack(markers if markers.device.type == "cpu" else markers.cpu())


def joined(markers: Sequence[Tensor]) -> Tensor:
    """Markers of several groups of rows behind one another, likewise."""
    return torch.utils.dlpack.from_dlpack(np.concatenate([as_array(each) for each in markers]))


def read_markers(markers: Tensor) -> Rows:
    """The rows that ``markers`` came with, however they were cut, repeated and moved to another precision.

    Raises:
        AdapterError: that precision is too coarse for their numbers.
    """
    if markers.is_floating_point():
        exact_to, markers = 2 / torch.finfo(markers.dtype).eps, markers.float()  # bfloat16 is unknown to numpy
        if markers.max() > exact_to:
            raise AdapterError(
                "FaceID cannot tell which part of which picture is drawn: an extension brings 'faceid_rows' to half "
                "precision, which is too coarse for a picture or a batch of this size. Remove it, or FaceID."
            )
    found = as_array(markers)
    corner = found if found.ndim == 2 else found[:, :, 0, 0]
    positive, pictures = corner[:, _ROLE] > 0, corner[:, _PICTURE].astype(np.int64)
    if found.ndim == 2:
        return Rows(positive, pictures)
    return Rows(positive, pictures, (found[:, _TOP].astype(np.int64), found[:, _LEFT].astype(np.int64)))


def rows_of_roles(positive: Sequence[bool]) -> Rows:
    """Whole pictures in the given roles, numbered through within each role."""
    roles = np.asarray(positive, dtype=bool)
    numbers = np.where(roles, np.cumsum(roles), np.cumsum(~roles)) - 1
    return Rows(roles, numbers.astype(np.int64))
