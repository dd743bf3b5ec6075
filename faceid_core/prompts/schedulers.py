"""The API's scheduler names, and the names of each in ComfyUI and in diffusers.

Plain values: nothing here imports ComfyUI or diffusers. Both columns use the same sigmas, so a prompt gives similar
pictures on both engines: with ``timestep_spacing="linspace"`` diffusers spaces its Euler solvers as ComfyUI's "normal"
does, its multistep solver as "sgm_uniform" does. ``dpm++sde`` is k-diffusion's stochastic solver, which runs the model
twice per step (diffusers needs ``torchsde`` for it).

Names: docs/facts/astria.md 5.1. Sources: DPM-Solver++ (arXiv:2211.01095), Karras et al. (arXiv:2206.00364),
Latent Consistency Models (arXiv:2310.04378), Trajectory Consistency Distillation (arXiv:2402.19159).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .errors import error_in, quoted, suggestion


@dataclass(frozen=True)
class Scheduler:
    """One sampling method.

    ``comfy_sampler`` and ``comfy_schedule`` name ComfyUI's sampler and sigma schedule; ``diffusers_class`` is built
    ``from_config(pipe.scheduler.config, **diffusers_kwargs)``. ``needs_lcm``: the model must use the LCM
    parametrisation and the LCM LoRA. ``why_not_local`` says why this machine cannot run it, or is empty;
    where it is not, the three names are.
    """

    name: str
    comfy_sampler: str
    comfy_schedule: str
    diffusers_class: str
    diffusers_options: tuple[tuple[str, Any], ...] = ()
    needs_lcm: bool = False
    why_not_local: str = ""

    @property
    def diffusers_kwargs(self) -> dict[str, Any]:
        return dict(self.diffusers_options)


_SPACING = ("timestep_spacing", "linspace")
_KARRAS = ("use_karras_sigmas", True)

_SCHEDULERS = (
    Scheduler("euler", "euler", "normal", "EulerDiscreteScheduler", (_SPACING,)),
    Scheduler("euler_a", "euler_ancestral", "normal", "EulerAncestralDiscreteScheduler", (_SPACING,)),
    Scheduler("dpm++2m", "dpmpp_2m", "sgm_uniform", "DPMSolverMultistepScheduler", (_SPACING,)),
    Scheduler("dpm++2m_karras", "dpmpp_2m", "karras", "DPMSolverMultistepScheduler", (_SPACING, _KARRAS)),
    Scheduler("dpm++sde", "dpmpp_sde", "normal", "DPMSolverSDEScheduler", (_SPACING,)),
    Scheduler("dpm++sde_karras", "dpmpp_sde", "karras", "DPMSolverSDEScheduler", (_SPACING, _KARRAS)),
    Scheduler("lcm", "lcm", "simple", "LCMScheduler", needs_lcm=True),
    Scheduler("tcd", "", "", "", why_not_local="ComfyUI has no TCD sampler"),
)

SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType({scheduler.name: scheduler for scheduler in _SCHEDULERS})


def local_scheduler(name: str) -> Scheduler:
    """The scheduler of that name, to run on this machine.

    Raises:
        PromptError: an unknown name, or one that only the remote API runs (``tcd``).
    """
    scheduler = SCHEDULERS.get(name)
    if scheduler is None:
        raise error_in("scheduler", unknown_scheduler(name), suggestion(name, SCHEDULERS).lstrip() or "Choose one.")
    if scheduler.why_not_local:
        raise error_in(
            "scheduler",
            f"{name!r} is unavailable locally ({scheduler.why_not_local})",
            "Use 'lcm', which is as fast, or send the prompt to the remote API.",
        )
    return scheduler


def unknown_scheduler(name: str) -> str:
    return f"{quoted(name)} is not one of {', '.join(SCHEDULERS)}"
