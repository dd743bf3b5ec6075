"""The API's ``film_grain``: the grain of colour film over a finished picture.

A colour film is three layers of dye clouds. The density of a layer fluctuates about its mean, most visibly in the
middle tones; clear film and full density show no grain. Neighbouring points share a cloud, so the grain has a size,
which belongs to the film and not to the pixels: it is a fraction of the picture's longer side, and a picture looks the
same at every resolution (Newson, Delon and Galerne, "A Stochastic Film Grain Model for Resolution-Independent
Rendering", 2017). Gaussian, as an aperture over many grains measures it (RMS granularity).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .picture import check_picture

_LEVELS = 6.0  # standard deviation in the middle tones, of 255 grey levels, at strength 1: visible, but not disturbing
_SIZE = 1 / 2200  # of the longer side: standard deviation of a cloud, 16 micrometres of the 36 mm of a 35 mm film
_OWN = 0.45  # share of the grain that each layer has alone, visible as colour specks; all three layers share the rest
_SHARED = math.sqrt(1 - _OWN**2)
_BAND = 1 << 19  # pixels processed at a time: at 120 megapixels the noise and its blurs would need gigabytes


def film_grain(picture: np.ndarray, seed: int, strength: float = 1.0) -> np.ndarray:
    """``picture`` ([H, W, 3] uint8 RGB) with grain; the same seed gives the same grain, 0 to 2^32 - 1.

    strength: 1 is about 6 grey levels of 255 in the middle tones; 0 is none. The mean of each channel is kept, black
    and white stay clean. RetouchError for anything but such a picture.
    """
    check_picture(picture)
    height, width = picture.shape[:2]
    sigma = _SIZE * max(height, width)
    tops = range(0, height, max(_BAND // width, 1))
    heights = [min(tops.step, height - top) for top in tops]
    layers = [_clouds(random, heights, width, sigma) for random in np.random.default_rng(seed).spawn(4)]
    grained = np.empty_like(picture)
    for top, (shared, *own) in zip(tops, zip(*layers, strict=True), strict=True):
        band = np.s_[top : top + tops.step]
        for channel, clouds in enumerate(own):
            grain = _SHARED * shared + _OWN * clouds
            grained[band][..., channel] = _with_grain(picture[band][..., channel], grain, strength)
    return grained


def _with_grain(values: np.ndarray, grain: np.ndarray, strength: float) -> np.ndarray:
    """One [H, W] uint8 channel with [H, W] grain of variance 1."""
    density = values.astype(np.float32) / 255
    visible = 4 * density * (1 - density)
    total = float(visible.sum(dtype=np.float64))
    if total:  # the random part of the mean, which matters with few pixels
        grain = grain - float((visible * grain).sum(dtype=np.float64)) / total
    return np.clip(np.rint(values + strength * _LEVELS * visible * grain), 0, 255).astype(np.uint8)


def _clouds(random: np.random.Generator, heights: Sequence[int], width: int, sigma: float) -> Iterator[np.ndarray]:
    """Bands of those heights, one below the other, of one [sum of heights, width] float32 of Gaussian noise.

    Variance 1 everywhere, blurred by ``sigma`` pixels; the ends of bands are not visible in it.
    """
    import cv2

    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)
    above = random.standard_normal((2 * radius, width + 2 * radius), dtype=np.float32)
    for height in heights:
        noise = np.concatenate([above, random.standard_normal((height, width + 2 * radius), dtype=np.float32)])
        above = noise[height:].copy()
        yield cv2.sepFilter2D(noise, -1, kernel, kernel)[radius:-radius, radius:-radius]
