"""ComfyUI's windows over frames, where they retain the conds of given frames in every window.

It writes those conds over the ones at the window's start, whatever frame is there, and our markers with them. So for
such windows the markers are cut out of the whole batch's once more, with the window's own frames.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .following import Options


def retaining_window(model_options: Options, rows: int) -> Callable[[Tensor], Tensor] | None:
    """Cuts a tensor of the whole batch's frames down to the window that runs now.

    Frames whose latents the window retains too are what it shows there, and stay.

    Args:
        model_options: of this evaluation of conds.
        rows: number of latents that are evaluated.

    Returns:
        None where no window runs, or it retains nothing.
    """
    handler = model_options.get("context_handler")
    window = model_options["transformer_options"].get("context_window")
    shown = list(getattr(handler, "latent_retain_index_list", ()))  # since ComfyUI 0.21
    if window is None or window.dim != 0 or not (shown or getattr(handler, "cond_retain_index_list", None)):
        return None
    anchors = getattr(window, "causal_anchor_index", None) is not None  # one frame before the window
    if len(window.index_list) + anchors != rows:
        return None
    return lambda whole: window.get_tensor(whole, retain_index_list=shown)
