"""The API's ``film_grain``: the grain of colour film over a finished picture.

A colour film is three layers of dye clouds. The density of a layer fluctuates about its mean, most visibly in the
middle tones; clear film and full density have no grain to show. Neighbouring points share a cloud, so the grain has a
size, which belongs to the film and not to the pixels: it is a fraction of the picture's longer side, and a picture
looks the same at every resolution (Newson, Delon and Galerne, "A Stochastic Film Grain Model for
Resolution-Independent Rendering", 2017). Gaussian, as an aperture over many grains measures it (RMS granularity).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .picture import check_picture

_LEVELS = 6.0  # standard deviation in the middle tones, of 255 grey levels, at strength 1: seen, and not in the way
_SIZE = 1 / 2200  # of the longer side: standard deviation of a cloud, 16 micrometres of the 36 mm of a 35 mm film
_OWN = 0.45  # share of a layer's grain that is its own: colour specks; the rest is in all three


def film_grain(picture: np.ndarray, seed: int, strength: float = 1.0) -> np.ndarray:
    """``picture`` ([H, W, 3] uint8 RGB) with grain; the same seed gives the same grain, 0 to 2^32 - 1.

    strength: 1 is about 6 grey levels of 255 in the middle tones; 0 is none. The mean of each channel is kept, black
    and white stay clean. RetouchError for anything but such a picture.
    """
    check_picture(picture)
    height, width = picture.shape[:2]
    random = np.random.default_rng(seed)
    sigma = _SIZE * max(height, width)
    shared = _clouds(random, height, width, sigma)
    grained = np.empty_like(picture)
    for channel in range(3):
        layer = np.sqrt(1 - _OWN**2) * shared + _OWN * _clouds(random, height, width, sigma)
        grained[..., channel] = _with_grain(picture[..., channel], layer, strength)
    return grained


def _with_grain(values: np.ndarray, grain: np.ndarray, strength: float) -> np.ndarray:
    """One [H, W] uint8 channel with [H, W] grain of variance 1."""
    density = values.astype(np.float32) / 255
    visible = 4 * density * (1 - density)
    total = float(visible.sum(dtype=np.float64))
    if total:  # what chance added to the mean in a picture of few pixels
        grain = grain - float((visible * grain).sum(dtype=np.float64)) / total
    return np.clip(np.rint(values + strength * _LEVELS * visible * grain), 0, 255).astype(np.uint8)


def _clouds(random: np.random.Generator, height: int, width: int, sigma: float) -> np.ndarray:
    """[height, width] float32 of Gaussian noise, variance 1 everywhere, blurred by ``sigma`` pixels."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)
    noise = random.standard_normal((height + 2 * radius, width + 2 * radius), dtype=np.float32)
    rows = _mixed([noise[start : start + height] for start in range(2 * radius + 1)], kernel)
    return _mixed([rows[:, start : start + width] for start in range(2 * radius + 1)], kernel)


def _mixed(shifted: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    mixed = weights[0] * shifted[0]
    for weight, piece in zip(weights[1:], shifted[1:], strict=True):
        mixed += weight * piece
    return mixed
