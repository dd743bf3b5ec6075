"""The steps that a prompt asks for after sampling, in the order that looks best.

hires_fix comes before the swap, because it changes faces; the swap before super-resolution, which sharpens the
swapper's small crop; then the faces, at their final size; colours and grain last (docs/facts/astria.md 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..faces import Faces, find_faces
from ..faces.photo import MAX_PIXELS
from ..prompts import Prompt
from .color_grading import grade
from .errors import RetouchError
from .film_grain import film_grain
from .picture import Retouched, check_picture
from .resample import hires_fix, hires_size, inpaint_faces, resized
from .restore import restore_faces
from .swap import swap_faces
from .tools import Tools

UPSCALE = 4
MAX_RESULT_SIDE = 16384  # pixels

OnStep = Callable[[str, int, int], None]  # (flag, done, total), before each step and after the last; raises to stop


def retouch_picture(
    picture: np.ndarray,
    prompt: Prompt,
    people: Sequence[Faces],
    tools: Tools,
    seed: int,
    *,
    preview: bool = False,
    on_step: OnStep | None = None,
) -> Retouched:
    """Everything that the prompt's flags ask for after sampling, except ``style``, which belongs to the text.

    Args:
        picture: [H, W, 3] uint8 RGB, as sampled.
        people: the people that the prompt's face tags name, in their order.
        seed: 0 to 2^32 - 1; the same seed gives the same picture.
        preview: swap in people of another embedding space than the swapper's; the likeness is meaningless then.

    Returns:
        The picture, four times as large with super_resolution; the same array object if nothing was done. Notes, each
        beginning with its flag: what was not done, and what is missing for it.

    Raises:
        RetouchError: the result would be too large, or a tool cannot be used; raised before any step.
    """
    check_picture(picture)
    able = {"has_upscaler": tools.upscale is not None, "has_sampler": tools.resample is not None}
    check_result_size(picture.shape[1], picture.shape[0], prompt, **able)
    job = _Job(prompt, tuple(people), tools, seed, preview, (picture.shape[1] * UPSCALE, picture.shape[0] * UPSCALE))
    wanted = [(flag, step) for flag, step in _STEPS.items() if getattr(prompt, flag)]
    notes: list[str] = []
    for number, (flag, step) in enumerate(wanted):
        if on_step is not None:
            on_step(flag, number, len(wanted))
        picture, said = step(picture, job)
        notes += [f"{flag}: {note}" for note in said]
    if on_step is not None and wanted:
        on_step(wanted[-1][0], len(wanted), len(wanted))
    return Retouched(picture, tuple(notes))


def needs_people(prompt: Prompt) -> bool:
    """Whether a flag of the prompt needs the faces of the people that its text names."""
    return any(getattr(prompt, flag) for flag in _OF_PEOPLE)


def check_result_size(width: int, height: int, prompt: Prompt, *, has_upscaler: bool, has_sampler: bool) -> None:
    """Refuse a picture of that size if the prompt's steps would make it too large to process.

    Raises:
        RetouchError: says how large it would be, and what to change.
    """
    if not prompt.super_resolution or not has_upscaler:
        return
    grows = prompt.hires_fix and has_sampler
    largest = hires_size(width, height) if grows else (width, height)
    largest = largest[0] * UPSCALE, largest[1] * UPSCALE
    if max(largest) > MAX_RESULT_SIDE or largest[0] * largest[1] > MAX_PIXELS:
        remedy = "Draw a smaller picture (w, h) or switch super_resolution off"
        raise RetouchError(
            f"super_resolution: a picture of {width}x{height} pixels would become {largest[0]}x{largest[1]}"
            f"{' during the work, with hires_fix' if grows else ''}; at most {MAX_PIXELS // 10**6} megapixels and "
            f"{MAX_RESULT_SIDE} pixels a side can be processed. {remedy}{', or hires_fix' if grows else ''}."
        )


@dataclass(frozen=True, eq=False)
class _Job:
    """What the steps share; ``size`` is what super_resolution makes of the sampled picture (width, height)."""

    prompt: Prompt
    people: tuple[Faces, ...]
    tools: Tools
    seed: int
    preview: bool
    size: tuple[int, int]


def _hires_fix(picture: np.ndarray, job: _Job) -> Retouched:
    if not job.prompt.super_resolution:
        return Retouched(picture, ("has no effect without super_resolution",))
    if job.tools.upscale is None:
        return Retouched(picture, ("skipped: there is no super-resolution model to continue with",))
    if job.tools.resample is None:
        return Retouched(picture, (_NO_SAMPLER,))
    return hires_fix(picture, job.tools.resample, job.seed)


def _face_swap(picture: np.ndarray, job: _Job) -> Retouched:
    if not job.people:
        return Retouched(picture, ("the text names no person to swap in: add a <faceid:...> tag",))
    tools = job.tools
    if tools.swapper is None:
        return Retouched(picture, (_NO_SWAPPER,))
    return swap_faces(picture, job.people, tools.swapper, tools.pack, preview=job.preview, parse=tools.parse)


def _super_resolution(picture: np.ndarray, job: _Job) -> Retouched:
    if job.tools.upscale is None:
        return Retouched(picture, (_NO_UPSCALER,))
    return Retouched(resized(job.tools.upscale(picture), *job.size), ())


def _inpaint_faces(picture: np.ndarray, job: _Job) -> Retouched:
    tools = job.tools
    if not job.prompt.super_resolution:
        return Retouched(picture, ("has no effect without super_resolution",))
    if tools.resample is None:
        return Retouched(picture, (_NO_SAMPLER,))
    return inpaint_faces(picture, job.people, tools.resample, tools.pack, side=tools.trained_side, seed=job.seed)


def _face_correct(picture: np.ndarray, job: _Job) -> Retouched:
    tools = job.tools
    if tools.restorer is None:
        return Retouched(picture, (_NO_RESTORER,))
    faces = find_faces([picture], tools.pack).photos[0].faces
    comparable = [person for person in job.people if person.space == tools.pack.space]
    return restore_faces(
        picture, faces, tools.restorer, people=comparable, pack=tools.pack, run=tools.run, parse=tools.parse
    )


def _color_grading(picture: np.ndarray, job: _Job) -> Retouched:
    return Retouched(grade(picture, job.prompt.color_grading or ""), ())


def _film_grain(picture: np.ndarray, job: _Job) -> Retouched:
    return Retouched(film_grain(picture, job.seed), ())


_STEPS: dict[str, Callable[[np.ndarray, _Job], Retouched]] = {
    "hires_fix": _hires_fix,
    "face_swap": _face_swap,
    "super_resolution": _super_resolution,
    "inpaint_faces": _inpaint_faces,
    "face_correct": _face_correct,
    "color_grading": _color_grading,
    "film_grain": _film_grain,
}
FLAGS = tuple(_STEPS)
_OF_PEOPLE = ("face_swap", "inpaint_faces", "face_correct")

_NO_SAMPLER = "skipped: there is no sampler. Connect guider and vae"
_NO_SWAPPER = (
    "skipped: there is no swapper. Put inswapper_128.onnx into models/insightface "
    "(faceid weights fetch --for face-swap)"
)
_NO_UPSCALER = (
    "skipped: there is no super-resolution model. Put RealESRGAN_x4plus.pth into models/upscale_models "
    "(faceid weights fetch --for super-resolution) and, in a graph, connect Load Upscale Model"
)
_NO_RESTORER = (
    "skipped: there is no restorer. Put GFPGANv1.4.pth into models/facerestore_models "
    "(faceid weights fetch --for face-correct)"
)
