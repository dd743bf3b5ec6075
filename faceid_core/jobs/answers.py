"""A job and a tune as the API's objects (docs/facts/astria.md 4.2, 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from ..astria.wire.objects import RemotePrompt, RemoteTune
from ..tunes.tune import Tune
from .job import FAILED, Job, StoredPicture


def prompt_object(job: Job, base_url: str) -> RemotePrompt:
    """The API's prompt object. ``base_url`` has no slash at its end; pictures and ``url`` are below it."""
    fields = job.fields
    cfg_scale = fields.get("cfg_scale")
    return RemotePrompt(
        id=job.id,
        callback=fields.get("callback"),
        trained_at=job.ended_at,
        started_training_at=job.started_at,
        created_at=job.created_at,
        updated_at=job.updated_at,
        tune_id=job.tune_id,
        text=job.text,
        negative_prompt=fields.get("negative_prompt", ""),
        cfg_scale=None if cfg_scale is None else Decimal(str(float(cfg_scale))),
        steps=fields.get("steps"),
        super_resolution=fields.get("super_resolution", False),
        ar=fields.get("ar", "1:1"),
        num_images=fields.get("num_images", 1),
        seed=fields.get("seed"),
        controlnet_conditioning_scale=fields.get("controlnet_conditioning_scale"),
        controlnet_txt2img=fields.get("controlnet_txt2img", False),
        denoising_strength=fields.get("denoising_strength"),
        user_error=job.user_error if job.state == FAILED else None,
        url=f"{base_url}/tunes/{job.tune_id}/prompts/{job.id}.json",
        images=tuple(picture_url(picture, base_url) for picture in job.pictures),
        content_types=tuple(picture.media_type for picture in job.pictures),
        cost_mc=0,
    )


def picture_url(picture: StoredPicture, base_url: str) -> str:
    return f"{base_url}/images/{picture.name}"


def tune_object(
    tune: Tune, base_url: str, photo_names: Iterable[str], title: str, model_type: str | None
) -> RemoteTune:
    """The API's tune object; ``title`` and ``model_type`` are as they were posted."""
    return RemoteTune(
        id=tune.id,
        title=title,
        name=tune.name,
        is_api=tune.is_api,
        token=tune.token,
        eta=tune.eta,
        callback=tune.callback,
        trained_at=tune.trained_at,
        started_training_at=tune.started_training_at,
        expires_at=tune.expires_at or (tune.created_at and tune.created_at + timedelta(days=36500)),
        created_at=tune.created_at,
        updated_at=tune.updated_at,
        model_type=model_type,
        base_tune_id=tune.base_tune_id,
        branch=tune.branch,
        args=tune.args,
        steps=tune.steps,
        face_crop=tune.face_crop,
        training_face_correct=tune.training_face_correct,
        url=f"{base_url}/tunes/{tune.id}.json",
        orig_images=tuple(f"{base_url}/images/{name}" for name in photo_names),
    )
