"""A prompt to everything a sampler needs. No module of ComfyUI is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from torch import Tensor

from ..faceid_core.adapter.layers import Base
from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.tokens import check_embedding_space
from ..faceid_core.errors import AdapterError, NoFaceError
from ..faceid_core.faces import Faces, find_pack
from ..faceid_core.prompts import Prompt, Settings, Tag, resolve
from ..faceid_core.prompts.defaults import SD15_RESOLUTION, SDXL_RESOLUTION
from ..faceid_core.prompts.errors import error_at, suggestion
from ..faceid_core.tunes.refs import named_tune
from . import host
from .identity import Person, show_person

_REMOTE_ONLY = (
    "super_resolution",
    "hires_fix",
    "face_correct",
    "face_swap",
    "inpaint_faces",
    "style",
    "color_grading",
    "film_grain",
)
_RESOLUTION = {Base.SD15: SD15_RESOLUTION, Base.SDXL: SDXL_RESOLUTION}


@dataclass(frozen=True)
class Drawing:
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
) -> Drawing:
    """Resolve a prompt's tags, text and parameters against a model.

    Raises:
        PromptError: a tag names no tune or LoRA, its tune has no face for this adapter, or a parameter is not to be had
            locally; says where in the prompt.
        AdapterError: adapter, model and CLIP vision do not fit together.
    """
    settings = resolve(prompt, _RESOLUTION[adapter.spec.base])
    notes = []
    for tag in prompt.parsed.loras:
        model, clip = host.add_lora(model, clip, _lora_file(tag, prompt), tag.strength)
    for tag, title, faces, mask in _tagged_faces(prompt, masks):
        person = Person(title, faces, tag.strength, lora_strength, structure, preview=preview, mask=mask)
        _check_space(prompt, tag, adapter, person)
        model = show_person(model, adapter, person, clip_vision)
        notes.append(f"{person.title} at {person.strength:g}")
    if settings.scheduler.needs_lcm:
        model, lora = host.add_lcm(model, sdxl=adapter.spec.base is Base.SDXL)
        notes.append(f"LCM with {lora}" if lora else "LCM without its LoRA: put an lcm-lora file into models/loras")
    if undrawn := _undrawn(prompt):
        notes.append("not drawn locally yet: " + ", ".join(undrawn))
    positive, negative = (host.encode_text(clip, text) for text in (prompt.parsed.plain_text, prompt.negative_prompt))
    sigmas = host.sigmas(model, settings.scheduler.comfy_schedule, settings.steps)
    return Drawing(
        noise=host.ImageNoise(settings.seeds),
        guider=host.cfg_guider(model, positive, negative, settings.cfg_scale),
        sampler=host.sampler(settings.scheduler.comfy_sampler, settings.seeds),
        sigmas=sigmas,
        latent=host.empty_latent(model, settings.width, settings.height, len(settings.seeds)),
        status=_status(settings, notes),
    )


def _tagged_faces(prompt: Prompt, masks: Tensor | None) -> Iterator[tuple[Tag, str, Faces, Tensor | None]]:
    """Each face tag of the text with the title and the faces of its tune and its mask, [1, H, W]."""
    tags = prompt.parsed.faces
    if not tags:
        return
    if masks is not None and len(masks) not in (1, len(tags)):
        problem = f"{len(tags)} people but {len(masks)} masks"
        raise error_at(prompt.text, tags[0].start, problem, "Connect one mask per faceid tag, or a single one for all.")
    from ..faceid_core.tunes.create import faces_of

    store = host.tune_store()
    pack = find_pack("auto", host.insightface_roots())
    for number, tag in enumerate(tags):
        tune = named_tune(store, tag, prompt.text)
        try:
            faces = faces_of(tune, store, pack, on_photo=host.progress(len(tune.photos)))
        except NoFaceError as error:
            problem = f"tune {tune.title!r} has no face that the pack {pack.name} finds"
            raise error_at(prompt.text, tag.start, problem, str(error)) from error
        yield tag, tune.title, faces, None if masks is None else masks[min(number, len(masks) - 1)].unsqueeze(0)


def _check_space(prompt: Prompt, tag: Tag, adapter: Adapter, person: Person) -> None:
    try:
        check_embedding_space(adapter, person.faces, preview=person.preview)
    except AdapterError as error:
        problem = f"{tag.ref!r} has no face that {adapter.name} understands"
        raise error_at(prompt.text, tag.start, problem, str(error)) from error


def _undrawn(prompt: Prompt) -> list[str]:
    """What the prompt asks for that only the remote API draws so far."""
    return [name for name in _REMOTE_ONLY if getattr(prompt, name)] + [f"--{flag.name}" for flag in prompt.parsed.flags]


def _lora_file(tag: Tag, prompt: Prompt) -> str:
    """The LoRA file a tag names: with or without its folder and ending, in any case."""
    names = host.lora_names()
    wanted = tag.ref.lower()
    for spelled in (str.lower, lambda name: PurePath(name).name.lower(), lambda name: PurePath(name).stem.lower()):
        found = sorted(name for name in names if spelled(name) == wanted)
        if found:
            return found[0]
    stems = [PurePath(name).stem for name in names]
    remedy = f"Put the file into models/loras.{suggestion(tag.ref, stems)}"
    raise error_at(prompt.text, tag.start, f"there is no LoRA {tag.ref!r}", remedy)


def _status(settings: Settings, notes: list[str]) -> str:
    images = f"{len(settings.seeds)} x " if len(settings.seeds) > 1 else ""
    parts = [
        f"{images}{settings.width}x{settings.height}",
        f"{settings.steps} step{'s' if settings.steps > 1 else ''} of {settings.scheduler.name}",
        f"cfg {settings.cfg_scale:g}",
        *notes,
    ]
    return ", ".join(parts)
