"""The API's ``color_grading``: a finished picture as if taken on a film stock.

Each stock is described, not measured: its numbers follow what its maker and independent tests publish about contrast,
saturation and hue. All stocks use one model: a tone curve that changes lightness alone, so that greys stay grey and
hues stay the same, then a gain of the chroma and a rotation of the hue for each hue, in OKLab (Björn Ottosson, "A
perceptual color space for image processing", 2020). A stock is a 3-D table that Pillow applies, made once in half a
second; of 1000 pixels of a photo 999 are within two grey levels of the formula.

Order, as in the API: after super-resolution and face correction, before ``film_grain`` (docs/facts/astria.md 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..cache import LRUCache
from .picture import check_picture

if TYPE_CHECKING:
    from PIL.ImageFilter import Color3DLUT

_BAND = 1 << 20  # pixels processed at a time: otherwise Pillow keeps two more copies of the whole picture
_NODES = 65  # a side, the most that Pillow takes
_ROOM = 0.35  # chroma / lightness at which half of a gain or rotation remains: vivid colours are at the edge of sRGB


@dataclass(frozen=True)
class _Stock:
    """A film stock.

    contrast: of a logistic curve over the grey levels; its slope at middle grey is 1.02, 1.08, 1.18, 1.31 for 1,
        2, 3, 4. middle: exponent before it, below 1 lightens the middle tones. black, white: the results for black and
        white, 0 to 1: the light that a negative's base and a lens scatter is neutral.
    warmth: OKLab b added at middle grey, fading to black and white; 0.004 is about two grey levels of yellow.
    hues: (OKLab hue in degrees, gain of the chroma, rotation of the hue in degrees), in order of the hue.
    """

    contrast: float
    middle: float
    black: float
    white: float
    warmth: float
    hues: tuple[tuple[float, float, float], ...]


# Hues of sRGB in OKLab: red 29, skin 35 to 80, yellow 110, green 142, cyan 195, blue 264, magenta 328.
_STOCKS = {
    # Reversal film: high contrast, deep shadows, very saturated. A test of Fujifilm's own simulation of it in the
    # F200EXR (fotografidigitali.it, article 6740) measured 120 % saturation on average, red, green and magenta the
    # most, blue turned to magenta and pale cyan to blue, skin hardly changed; and advises against it for portraits.
    "Film Velvia": _Stock(
        contrast=3.2,
        middle=1.04,
        black=0.0,
        white=1.0,
        warmth=0.0,
        hues=(
            (5, 1.35, 0),
            (29, 1.35, 0),
            (45, 1.08, 0),
            (75, 1.08, 0),
            (110, 1.28, 0),
            (142, 1.40, 0),
            (195, 1.30, 7),
            (264, 1.30, 6),
            (328, 1.35, 0),
        ),
    ),
    # Kodak recommends it for "natural reproduction of the full range of skin tones". Straight curves over ten stops
    # and more (Ctein, Photo Techniques 2007): low contrast, open shadows, soft highlights. Muted, greens towards
    # yellow, blues towards cyan, all of it a little warm.
    "Film Portra": _Stock(
        contrast=1.0,
        middle=0.94,
        black=0.03,
        white=0.985,
        warmth=0.004,
        hues=(
            (29, 0.94, 1),
            (45, 1.0, 0),
            (75, 1.0, 0),
            (110, 0.9, -3),
            (142, 0.8, -8),
            (195, 0.82, -4),
            (264, 0.85, -7),
            (328, 0.88, 0),
        ),
    ),
    # "Ultra-vivid color" at medium contrast, for nature, travel and products (Kodak E-4046): contrast between the two
    # others, reds the strongest, blue and green towards cyan. Kodak sends portraits to Portra for its saturation, so
    # skin is not changed here.
    "Ektar": _Stock(
        contrast=2.2,
        middle=1.0,
        black=0.004,
        white=1.0,
        warmth=0.001,
        hues=(
            (10, 1.3, 0),
            (29, 1.38, 0),
            (45, 1.05, 0),
            (75, 1.05, 0),
            (110, 1.15, 0),
            (142, 1.15, 5),
            (195, 1.25, 0),
            (264, 1.28, -5),
            (328, 1.22, 0),
        ),
    ),
}

_tables: LRUCache[Color3DLUT] = LRUCache(limit=len(_STOCKS))


def grade(picture: np.ndarray, name: str) -> np.ndarray:
    """``picture`` ([H, W, 3] uint8 RGB) in the colours of a film stock, one of ``prompts.prompt.COLOR_GRADINGS``.

    Each pixel is changed independently and without randomness: the same colour always becomes the same colour. Greys
    stay greys (channels at most four levels apart) and keep their order. RetouchError for anything but such a picture.
    """
    from PIL import Image

    check_picture(picture)
    table = _tables.get_or_make(name, lambda: _table(_STOCKS[name]))
    graded = np.empty_like(picture)
    rows = max(_BAND // picture.shape[1], 1)
    for top in range(0, len(picture), rows):
        band = np.s_[top : top + rows]
        graded[band] = np.asarray(Image.fromarray(picture[band]).filter(table))
    return graded


def _table(stock: _Stock) -> Color3DLUT:
    from PIL.ImageFilter import Color3DLUT

    levels = np.linspace(0, 1, _NODES)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")  # Pillow: red changes fastest
    graded = _graded(np.stack([red, green, blue], axis=-1), stock)
    return Color3DLUT(_NODES, graded.reshape(-1, 3).astype(np.float32).ravel())


def _graded(srgb: np.ndarray, stock: _Stock) -> np.ndarray:
    """[..., 3] sRGB from 0 to 1, in and out: the formula itself."""
    lab = _oklab(srgb)
    # Each layer of a film has the curve, which keeps every colour inside sRGB. Only its lightness is used: the whole
    # curve would change hues and overexpose skin. Exposure does not change chroma over lightness, the saturation.
    lightness = _oklab(_curved(srgb, stock))[..., :1]
    colour = _turned(lab[..., 1:] / np.maximum(lab[..., :1], 1e-6), stock) * lightness
    colour[..., 1:] += 4 * stock.warmth * lightness * (1 - lightness)
    lms = (np.concatenate([lightness, colour], axis=-1) @ np.linalg.inv(_TO_LAB).T) ** 3
    inside = _within_srgb(lms @ np.linalg.inv(_TO_LMS).T, lightness**3)
    return stock.black + (stock.white - stock.black) * _encoded(inside)


def _curved(srgb: np.ndarray, stock: _Stock) -> np.ndarray:
    """The stock's curve over code values, from 0 to 0 and 1 to 1, rising throughout."""
    low, high = _logistic(stock.contrast * np.array([-0.5, 0.5]))
    return (_logistic(stock.contrast * (srgb**stock.middle - 0.5)) - low) / (high - low)


def _turned(colour: np.ndarray, stock: _Stock) -> np.ndarray:
    """[..., 2] OKLab a and b over lightness, with the stock's gain and rotation for their hue."""
    hue = np.degrees(np.arctan2(colour[..., 1], colour[..., 0])) % 360
    at, gains, turns = np.array(stock.hues).T
    saturation = np.hypot(colour[..., 0], colour[..., 1])
    share = 1 / (1 + (saturation / _ROOM) ** 2)
    gain = 1 + share * (np.interp(hue, at, gains, period=360) - 1)
    angle = np.radians(hue + share * np.interp(hue, at, turns, period=360))
    return (saturation * gain)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _within_srgb(linear: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Linear sRGB with the same hue, which clipping would change.

    A colour that is too vivid moves towards the grey of its lightness, one that is too bright becomes darker.
    """
    lowest = linear.min(axis=-1, keepdims=True)
    share = np.where(lowest < 0, grey / np.maximum(grey - lowest, 1e-9), 1)
    inside = grey + share * (linear - grey)
    return inside / np.maximum(inside.max(axis=-1, keepdims=True), 1)


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _oklab(srgb: np.ndarray) -> np.ndarray:
    return np.cbrt(_linear(srgb) @ _TO_LMS.T) @ _TO_LAB.T


def _linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB code values, 0 to 1, as linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    """The inverse of ``_linear``; what is outside sRGB is clipped."""
    light = np.clip(linear, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


# Linear sRGB -> LMS, and the cube roots of LMS -> OKLab (Ottosson 2020).
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
