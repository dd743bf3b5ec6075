"""A job and a tune as the API's objects (docs/facts/astria.md 4.2, 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

from ..astria.wire.objects import RemotePrompt, RemoteTune
from ..prompts import Prompt
from ..tunes.tune import Tune
from .job import FAILED, Job, StoredPicture

# What the API's objects take over as it is.
_OF_THE_PROMPT = {field.name for field in fields(RemotePrompt)} & {field.name for field in fields(Prompt)} - {"text"}
_NOT_OF_THE_TUNE = {"title", "model_type", "expires_at", "url", "orig_images"}
_OF_THE_TUNE = {field.name for field in fields(RemoteTune)} & {field.name for field in fields(Tune)} - _NOT_OF_THE_TUNE
_FOR_EVER = timedelta(days=36500)  # clients read a time


def prompt_object(job: Job, base_url: str) -> RemotePrompt:
    """The API's prompt object. ``base_url`` has no slash at its end; pictures and ``url`` are below it."""
    given = {name: job.fields.get(name, Prompt.__dataclass_fields__[name].default) for name in _OF_THE_PROMPT}
    cfg_scale = given["cfg_scale"]
    return RemotePrompt(
        **given | {"cfg_scale": None if cfg_scale is None else Decimal(str(float(cfg_scale)))},
        **{name: getattr(job, name) for name in ("id", "tune_id", "text", "created_at", "updated_at")},
        trained_at=job.ended_at,
        started_training_at=job.started_at,
        user_error=job.user_error if job.state == FAILED else None,
        url=f"{base_url}/tunes/{job.tune_id}/prompts/{job.id}.json",
        images=tuple(picture_url(picture, base_url) for picture in job.pictures),
        content_types=tuple(picture.media_type for picture in job.pictures),
        cost_mc=0,
    )


def picture_url(picture: StoredPicture, base_url: str) -> str:
    return f"{base_url}/images/{picture.name}"


def photo_names(tune: Tune) -> tuple[str, ...]:
    """The addresses of a tune's photos below ``images``: only who has a photo, or was told, knows its sha256."""
    return tuple(f"tune-{tune.id}-{number}-{photo.sha256}" for number, photo in enumerate(tune.photos))


def tune_object(
    tune: Tune, base_url: str, photo_names: Iterable[str], title: str, model_type: str | None
) -> RemoteTune:
    """The API's tune object; ``title`` and ``model_type`` are as they were posted."""
    return RemoteTune(
        **{name: getattr(tune, name) for name in _OF_THE_TUNE},
        title=title,
        model_type=model_type,
        expires_at=tune.expires_at or (tune.created_at and tune.created_at + _FOR_EVER),
        url=f"{base_url}/tunes/{tune.id}.json",
        orig_images=tuple(f"{base_url}/images/{name}" for name in photo_names),
    )
