"""ComfyUI knows the samplers by the names we give it, and steps through the sigmas diffusers steps through."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from faceid_tunes.faceid_core.prompts import SCHEDULERS
from faceid_tunes.faceid_core.prompts.defaults import LCM_STEPS
from support.comfyui import ComfyUIMissingError, find_comfyui

pytestmark = [pytest.mark.comfyui, pytest.mark.xdist_group("inside")]  # needs no ComfyUI that runs

STEPS = 20
LOCAL = [scheduler for scheduler in SCHEDULERS.values() if not scheduler.why_not_local]

# Runs in ComfyUI's interpreter; sys.argv[2:] are the schedules to compute.
SCRIPT = """
import json, sys
schedules, sys.argv = sys.argv[2:], ["comfyui", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import comfy.samplers, comfy.model_sampling
from comfy_extras.nodes_model_advanced import ModelSamplingDiscreteDistilled

def sampling(kind):
    return type("Sampling", (kind, comfy.model_sampling.EPS), {})()

sigmas = comfy.samplers.calculate_sigmas

plain, lcm = sampling(comfy.model_sampling.ModelSamplingDiscrete), sampling(ModelSamplingDiscreteDistilled)
print(json.dumps({
    "samplers": comfy.samplers.SAMPLER_NAMES,
    "sigmas": {schedule: sigmas(plain, schedule, STEPS).tolist() for schedule in schedules},
    "lcm": {schedule: [float(lcm.timestep(s)) for s in sigmas(lcm, schedule, LCM)[:-1]] for schedule in schedules},
}))
""".replace("STEPS", str(STEPS)).replace("LCM", str(LCM_STEPS))


@pytest.fixture(scope="module")
def comfyui() -> dict:
    try:
        installation = find_comfyui()
    except ComfyUIMissingError as error:
        pytest.skip(str(error))
    schedules = sorted({scheduler.comfy_schedule for scheduler in LOCAL})
    run = subprocess.run(
        [installation.python, "-c", SCRIPT, "schedules", *schedules],
        cwd=installation.path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("scheduler", LOCAL, ids=lambda scheduler: scheduler.name)
def test_comfyui_draws_with_the_steps_of_diffusers(comfyui: dict, scheduler):
    import diffusers

    assert scheduler.comfy_sampler in comfyui["samplers"]
    config = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, set_alpha_to_one=False
    ).config
    theirs = getattr(diffusers, scheduler.diffusers_class).from_config(config, **scheduler.diffusers_kwargs)
    theirs.set_timesteps(LCM_STEPS if scheduler.needs_lcm else STEPS)
    if scheduler.needs_lcm:
        np.testing.assert_allclose(comfyui["lcm"][scheduler.comfy_schedule], theirs.timesteps)
    else:
        # The two-evaluation solver lists its inner sigmas twice; diffusers rounds the multistep solver's timesteps.
        sigmas = np.unique(np.asarray(theirs.sigmas))[::-1]
        np.testing.assert_allclose(comfyui["sigmas"][scheduler.comfy_schedule], sigmas, rtol=2e-3)
