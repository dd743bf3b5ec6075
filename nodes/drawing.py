"""A prompt to everything a sampler needs. No module of ComfyUI is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.tokens import preview_note
from ..faceid_core.engines.notes import retouch_note
from ..faceid_core.engines.people import TaggedPerson, tagged_people
from ..faceid_core.engines.plan import Plan, make_plan
from ..faceid_core.faces import find_pack
from ..faceid_core.prompts import Prompt
from ..faceid_core.prompts.errors import error_at
from ..faceid_core.said import Said
from .host import folders, models, progress, sampling, storage
from .identity import Person, show_person


@dataclass(frozen=True)
class SamplerInputs:
    """ComfyUI's NOISE, GUIDER, SAMPLER, SIGMAS and LATENT for one prompt, and what is to say of them."""

    noise: Any
    guider: Any
    sampler: Any
    sigmas: Any
    latent: Any
    said: Said
    doubts: tuple[str, ...]  # whom it cannot vouch for, and why


def draw_settings(
    model: Any,
    clip: Any,
    prompt: Prompt,
    adapter: Adapter,
    *,
    lora_strength: float,
    structure: float,
    preview: bool,
    clip_vision: Any = None,
    masks: Tensor | None = None,
    strengths: tuple[float, ...] = (),
) -> SamplerInputs:
    """Resolve a prompt's tags, text and parameters against a model.

    Raises:
        PromptError: a tag names no tune or LoRA, its tune has no face for this adapter, or a parameter is not available
            locally; says where in the prompt.
        AdapterError: adapter, model and CLIP vision do not fit together.
    """
    person_masks = _checked_masks(prompt, masks)
    find_people = partial(_tagged_people, prompt, adapter, preview)
    plan = make_plan(prompt, adapter.spec.base, folders.lora_names, find_people)
    settings = plan.settings
    for lora in plan.loras:
        model, clip = models.add_lora(model, clip, lora.name, lora.strength, lora.text_strength)
    for tagged, mask in zip(plan.people, person_masks, strict=True):
        person = Person(
            tagged.title,
            tagged.faces,
            tagged.tag.strength,
            lora_strength,
            structure,
            preview=preview,
            mask=mask,
            strengths=strengths,
        )
        model = show_person(model, adapter, person, clip_vision)
    preview_sentence = preview_note(adapter, (person.faces for person in plan.people))
    if settings.scheduler.needs_lcm:
        model = models.add_lcm(model, plan.lcm_lora)
    positive, negative = (models.encode_text(clip, text) for text in (plan.positive, plan.negative))
    sigmas = sampling.sigmas(model, settings.scheduler.comfy_schedule, settings.steps)
    return SamplerInputs(
        noise=sampling.ImageNoise(settings.seeds),
        guider=sampling.cfg_guider(model, positive, negative, settings.cfg_scale),
        sampler=sampling.sampler(settings.scheduler.comfy_sampler, settings.seeds),
        sigmas=sigmas,
        latent=sampling.empty_latent(model, settings.width, settings.height, len(settings.seeds)),
        said=_said(plan, preview_sentence),
        doubts=tuple(filter(None, [preview_sentence, *plan.doubts])),
    )


def _checked_masks(prompt: Prompt, masks: Tensor | None) -> list[Tensor | None]:
    """The masks, [M, H, W], of each face tag of the text: one, or one for each picture."""
    tags = prompt.parsed.faces
    if not tags or masks is None:
        return [None] * len(tags)
    if len(masks) == 1:
        return [masks] * len(tags)
    if len(masks) not in (len(tags), len(tags) * prompt.num_images):
        pictures = f" in {prompt.num_images} pictures" if prompt.num_images > 1 else ""
        problem = f"{len(tags)} people{pictures} but {len(masks)} masks"
        remedy = "Connect one mask per faceid tag, one per tag and picture, or a single one for all."
        raise error_at(prompt.text, tags[0].start, problem, remedy)
    return list(masks.split(len(masks) // len(tags)))


def _tagged_people(prompt: Prompt, adapter: Adapter, preview: bool) -> Iterator[TaggedPerson]:
    if not prompt.parsed.faces:  # drawn whatever the store says
        return iter(())
    pack = find_pack("auto", folders.insightface_roots())
    on_photo = progress.bar(1)
    return tagged_people(prompt, storage.tune_store(), adapter, pack, preview=preview, on_photo=on_photo)


def _said(plan: Plan, preview_sentence: str) -> Said:
    settings = plan.settings
    images = f"{len(settings.seeds)} x " if len(settings.seeds) > 1 else ""
    parts = [
        f"{images}{settings.width}x{settings.height}",
        f"{settings.steps} step{'s' if settings.steps > 1 else ''} of {settings.scheduler.name}",
        f"cfg {settings.cfg_scale:g}",
        *plan.who,
        *plan.drawing_notes,
    ]
    warnings = filter(None, [preview_sentence, *plan.doubts, *plan.left_out])
    return Said(tuple(warnings), tuple(filter(None, [", ".join(parts), retouch_note(plan.prompt)])))
