"""What a node gives when it is done: its values, what it says, and pictures to look at in the node."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from ...faceid_core.faces import tensor_from_photos
from ...faceid_core.said import Said

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

MOST_PICTURES = 4  # in a node: more are too small to see, and each is written to the disk


def output(*values: Any, said: Said, pictures: Sequence[np.ndarray] | None = None) -> io.NodeOutput:
    """The output of a node that says something. ComfyUI keeps it with the values, so a cached node says it again.

    Args:
        values: of the node's outputs, in their order.
        said: shown in the node and in the log.
        pictures: [H, W, 3] uint8 RGB each, shown in the node; they go into ComfyUI's temporary folder. A node that may
            show some gives a list each time: ComfyUI joins the outputs of a node that runs for each item of a list.
    """
    if text := str(said):
        log.log(logging.WARNING if said.warnings else logging.INFO, "%s", text)
    shown: dict[str, Any] = dict(said.as_output)
    if pictures is not None:
        # Without the graph in its metadata: a face from here may be handed on.
        saved = [
            entry
            for picture in pictures
            for entry in ui.PreviewImage(tensor_from_photos([picture])).as_dict()["images"]
        ]
        shown |= {"images": saved, "animated": [False]}
    return io.NodeOutput(*values, ui=shown)
