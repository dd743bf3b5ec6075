"""The models and functions for retouching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..faces import FacePack
from ..prompts import Prompt
from .face_parser import FaceParser, Parse, load_parser, parse_crops
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
        parse: tells what is in front of a face, for face_swap and face_correct; None: their plain shapes are used.
    """

    pack: FacePack
    swapper: Swapper | None = None
    restorer: Restorer | None = None
    upscale: Upscale | None = None
    resample: Resample | None = None
    run: RunModule | None = None
    trained_side: int = 512
    parse: Parse | None = None


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
    parser: Path | None = None,
    run_parser: Callable[[FaceParser], RunModule | None] = lambda parser: None,
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
        parser: a file, or None.
        run_parser: how the host runs the loaded parser.

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
        parse=parsing(parser, run_parser) if (prompt.face_swap and swapper) or loaded else None,
    )


def parsing(file: Path | None, run_parser: Callable[[FaceParser], RunModule | None]) -> Parse | None:
    """What tells a face from what is in front of it; None without a file. Arguments and errors: ``load_tools``."""
    if file is None:
        return None
    parser = load_parser(file)
    return partial(parse_crops, parser=parser, run=run_parser(parser))


def shape_note(parse: Parse | None) -> str:
    """Along which line changed faces are laid over the picture, for the user."""
    if parse is not None:
        return "faces are laid over along their parts (BiSeNet, MIT): hair, glasses and what is in front stay"
    return f"faces are laid over in their plain shape: for hair and glasses in front of them, {_PARSER_PLACE}"


def changes_faces(prompt: Prompt, tools: Tools) -> bool:
    """Whether a swapper or restorer runs, so that ``shape_note`` is worth saying."""
    return bool((prompt.face_swap and tools.swapper) or (prompt.face_correct and tools.restorer))


_PARSER_PLACE = "put parsing_bisenet.pth into models/facexlib (faceid weights fetch --for face-mask)"
