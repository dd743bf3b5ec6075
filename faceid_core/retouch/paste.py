"""Pasting: puts what a model changed in a crop into the face's rectangle of the picture, and nowhere else.

Soft masks are combined: the crop's own (nothing near its edge), what the model changed (an identical crop pastes
nothing, and an unchanged hand stays sharp), what is the face's own (face_mask.py), and the user's. Outside the
rectangle no pixel changes; insightface and facexlib warp and blend the whole picture once per face
(docs/facts/faces.md 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import RetouchError

# In grey levels of 255. Below the first, nothing counts as changed: a half-precision model that returns its input
# differs by 0.2. From the second on, the model's pixels count fully; between the two, the difference is too small to
# see.
_UNCHANGED, _CHANGED = 0.5, 4.0
_MASK_POWER = 4  # exponent of the superellipse: 2 is an ellipse, infinity the whole square
_MASK_CORE = 0.7  # the part of the way to the edge in which the mask is 1
_STD_RATIO = 2.0  # the largest factor of a colour match
_STATISTICS_SIDE = 128  # pixels a side at which colours and changes are measured
_TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


@dataclass(frozen=True, eq=False)
class Patch:
    """A changed face and its place in the picture.

    Attributes:
        rectangle: left, top, right, bottom in picture pixels; right and bottom are the first outside.
        before, after: [h, w, 3] float32, 0 to 255: the picture's pixels, and the model's.
        weight: [h, w, 1] float32, 0 to 1.
    """

    rectangle: tuple[int, int, int, int]
    before: np.ndarray
    after: np.ndarray
    weight: np.ndarray

    def blended(self, visibility: float = 1.0) -> np.ndarray:
        """[h, w, 3] uint8: exactly the picture where the weight is 0."""
        mixed = self.after - self.before
        mixed *= self.weight * np.float32(visibility)
        mixed += self.before
        np.rint(mixed, out=mixed)
        return np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)

    def paste(self, canvas: np.ndarray, visibility: float = 1.0) -> None:
        """Change the rectangle of ``canvas`` ([H, W, 3] uint8, the picture the patch was made for) in place."""
        left, top, right, bottom = self.rectangle
        canvas[top:bottom, left:right] = self.blended(visibility)


@dataclass(frozen=True, eq=False)
class FaceMask:
    """Where a picture shows a face, and nothing in front of it.

    Attributes:
        share: [S, S] float32, 0 (keep the picture) to 1.
        matrix: [2, 3], picture pixels to pixels of ``share``.
    """

    share: np.ndarray
    matrix: np.ndarray

    def in_crop(self, matrix: np.ndarray, size: int) -> np.ndarray:
        """[size, size] float32: as the crop that ``matrix`` cuts out of the picture sees it."""
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        return self._read(self.matrix @ back, size, size)

    def in_rectangle(self, rectangle: tuple[int, int, int, int]) -> np.ndarray:
        """[h, w] float32: of the picture's left, top, right, bottom."""
        left, top, right, bottom = rectangle
        moved = self.matrix.copy()
        moved[:, 2] += self.matrix[:, :2] @ (left, top)
        return self._read(moved, right - left, bottom - top)

    def _read(self, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
        import cv2

        return cv2.warpAffine(self.share, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def make_patch(
    picture: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    matrix: np.ndarray,
    *,
    crop_mask: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    face_mask: FaceMask | None = None,
    match_colour: bool = False,
) -> Patch | None:
    """The patch of a changed crop, or None when the crop lies outside the picture.

    Args:
        picture: [H, W, 3] uint8 RGB.
        before: [S, S, 3], 0 to 255: the crop the model was given.
        after: [S, S, 3] float32, 0 to 255: what it returned.
        matrix: [2, 3], picture pixels to crop pixels.
        crop_mask: [S, S], 0 to 1, where in the crop the model's pixels count; default: ``soft_mask``.
        mask: [H, W], 0 to 1, where in the picture they count; default: everywhere.
        face_mask: what of the picture is the face's own; default: all of it.
        match_colour: give the changed part the mean and spread of its former colours.

    Raises:
        RetouchError: a mask or crop of another size.
    """
    size = before.shape[0]
    if after.shape != before.shape or before.shape != (size, size, 3):
        raise RetouchError(f"The model was given a crop of shape {before.shape} and returned {after.shape}.")
    if crop_mask is None:
        crop_mask = soft_mask(size)
    elif crop_mask.shape != (size, size):
        raise RetouchError(f"The crop mask has shape {crop_mask.shape}, the crop {size}x{size} pixels.")
    rectangle = face_rectangle(matrix, size, picture.shape)
    if rectangle is None:
        return None
    weight = crop_mask * change_mask(before, after)
    if match_colour:
        own = weight if face_mask is None else weight * face_mask.in_crop(matrix, size)
        after = colour_matched(after, before, own)
    over = _lay_over(np.dstack([after, weight]).astype(np.float32), matrix, rectangle)
    left, top, right, bottom = rectangle
    shown = over[..., 3:]
    if face_mask is not None:
        shown = shown * face_mask.in_rectangle(rectangle)[..., None]
    if mask is not None:
        shown = shown * mask[top:bottom, left:right, None].astype(np.float32)
    return Patch(rectangle, picture[top:bottom, left:right].astype(np.float32), over[..., :3], shown)


def face_rectangle(matrix: np.ndarray, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the smallest rectangle around the crop, in a picture of that shape; None: outside."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    last = size - 1
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]]) @ inverse[:2].T
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 1, (shape[1], shape[0])).astype(int)
    return (int(left), int(top), int(right), int(bottom)) if left < right and top < bottom else None


def soft_mask(size: int) -> np.ndarray:
    """[size, size] float32: 1 in the middle, smoothly 0 towards the edge, rounded at the corners (a superellipse)."""
    line = np.abs(np.linspace(-1, 1, size, dtype=np.float32)) ** _MASK_POWER
    radius = (line[:, None] + line) ** np.float32(1 / _MASK_POWER)
    return smooth((1 - radius) / np.float32(1 - _MASK_CORE))


def change_mask(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """[S, S] float32: 0 where two crops are the same (to half a grey level) and so are their surroundings, else 1."""
    import cv2

    size = before.shape[0]
    change = cv2.absdiff(after.astype(np.float32), before.astype(np.float32))
    change = cv2.max(cv2.max(change[..., 0], change[..., 1]), change[..., 2])
    # Along some lines a changed face has its old colours by chance: they belong to the change around them. The mask is
    # smooth, so every `step`-th pixel is enough.
    step = max(size // _STATISTICS_SIDE, 1)
    around = 2 * max(size // 64, step) + 1
    change = cv2.dilate(change, np.ones((around, around), np.uint8))[step // 2 :: step, step // 2 :: step]
    change = cv2.GaussianBlur(change, (0, 0), max(size / 128 / step, 0.5))
    mask = smooth((change - _UNCHANGED) / (_CHANGED - _UNCHANGED))
    return mask if step == 1 else cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)


def colour_matched(after: np.ndarray, before: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``after`` with the mean and spread that ``before`` has, both weighted, of its luma and two colour differences.

    Reinhard et al., "Color transfer between images", 2001, in BT.601's YCbCr, where it is one matrix.

    Args:
        after, before: [S, S, 3], 0 to 255.
        weight: [S, S], 0 to 1.
    """
    import cv2

    side = min(after.shape[0], _STATISTICS_SIDE)
    small = (
        cv2.resize(crop.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) for crop in (after, before)
    )
    new, old = (cv2.transform(crop, _TO_YCBCR).reshape(-1, 3) for crop in small)
    shares = cv2.resize(weight.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA).reshape(-1)
    if shares.sum() < 1.0:
        return after
    new_mean, old_mean = (np.average(values, axis=0, weights=shares) for values in (new, old))
    new_std, old_std = (
        np.sqrt(np.average((values - mean) ** 2, axis=0, weights=shares))
        for values, mean in ((new, new_mean), (old, old_mean))
    )
    ratio = np.clip(old_std / np.maximum(new_std, 1e-3), 1 / _STD_RATIO, _STD_RATIO)
    from_ycbcr = np.linalg.inv(_TO_YCBCR)
    turn = from_ycbcr @ (ratio[:, None] * _TO_YCBCR)
    shift = from_ycbcr @ (old_mean - ratio * new_mean)
    return np.clip(cv2.transform(after.astype(np.float32), np.column_stack([turn, shift])), 0, 255)


def _lay_over(crop: np.ndarray, matrix: np.ndarray, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """The crop ([S, S, 4], the last channel its weight) placed in the rectangle: [h, w, 4], weight 0 around it."""
    import cv2

    left, top, right, bottom = rectangle
    shrink = int(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 1:  # sampling single pixels of a crop much larger than the face would paste noise
        side = crop.shape[0] // shrink
        factor = side / crop.shape[0]
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        matrix = matrix * factor
        matrix[:, 2] += (factor - 1) / 2
    crop[[0, -1], :, 3] = crop[:, [0, -1], 3] = 0  # the rim is repeated around the crop
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(crop, moved, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def smooth(ramp: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth in between."""
    ramp = np.clip(ramp, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
