"""The local engines' defaults for what a prompt leaves open. They are defined here only.

What is left open, what it becomes, and why:

    left open           becomes                               because
    cfg_scale           3 with a face tag, 7.5 without        the FaceID page; Stable Diffusion's own default
    cfg_scale with lcm  1.5                                   the LCM model includes guidance; 3 overexposes
    steps               30; 6 with lcm                        the API's examples; its LCM page (5 to 6)
    scheduler           dpm++2m_karras                        few steps; adds no noise: a batch equals single runs
    seed                42                                    what the API's worker uses; the same picture again
    size                the base resolution's area in the     what the checkpoint was trained on
                        asked aspect ratio
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import error_in
from .prompt import MAX_SIDE, MIN_SIDE, Prompt
from .schedulers import Scheduler, local_scheduler
from .seeds import seeds_from

FACE_CFG_SCALE = 3.0
PLAIN_CFG_SCALE = 7.5
LCM_CFG_SCALE = 1.5
STEPS = 30
LCM_STEPS = 6
SCHEDULER = "dpm++2m_karras"
SEED = 42

SD15_RESOLUTION = 512
SDXL_RESOLUTION = 1024

# The API does not say which ratios its legacy names mean; these are the ones photographers use.
LEGACY_RATIOS = {"portrait": "2:3", "landscape": "3:2"}


@dataclass(frozen=True)
class Settings:
    """Every value that a sampler needs. ``seeds`` has one entry per image."""

    width: int
    height: int
    steps: int
    cfg_scale: float
    scheduler: Scheduler
    seeds: tuple[int, ...]


def resolve(prompt: Prompt, base_resolution: int) -> Settings:
    """The values of ``prompt``, with defaults for what it leaves open.

    base_resolution: the side in pixels that the checkpoint was trained at (512 SD1.5, 1024 SDXL).

    Raises:
        PromptError: a scheduler this machine cannot run, or a size as in ``resolve_size``.
    """
    scheduler = local_scheduler(prompt.scheduler or SCHEDULER)
    width, height = resolve_size(prompt, base_resolution)
    return Settings(
        width=width,
        height=height,
        steps=prompt.steps or (LCM_STEPS if scheduler.needs_lcm else STEPS),
        cfg_scale=resolve_cfg_scale(prompt),
        scheduler=scheduler,
        seeds=resolve_seeds(prompt),
    )


def resolve_cfg_scale(prompt: Prompt) -> float:
    """The guidance scale: the prompt's own, or the default for what it draws."""
    if prompt.cfg_scale is not None:
        return float(prompt.cfg_scale)
    if prompt.scheduler == "lcm":
        return LCM_CFG_SCALE
    return FACE_CFG_SCALE if prompt.has_face else PLAIN_CFG_SCALE


def resolve_seeds(prompt: Prompt) -> tuple[int, ...]:
    """One seed per image, see ``seeds_from``."""
    return seeds_from(SEED if prompt.seed is None else prompt.seed, prompt.num_images)


def resolve_size(prompt: Prompt, base_resolution: int) -> tuple[int, int]:
    """Width and height in pixels, multiples of 8 (the VAE's step).

    ``w`` and ``h`` when both are given; with one of them the other follows from the aspect ratio; with neither, the
    sides of that ratio whose area is nearest to ``base_resolution`` squared. Multiples of 8, not of 64, because on a
    512 base a step of 64 changes 16:9 to 1.67 or 1.83.

    Raises:
        PromptError: one side was given and the ratio puts the other outside 64 to 4096.
    """
    if prompt.w and prompt.h:
        return prompt.w, prompt.h
    ratio = _ratio(prompt)
    if prompt.h:
        return _other_side("h", prompt.h, ratio), prompt.h
    if prompt.w:
        return prompt.w, _other_side("w", prompt.w, 1 / ratio)
    width = _multiple_of_8(base_resolution * math.sqrt(ratio))
    return width, _multiple_of_8(width / ratio)


def _other_side(field: str, side: int, ratio: float) -> int:
    other = _multiple_of_8(side * ratio)
    if not MIN_SIDE <= other <= MAX_SIDE:
        problem = f"{side} would make the other side {other} in this aspect ratio, outside {MIN_SIDE} to {MAX_SIDE}"
        raise error_in(field, problem, "Give both w and h, or another aspect_ratio.")
    return other


def _ratio(prompt: Prompt) -> float:
    name = prompt.aspect_ratio or LEGACY_RATIOS.get(prompt.ar, prompt.ar)
    width, height = name.split(":")
    return int(width) / int(height)


def _multiple_of_8(side: float) -> int:
    return round(side / 8) * 8
