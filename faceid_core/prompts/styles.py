"""The API's ``style``: words added around a prompt's text that ask for a look.

The words describe the whole picture, never the person: an age, a hairstyle or make-up in a style would work against the
face of the tune. They are short, because the text encoder reads 75 tokens at a time and the user's words should be
among the first. They have no weights, so the text means the same with and without ``use_lpw``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class _Style:
    """The words before and after the text, and those added to the negative text."""

    before: str
    after: str
    negative: str


_PHOTOGRAPHIC = "photograph, photorealistic, camera noise"
_DRAWN = "drawing, cartoon, illustration, 3d render"

# Keyed by prompt.STYLES.
_STYLES = {
    "Cinematic": _Style(
        "film still of",
        "widescreen movie frame, anamorphic lens, shallow focus, motivated side light, teal and amber palette",
        f"flat lighting, snapshot, {_DRAWN}",
    ),
    "Animated": _Style(
        "animated feature film frame of",
        "clean shapes, smooth cel shading, expressive colours, painted background",
        _PHOTOGRAPHIC,
    ),
    "Digital Art": _Style(
        "digital painting of",
        "concept art, visible brushwork, strong silhouette, layered light, rich colour",
        f"{_PHOTOGRAPHIC}, rough sketch",
    ),
    "Photographic": _Style(
        "photo of",
        "85mm lens, natural light, true-to-life colours, fine texture, crisp focus",
        f"{_DRAWN}, airbrushed, waxy",
    ),
    "Fantasy art": _Style(
        "epic fantasy painting of",
        "otherworldly scenery, glowing magic light, ornate details, drifting mist",
        f"{_PHOTOGRAPHIC}, modern city, plain background",
    ),
    "Neonpunk": _Style(
        "neon-lit scene of the future,",
        "magenta and cyan neon signs, wet reflections, night haze, hard rim light",
        "daylight, pastel colours, rustic, washed out",
    ),
    "Enhance": _Style(
        "",
        "crisp focus, balanced exposure, fine detail, clear separation from the background",
        "out of focus, overexposed, underexposed, jpeg artifacts, smeared details",
    ),
    "Comic book": _Style(
        "comic book panel of",
        "bold ink outlines, halftone dots, flat bright colours, dynamic framing",
        _PHOTOGRAPHIC,
    ),
    "Lowpoly": _Style(
        "low-poly 3d model of",
        "faceted triangles, flat-shaded surfaces, simple geometry, soft studio light",
        f"{_PHOTOGRAPHIC}, smooth curves, fine texture, noise",
    ),
    "Line art": _Style(
        "line drawing of",
        "confident black contour lines on white paper, no fill, varied line weight",
        f"{_PHOTOGRAPHIC}, colour, shading, grey wash, busy background",
    ),
}


def styled(text: str, negative: str, style: str | None) -> tuple[str, str]:
    """The texts for the text encoder, positive and negative, in a style of ``prompt.STYLES``; None leaves both alone.

    ``text`` is a prompt's ``parsed.plain_text``, without tags and flags; it and ``negative`` stay as written, weights
    included. ``styled(prompt.parsed.plain_text, prompt.negative_prompt, prompt.style)`` is all that an engine does.
    """
    if style is None:
        return text, negative
    words = _STYLES[style]
    before = f"{words.before} " if words.before and text.strip() else ""
    return _joined(before + text, words.after), _joined(negative, words.negative)


def _joined(text: str, more: str) -> str:
    """``more`` after ``text``, with one comma between them unless the text ends with punctuation."""
    if not text.strip():
        return more
    return f"{text} {more}" if text.rstrip().endswith((",", ".", ";", "!", "?")) else f"{text}, {more}"
