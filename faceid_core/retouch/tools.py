"""The models and functions for retouching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..faces import FacePack
from ..prompts import Prompt
from .resample import Resample
from .restorer import Restorer, RunModule, load_restorer
from .swapper import Swapper, load_swapper

Upscale = Callable[[np.ndarray], np.ndarray]  # [H, W, 3] uint8 RGB to the same, larger


@dataclass(frozen=True, eq=False)
class Tools:
    """The models and functions for retouching; None: not available, and its flags do not change the picture.

    Attributes:
        pack: finds faces and compares them with the people's.
        swapper: for face_swap.
        restorer: for face_correct; ``run`` runs its module as the host needs it (``restore_crop``).
        upscale: for super_resolution: [H, W, 3] uint8 to the same, four times as large; the result of another factor is
        resized.
        resample: a sampler pass, for hires_fix and inpaint_faces.
        trained_side: pixels a side of the pictures that the checkpoint was trained on.
    """

    pack: FacePack
    swapper: Swapper | None = None
    restorer: Restorer | None = None
    upscale: Upscale | None = None
    resample: Resample | None = None
    run: RunModule | None = None
    trained_side: int = 512


def load_tools(
    prompt: Prompt,
    pack: FacePack,
    *,
    swapper: Path | None,
    restorer: Path | None,
    run_restorer: Callable[[Restorer], RunModule | None],
    upscale: Upscale | None = None,
    resample: Resample | None = None,
    trained_side: int,
) -> Tools:
    """The tools that a prompt's flags ask for; files that no flag asks for are not read.

    Args:
        pack: finds faces.
        swapper: a file, or None.
        restorer: a file, or None.
        run_restorer: how the host runs the loaded restorer.
        upscale: see ``Tools``.
        resample: see ``Tools``.
        trained_side: see ``Tools``.

    Raises:
        RetouchError: a file is of another kind or damaged.
        MissingDependencyError: a package that reads a file is not installed.
    """
    loaded = load_restorer(restorer) if prompt.face_correct and restorer else None
    return Tools(
        pack=pack,
        swapper=load_swapper(swapper) if prompt.face_swap and swapper else None,
        restorer=loaded,
        upscale=upscale,
        resample=resample,
        run=run_restorer(loaded) if loaded else None,
        trained_side=trained_side,
    )
