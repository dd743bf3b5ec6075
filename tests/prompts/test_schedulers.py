"""The API's scheduler names mean something to diffusers and to ComfyUI, and the same to both."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from faceid_tunes.faceid_core.prompts import SCHEDULERS, PromptError, Scheduler, local_scheduler

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("diffusers")]  # one worker loads it

LOCAL = [scheduler for scheduler in SCHEDULERS.values() if not scheduler.why_not_local]


@cache
def sd15():
    """The scheduler of the Stable Diffusion 1.5 checkpoint (scheduler/scheduler_config.json)."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )


def diffusers_scheduler(scheduler: Scheduler, steps: int):
    import diffusers

    made = getattr(diffusers, scheduler.diffusers_class).from_config(sd15().config, **scheduler.diffusers_kwargs)
    made.set_timesteps(steps)
    return made


def test_the_names_are_those_of_the_api():
    assert set(SCHEDULERS) == {
        *("euler", "euler_a", "dpm++2m_karras", "dpm++sde_karras", "dpm++2m", "dpm++sde", "lcm", "tcd")
    }
    assert [scheduler.name for scheduler in SCHEDULERS.values() if scheduler.needs_lcm] == ["lcm"]
    assert [scheduler.name for scheduler in SCHEDULERS.values() if scheduler.why_not_local] == ["tcd"]


@pytest.mark.parametrize("scheduler", LOCAL, ids=lambda scheduler: scheduler.name)
def test_diffusers_takes_every_option(scheduler: Scheduler):
    made = diffusers_scheduler(scheduler, 20)
    assert all(made.config[option] == value for option, value in scheduler.diffusers_options)
    assert len(set(np.asarray(made.timesteps).round(3))) >= 20


@pytest.mark.parametrize("name", ["dpm++2m_karras", "dpm++sde_karras"])
def test_karras_sigmas_follow_the_paper(name: str):
    """Karras et al. 2022, equation 5, rho 7, over 20 steps; the SDE solver repeats all but the first and last."""
    sigmas = np.unique(np.asarray(diffusers_scheduler(local_scheduler(name), 20).sigmas))[::-1]
    alphas = np.asarray(sd15().alphas_cumprod, dtype=np.float64)
    low, high = (((1 - alphas) / alphas) ** 0.5)[[0, -1]]
    expected = (high ** (1 / 7) + np.linspace(0, 1, 20) * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    np.testing.assert_allclose(sigmas[:-1], expected, rtol=1e-4)
    assert sigmas[-1] == 0


def test_an_unknown_scheduler_is_refused_with_a_suggestion():
    with pytest.raises(PromptError, match=r"prompt\[scheduler\].*Did you mean 'dpm\+\+2m_karras'"):
        local_scheduler("dpm++2m karras")
