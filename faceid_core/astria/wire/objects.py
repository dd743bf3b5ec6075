"""The API's objects as values (docs/facts/astria.md 4.2, 5.2). Times are timezone-aware UTC.

``extra`` holds unknown keys, so that an object is written with every key it was read with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Extra = Mapping[str, Any]


@dataclass(frozen=True)
class RemoteTune:
    """A tune on the remote API; a FaceID tune is ready from the start (``trained_at`` set)."""

    id: int
    title: str | None = None
    name: str | None = None
    is_api: bool | None = None
    token: str | None = None
    eta: datetime | None = None
    callback: str | None = None
    trained_at: datetime | None = None
    started_training_at: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    model_type: str | None = None
    base_tune_id: int | None = None
    branch: str | None = None
    args: str | None = None
    steps: int | None = None
    face_crop: bool | None = None
    training_face_correct: bool | None = None
    ckpt_url: str | None = None
    ckpt_urls: tuple[str, ...] = ()
    url: str | None = None
    orig_images: tuple[str, ...] = ()
    cost_mc: int | None = None  # 100,000 = US$1
    extra: Extra = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class RemotePrompt:
    """A prompt on the remote API.

    ``tune_id`` is the base model it was posted to, not the FaceID tune. ``cfg_scale`` is a decimal because the API
    writes it as a string (``"3.0"``). ``images`` are plain addresses without a suffix; ``url`` is this object's own.
    """

    id: int
    callback: str | None = None
    trained_at: datetime | None = None
    started_training_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    tune_id: int | None = None
    text: str | None = None
    negative_prompt: str | None = None
    cfg_scale: Decimal | None = None
    steps: int | None = None
    super_resolution: bool | None = None
    ar: str | None = None
    num_images: int | None = None
    seed: int | None = None
    controlnet_conditioning_scale: float | None = None
    controlnet_txt2img: bool | None = None
    denoising_strength: float | None = None
    user_error: str | None = None
    url: str | None = None
    images: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    cost_mc: int | None = None
    extra: Extra = field(default_factory=dict, compare=False, repr=False)

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``done`` or ``failed``; the API has no field for it.

        One image may appear before the others: the prompt is done when the API gives a time (``trained_at``) or all
        images are there. ``ended`` is the moment between: the work is over, and there is neither an image nor an error
        yet. Images that come with an error are done: they are paid for.
        """
        if self.user_error and not self.images:
            return "failed"
        if self.images and (self.trained_at or self.user_error or len(self.images) >= (self.num_images or 1)):
            return "done"
        if self.trained_at:
            return "ended"
        return "running" if self.started_training_at or self.images else "queued"


@dataclass(frozen=True)
class Account:
    """The owner of the key, and the balance. ``balance_mc``: 100,000 = US$1; None when the API does not say."""

    id: int | None
    name: str | None
    email: str | None
    balance_mc: int | None
    extra: Extra = field(default_factory=dict, compare=False, repr=False)

    @property
    def balance_usd(self) -> float | None:
        return None if self.balance_mc is None else self.balance_mc / MC_PER_USD


MC_PER_USD = 100_000
