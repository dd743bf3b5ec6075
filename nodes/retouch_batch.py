"""A batch of pictures through the core's retouching. No module of ComfyUI is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..faceid_core.adapter.layers import Base
from ..faceid_core.engines.people import person_of_tag
from ..faceid_core.engines.plan import TRAINED_SIDE
from ..faceid_core.faces import FacePack, Faces, find_pack, photos_from_tensor, tensor_from_photos
from ..faceid_core.prompts import Prompt, resolve
from ..faceid_core.prompts.defaults import resolve_seeds
from ..faceid_core.prompts.seeds import seed_per_image
from ..faceid_core.retouch import Retouched, changes_faces, load_tools, needs_people, retouch_picture, shape_note
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .host import folders, progress, storage
from .host.retouch import base_of, resampler, run_parser, run_restorer, upscaler


def retouch_images(
    images: Tensor,
    prompt: Prompt,
    *,
    swap_model: str,
    restore_model: str,
    preview: bool,
    upscale_model: Any,
    guider: Any,
    vae: Any,
    on_step: Callable[[str, int, int], None],
) -> tuple[Tensor, Said]:
    """Everything the prompt asks for after sampling. Returns the pictures, [B, H, W, 3], and what is to say.

    Raises:
        PromptError: a tag names nobody, or somebody without a face.
        RetouchError: a file is something else, or the result would be too large.
    """
    pack = find_pack("auto", folders.insightface_roots())
    people = people_of(prompt, pack) if needs_people(prompt) else []
    side, resample_of = TRAINED_SIDE[Base.SD15], None
    if guider is not None and vae is not None:
        side = TRAINED_SIDE[base_of(guider)]
        resample_of = partial(resampler, guider, vae, resolve(prompt, side), len(prompt.parsed.faces))
    tools = load_tools(
        prompt,
        pack,
        swapper=folders.swapper_path(swap_model) if prompt.face_swap else None,
        restorer=folders.restorer_path(restore_model) if prompt.face_correct else None,
        run_restorer=run_restorer,
        upscale=upscaler(upscale_model) if upscale_model is not None else None,
        trained_side=side,
        parser=folders.parser_path(),
        run_parser=run_parser,
    )
    seeds = seed_per_image(resolve_seeds(prompt), len(images))

    def retouch(picture: np.ndarray, number: int) -> Retouched:
        of_picture = replace(tools, resample=resample_of(number) if resample_of else None)
        return retouch_picture(picture, prompt, people, of_picture, seeds[number], preview=preview, on_step=on_step)

    finished, notes = retouched(images, retouch)
    return finished, Said(tuple(notes), (shape_note(tools.parse),) if changes_faces(prompt, tools) else ())


def retouched(images: Tensor, retouch: Callable[[np.ndarray, int], Retouched]) -> tuple[Tensor, list[str]]:
    """Each picture through ``retouch(picture, number)``; pictures it leaves alone stay bit for bit the same.

    A fourth channel, transparency, stays as it is; in a picture of another size it is scaled. Colours are taken as they
    are stored, also where they are transparent.
    """
    if images.ndim == 4 and images.shape[3] == 4:
        photos_from_tensor(images)  # refuses numbers that no picture has, in the transparency, too
        colours, notes = retouched(images[..., :3], retouch)
        return torch.cat([colours, _scaled(images[..., 3:], colours)], dim=-1), notes
    pictures = photos_from_tensor(images)
    results = [retouch(picture, number) for number, picture in enumerate(pictures)]
    notes = [
        f"image {number}: {note}" if len(results) > 1 else note
        for number, result in enumerate(results, 1)
        for note in result.notes
    ]
    kept = [result.picture is picture for result, picture in zip(results, pictures, strict=True)]
    if all(kept):
        return images, notes
    changed = tensor_from_photos([result.picture for result in results])
    if changed.shape == images.shape:
        changed = torch.where(torch.tensor(kept)[:, None, None, None], images.to(changed), changed)
    return changed.to(images.device), notes


def _scaled(transparency: Tensor, like: Tensor) -> Tensor:
    """[B, H, W, 1] of the height, width, number type and device of [B, h, w, C]; bit for bit at the same size."""
    if transparency.shape[1:3] != like.shape[1:3]:
        moved = transparency.movedim(-1, 1).to(torch.float32)
        moved = torch.nn.functional.interpolate(moved, like.shape[1:3], mode="bilinear", antialias=True)
        transparency = moved.movedim(1, -1)
    return transparency.to(like)


def people_of(prompt: Prompt, pack: FacePack) -> list[Faces]:
    """The faces of whom the prompt names, in its order, read with ``pack``.

    Raises:
        PromptError: a tag names no tune, or one in which the pack finds no face; points at the tag.
    """
    if not prompt.parsed.faces:
        return []
    store = storage.tune_store()
    return [person_of_tag(prompt, tag, store, pack, progress.bar(1))[1] for tag in prompt.parsed.faces]


def person_of(tune: Tune, pack: FacePack) -> Faces:
    """The tune's faces, read with ``pack``. Raises NoFaceError."""
    from ..faceid_core.tunes.faces import faces_of

    return faces_of(tune, storage.tune_store(), pack, progress.bar(len(tune.photos)))


def photos_of(tune: Tune) -> list[np.ndarray]:
    """The tune's photos, [H, W, 3] uint8 each."""
    from ..faceid_core.faces import read_photo

    return [read_photo(storage.tune_store().photo_bytes(tune, photo)) for photo in tune.used_photos]
