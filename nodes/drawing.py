"""A prompt to everything a sampler needs. No module of ComfyUI is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..faceid_core.adapter.layers import Base
from ..faceid_core.adapter.model import Adapter
from ..faceid_core.engines.lora_tags import lora_file
from ..faceid_core.engines.notes import not_local_note, retouch_note
from ..faceid_core.engines.people import TaggedPerson, tagged_people
from ..faceid_core.faces import find_pack
from ..faceid_core.prompts import Prompt, Settings, resolve
from ..faceid_core.prompts.defaults import SD15_RESOLUTION, SDXL_RESOLUTION
from ..faceid_core.prompts.errors import error_at
from ..faceid_core.prompts.styles import styled
from .host import folders, models, progress, sampling, storage
from .identity import Person, show_person

_RESOLUTION = {Base.SD15: SD15_RESOLUTION, Base.SDXL: SDXL_RESOLUTION}


@dataclass(frozen=True)
class SamplerInputs:
    """ComfyUI's NOISE, GUIDER, SAMPLER, SIGMAS and LATENT for one prompt, and a line that says what they will do."""

    noise: Any
    guider: Any
    sampler: Any
    sigmas: Any
    latent: Any
    status: str


def draw_settings(
    model: Any,
    clip: Any,
    prompt: Prompt,
    adapter: Adapter,
    *,
    lora_strength: float,
    structure: float,
    preview: bool,
    clip_vision: Any,
    masks: Tensor | None,
) -> SamplerInputs:
    """Resolve a prompt's tags, text and parameters against a model.

    Raises:
        PromptError: a tag names no tune or LoRA, its tune has no face for this adapter, or a parameter is not to be had
            locally; says where in the prompt.
        AdapterError: adapter, model and CLIP vision do not fit together.
    """
    settings = resolve(prompt, _RESOLUTION[adapter.spec.base])
    notes = []
    for tag in prompt.parsed.loras:
        model, clip = models.add_lora(model, clip, lora_file(tag, prompt, folders.lora_names()), tag.strength)
    person_masks = _checked_masks(prompt, masks)
    for tagged, mask in zip(_tagged_people(prompt, adapter, preview), person_masks, strict=True):
        person = Person(
            tagged.title, tagged.faces, tagged.tag.strength, lora_strength, structure, preview=preview, mask=mask
        )
        model = show_person(model, adapter, person, clip_vision)
        notes.append(f"{person.title} at {person.strength:g}")
    if settings.scheduler.needs_lcm:
        model, lora = models.add_lcm(model, sdxl=adapter.spec.base is Base.SDXL)
        notes.append(f"LCM with {lora}" if lora else "LCM without its LoRA: put an lcm-lora file into models/loras")
    if prompt.style:
        notes.append(prompt.style)
    notes += filter(None, (retouch_note(prompt), not_local_note(prompt)))
    texts = styled(prompt.parsed.plain_text, prompt.negative_prompt, prompt.style)
    positive, negative = (models.encode_text(clip, text) for text in texts)
    sigmas = sampling.sigmas(model, settings.scheduler.comfy_schedule, settings.steps)
    return SamplerInputs(
        noise=sampling.ImageNoise(settings.seeds),
        guider=sampling.cfg_guider(model, positive, negative, settings.cfg_scale),
        sampler=sampling.sampler(settings.scheduler.comfy_sampler, settings.seeds),
        sigmas=sigmas,
        latent=sampling.empty_latent(model, settings.width, settings.height, len(settings.seeds)),
        status=_status(settings, notes),
    )


def _checked_masks(prompt: Prompt, masks: Tensor | None) -> list[Tensor | None]:
    """The mask, [1, H, W], of each face tag of the text."""
    tags = prompt.parsed.faces
    if not tags or masks is None:
        return [None] * len(tags)
    if len(masks) not in (1, len(tags)):
        problem = f"{len(tags)} people but {len(masks)} masks"
        raise error_at(prompt.text, tags[0].start, problem, "Connect one mask per faceid tag, or a single one for all.")
    return [masks[min(number, len(masks) - 1)].unsqueeze(0) for number in range(len(tags))]


def _tagged_people(prompt: Prompt, adapter: Adapter, preview: bool) -> Iterator[TaggedPerson]:
    if not prompt.has_face:
        return iter(())
    pack = find_pack("auto", folders.insightface_roots())
    on_photo = progress.bar(1)
    return tagged_people(prompt, storage.tune_store(), adapter, pack, preview=preview, on_photo=on_photo)


def _status(settings: Settings, notes: list[str]) -> str:
    images = f"{len(settings.seeds)} x " if len(settings.seeds) > 1 else ""
    parts = [
        f"{images}{settings.width}x{settings.height}",
        f"{settings.steps} step{'s' if settings.steps > 1 else ''} of {settings.scheduler.name}",
        f"cfg {settings.cfg_scale:g}",
        *notes,
    ]
    return ", ".join(parts)
