"""One sampling with people in it: who is shown, when, in which rows, and where in the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..faceid_core.adapter.attention import IdentityAttention, ReadyIdentity
from ..faceid_core.adapter.rows import Rows, marker, read_markers
from ..faceid_core.errors import AdapterError, counted
from .cutout import Cutout, cutout, enlarged
from .remarks import Remarks, is_positive_name

IDENTITIES = "faceid_identities"  # tuple[Identity, ...], on the model
MARKERS = "faceid_rows"  # the conditioning tensor that says what each row is

PatchKey = tuple[str, int, int]
Cond = list[dict[str, Any]]  # the members of one prompt
Ready = tuple[tuple[IdentityAttention, ReadyIdentity], ...]


@dataclass(frozen=True, eq=False)
class Identity:
    """One person on a model.

    Attributes:
        attention: K and V at a strength.
        patch_keys: ComfyUI's address of each attention layer, in adapter-key order.
        start_at, end_at: share of the sampling (0..1) between which the identity is active.
        adapter: key of the adapter, and ``lora_strength`` at which its LoRA was asked for.
    """

    attention: IdentityAttention
    patch_keys: tuple[PatchKey, ...]
    start_at: float
    end_at: float
    adapter: tuple[object, ...]
    lora_strength: float

    @property
    def always_active(self) -> bool:
        return self.start_at <= 0.0 and self.end_at >= 1.0


class SamplingRun:
    """One sampling: whose conds are positive, when each identity acts, and how large the whole picture is."""

    def __init__(
        self,
        guider: Any,
        identities: Sequence[Identity],
        percent_to_sigma: Callable[[float], float],
        as_cond: Callable[[Tensor], Any],
        tell: Callable[[str], None],
        whole: object = None,
    ) -> None:
        """Before the sampler starts.

        Args:
            as_cond: ComfyUI's wrapping of a tensor that has a row per picture.
            tell: shows sentences at the node that samples.
            whole: what an extension says of the whole picture, see ``cutout``.
        """
        self._guider = guider
        self.identities = tuple(identities)
        self._ranges = tuple(
            None if identity.always_active else (percent_to_sigma(identity.start_at), percent_to_sigma(identity.end_at))
            for identity in identities
        )
        self._as_cond = as_cond
        self._remarks = Remarks(tell)
        self._declared = whole
        self._cutout: Cutout | None = None
        self._evaluated: Cutout | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> SamplingRun:
        return self  # holds the guider, which extensions that deep-copy a model's options must not copy

    def start(self, latent: Tensor) -> None:
        """Mark every member of the guider's conds; ``latent`` [B, C, H, W] is the whole of what is sampled.

        Raises:
            AdapterError: what an extension says of it is not possible.
        """
        self._cutout = self._evaluated = cutout(latent, self._declared)
        if not self._cutout.is_declared:
            self._remarks.of_counts([identity.attention for identity in self.identities], len(latent))
            self._remarks.of_sizes([identity.attention.mask for identity in self.identities], self._cutout.size)
        self._remarks.of_names(tuple(self._guider.conds))
        for name, members in self._guider.conds.items():
            marks = self._marks(positive=is_positive_name(name))
            for member in members:
                member.update(_with_marks(member, marks))

    def active(self, sigmas: Tensor) -> tuple[bool, ...]:
        """Per identity, whether it acts at these noise levels."""
        if not any(self._ranges):
            return (True,) * len(self._ranges)
        sigma = float(sigmas.max())  # the one point where the host waits for the device, once per evaluation
        return tuple(limits is None or limits[1] <= sigma <= limits[0] for limits in self._ranges)

    def evaluate(self, x: Tensor) -> None:
        """``x`` is evaluated from here on. A sampler may have enlarged it; a part of the whole is never larger."""
        if self._cutout is not None:
            self._evaluated = enlarged(self._cutout, (x.shape[-2], x.shape[-1]))

    def marked(self, cond: Cond | None, x: Tensor) -> Cond | None:
        """The list with markers on members that have none, which somebody made while sampling, or that x outgrew."""
        if not cond:
            return cond
        if not all(MARKERS in member["model_conds"] for member in cond):
            marks = self._marks_of_unknown(cond, x)
            cond = [member if MARKERS in member["model_conds"] else _with_marks(member, marks) for member in cond]
        return [self._enlarged(member) for member in cond] if self._evaluated is not self._cutout else cond

    def _enlarged(self, member: dict[str, Any]) -> dict[str, Any]:
        """The same member with the places of what is evaluated now."""
        rows = read_markers(member["model_conds"][MARKERS].cond)
        return _with_marks(member, self._marks(rows.pictures.tolist(), positive=bool(rows.positive[0])))

    def of_window(self, cond: Cond | None, frames: Callable[[Tensor], Tensor]) -> Cond | None:
        """The list with the markers of a window's own frames; ``frames`` cuts them out of those of the whole batch."""

        def own(member: dict[str, Any]) -> dict[str, Any]:
            if MARKERS not in member["model_conds"]:
                return member
            rows = read_markers(member["model_conds"][MARKERS].cond[:1])
            whole = self._marks(positive=bool(rows.positive[0]))
            return _with_marks(member, self._as_cond(frames(whole.cond)))

        return cond and [own(member) for member in cond]

    def ready(self, markers: Tensor | None, x: Tensor, dtype: torch.dtype, active: Sequence[bool]) -> Ready:
        """(attention, what its layers read) of each identity that acts in a UNet call on ``x`` [B, C, h, w].

        Raises:
            AdapterError: it is unknown which row of the call shows what.
        """
        rows = self._rows(markers, x)
        return tuple(
            (identity.attention, identity.attention.ready(rows, dtype, x.device, self._sampled.whole))
            for identity, acts in zip(self.identities, active, strict=True)
            if acts
        )

    @property
    def _sampled(self) -> Cutout:
        if self._evaluated is None:
            raise AdapterError(
                "FaceID cannot tell which rows belong to the positive prompt: an extension calls the model before the "
                "sampler starts. Remove it, or FaceID."
            )
        return self._evaluated

    def _marks(self, pictures: Sequence[int] | None = None, *, positive: bool) -> Any:
        sampled = self._sampled
        size = sampled.size if self._needs_places else None
        return self._as_cond(marker(pictures or sampled.pictures, size, sampled.corner, positive=positive))

    @property
    def _needs_places(self) -> bool:
        return any(identity.attention.needs_places for identity in self.identities)

    @property
    def _needs_pictures(self) -> bool:
        return any(identity.attention.needs_pictures for identity in self.identities)

    def _marks_of_unknown(self, cond: Cond, x: Tensor) -> Any:
        positive = self._is_positive(cond)
        sampled = self._sampled
        is_whole = len(x) == len(sampled.pictures) and tuple(x.shape[-2:]) == sampled.size
        if not is_whole and self._needs_pictures:
            raise AdapterError(
                "An extension samples a prompt of its own on a part of the picture (a tile or a window), and does not "
                "say which part: the masks or frames of FaceID cannot follow. Remove that extension, or the mask."
            )
        if is_whole:
            return self._marks(positive=positive)
        return self._as_cond(marker(range(len(x)), None, positive=positive))

    def _is_positive(self, cond: Cond) -> bool:
        """Of a list without markers: by the guider's own names of its members.

        A list the guider does not know was made by an extension for a further pass, like PerpNeg's empty prompt.
        """
        roles = {name: [member.get("uuid") for member in known] for name, known in self._guider.conds.items()}
        asked = [member.get("uuid") for member in cond]
        # The whole list first: a regional positive's negative twin carries the uuid of the positive.
        for name, known in roles.items():
            if asked == known:
                return is_positive_name(name)
        for is_positive in (True, False):
            uuids = {uuid for name, known in roles.items() if is_positive_name(name) is is_positive for uuid in known}
            if uuids.issuperset(asked):
                return is_positive
        self._remarks.of_an_unknown_prompt()
        return False

    def _rows(self, markers: Tensor | None, x: Tensor) -> Rows:
        if markers is None:
            raise AdapterError(
                "FaceID cannot tell which rows belong to the positive prompt: an extension (a UNet wrapper or guider) "
                "calls the model with a conditioning of its own and leaves out 'faceid_rows'. Remove it, or FaceID."
            )
        if len(markers) != len(x) or (markers.ndim == x.ndim and markers.shape[-2:] != x.shape[-2:]):
            raise AdapterError(
                f"FaceID cannot tell which rows belong to the positive prompt: an extension (a UNet wrapper or "
                f"sampler) calls the model with {_sizes(x)} but says what {_sizes(markers)} are. Remove it, or FaceID."
            )
        return read_markers(markers)


def _with_marks(member: dict[str, Any], marks: Any) -> dict[str, Any]:
    return {**member, "model_conds": {**member["model_conds"], MARKERS: marks}}


def _sizes(x: Tensor) -> str:
    cells = f" of {x.shape[-1]}x{x.shape[-2]}" if x.ndim > 2 else ""
    return counted(len(x), "row") + cells
