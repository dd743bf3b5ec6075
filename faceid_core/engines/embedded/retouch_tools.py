"""What the embedded engine retouches with."""

from __future__ import annotations

from functools import partial

import torch

from ...adapter.layers import Base
from ...prompts import Prompt, resolve
from ...retouch import Tools, check_result_size, load_tools, load_upscaler, upscale
from ...retouch.restorer import Forward, RunModule
from ..engine import Step
from ..plan import TRAINED_SIDE
from .models import EmbeddedModels


def retouch_tools(prompt: Prompt, models: EmbeddedModels, device: torch.device, step: Step) -> Tools:
    """The tools that the prompt's flags ask for, as far as their files are there; all but the sampler pass.

    Raises:
        RetouchError: a file is something else or damaged, or the finished picture would be too large.
        MissingDependencyError: a package has to be installed to read a file.
    """
    able = {"has_upscaler": models.upscaler is not None, "has_sampler": True}
    settings = resolve(prompt, TRAINED_SIDE[Base.SD15])
    check_result_size(settings.width, settings.height, prompt, **able)
    upscaler = load_upscaler(models.upscaler) if prompt.super_resolution and models.upscaler else None
    return load_tools(
        prompt,
        models.pack,
        swapper=models.swapper,
        restorer=models.restorer,
        run_restorer=lambda restorer: _placed(restorer.module, device),
        upscale=partial(upscale, upscaler=upscaler, device=device, on_tile=partial(step, "enlarging"))
        if upscaler
        else None,
        trained_side=TRAINED_SIDE[Base.SD15],
        parser=models.parser,
        run_parser=lambda parser: _placed(parser.module, device),
    )


def _placed(module: torch.nn.Module | None, device: torch.device) -> RunModule | None:
    """Runs a PyTorch restorer or face parser on the engine's device; onnxruntime places its own (None)."""
    if module is None:
        return None

    def run(forward: Forward, face: torch.Tensor) -> torch.Tensor:
        module.to(device)
        return forward(face.to(device)).cpu()

    return run
