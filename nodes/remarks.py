"""Sentences about one sampling for the node that samples and for the log: what is served otherwise than it looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..faceid_core.adapter.attention import IdentityAttention
from ..faceid_core.adapter.mask import RegionMask
from ..faceid_core.errors import counted

log = logging.getLogger(__name__)

_PIXELS = 8  # a side of a cell of the latent


class Remarks:
    """Makes each remark once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """``tell`` shows sentences at the node that samples, in place of those before."""
        self._tell = tell
        self._told: list[str] = []

    def of_counts(self, people: Sequence[IdentityAttention], pictures: int) -> None:
        """A list with a value for each picture is shorter or longer than the batch."""
        for person in people:
            for name, count in person.per_picture.items():
                if count > pictures:
                    served = f"the first {pictures} of them" if pictures > 1 else "the first of them"
                    self._once(f"FaceID: {name}: {count} for {counted(pictures, 'picture')}; only {served} count.")
                elif count < pictures:
                    self._once(f"FaceID: {name}: {count} for {pictures} pictures; they start again from the first.")

    def of_sizes(self, masks: Sequence[RegionMask | None], cells: tuple[int, int]) -> None:
        """A sampling of one tile looks like one of a whole picture; a mask larger than it is a sign of that."""
        height, width = (_PIXELS * side for side in cells)
        for mask in masks:
            if mask is not None and (mask.mask.shape[1] > height or mask.mask.shape[2] > width):
                self._once(
                    f"FaceID: mask: it is {mask.mask.shape[2]}x{mask.mask.shape[1]}, larger than the picture "
                    f"({width}x{height}), and is scaled down to it. If this is one tile of a picture that an upscaler "
                    "samples tile by tile, the whole mask lands in each tile: remove the mask for that upscaler."
                )

    def of_names(self, names: Sequence[str]) -> None:
        """Of a guider's prompts there are some whose names do not tell whether they are to show the person."""
        unknown = [name for name in names if not is_positive_name(name) and not _is_other_name(name)]
        if unknown or not any(map(is_positive_name, names)):
            self._once(
                f"FaceID: the prompts of this guider are called {', '.join(names)}. A person is shown only in those "
                "whose name begins with 'positive'."
            )

    def of_an_unknown_prompt(self) -> None:
        """A list of conds that the guider does not know."""
        self._once(
            "FaceID: an extension samples with a prompt that is neither the positive nor the negative one; "
            "no person is shown in it."
        )

    def _once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.append(sentence)
            log.warning("%s", sentence)
            self._tell("\n".join(self._told))


def is_positive_name(name: str) -> bool:
    """Whether a guider's prompt of that name is to show the person."""
    return name.startswith("positive")


def _is_other_name(name: str) -> bool:
    # As ComfyUI's guiders call them: "negative", "empty_negative_prompt", "middle".
    return "negative" in name or name == "middle"
