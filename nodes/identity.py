"""A person onto a model: shared by the nodes that take faces and those that take a prompt."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..faceid_core.adapter.attention import IdentityAttention, IdentityKV, identity_kv
from ..faceid_core.adapter.lora import strength_to_add
from ..faceid_core.adapter.mask import RegionMask
from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.tokens import check_embedding_space, identity_tokens, tokens_per_face
from ..faceid_core.cache import LRUCache
from ..faceid_core.errors import AdapterError
from ..faceid_core.faces.face import Faces
from .host import models, progress
from .host.identity import attention_heads, identities_on, with_identity
from .sampling_run import Identity

log = logging.getLogger(__name__)

# K and V by their bytes: 0.8 MB for a person on SD 1.5 with 4 tokens, 5 MB on SDXL, more for Portrait or many frames.
_identities: LRUCache[IdentityKV] = LRUCache(limit=256 << 20, cost=lambda kv: kv.nbytes)


@dataclass(frozen=True, eq=False)
class Person:
    """Who to show and how: the inputs of FaceIDApply as a value.

    Attributes:
        title: what to call the person in messages.
        faces: one face per photo.
        strength, lora_strength, structure: see FaceIDApply.
        start_at, end_at: share of the sampling, 0..1.
        preview: allow faces of another embedding space than the adapter's.
        mask: [M, H, W] where the person may appear, picture by picture.
        strengths: a factor on the strength for each picture; () for none.
        faces_per_frame: picture i shows face i alone, instead of all faces as one.
    """

    title: str
    faces: Faces
    strength: float = 1.0
    lora_strength: float = 1.0
    structure: float = 1.0
    start_at: float = 0.0
    end_at: float = 1.0
    preview: bool = False
    mask: Tensor | None = None
    strengths: tuple[float, ...] = ()
    faces_per_frame: bool = False


def show_person(model: Any, adapter: Adapter, person: Person, clip_vision: Any = None) -> Any:
    """A clone of ``model`` that shows the person.

    Raises:
        AdapterError: adapter, model, faces and CLIP vision do not fit together, or a setting is out of range.
    """
    if person.start_at >= person.end_at:
        raise AdapterError(f"start_at ({person.start_at:g}) must be below end_at ({person.end_at:g}).")
    check_embedding_space(adapter, person.faces, preview=person.preview)
    kv = _identity_kv(model, adapter, person, clip_vision)
    mask = None if person.mask is None else RegionMask(person.mask)
    identity = Identity(
        IdentityAttention(kv, person.strength, mask, person.strengths),
        tuple(layer.patch_key for layer in adapter.layers),
        person.start_at,
        person.end_at,
        adapter.key,
        person.lora_strength,
    )
    merged = (shown.lora_strength for shown in identities_on(model) if shown.adapter == adapter.key)
    return with_identity(model, adapter, identity, strength_to_add(person.lora_strength, merged))


def describe(adapter: Adapter, person: Person) -> str:
    """One line for people: what shows whom, and how strongly."""
    count = len(person.faces.faces)
    photos = f"{count} photo{'s' if count > 1 else ''}" + (", one for each frame" if person.faces_per_frame else "")
    return f"{adapter.spec.title}, {photos}, strength {_strength(person)}"


def _strength(person: Person) -> str:
    if not person.strengths:
        return f"{person.strength:g}"
    low, high = (person.strength * limit for limit in (min(person.strengths), max(person.strengths)))
    return f"{low:g} to {high:g} over {len(person.strengths)} pictures"


def _identity_kv(model: Any, adapter: Adapter, person: Person, clip_vision: Any) -> IdentityKV:
    heads = attention_heads(model, adapter)
    uses_clip = adapter.spec.variant.uses_clip and clip_vision is not None

    def compute() -> IdentityKV:
        log.info("Projecting %s through %s", person.title, adapter.name)
        step = progress.bar(3)
        clip = models.clip_features(clip_vision, person.faces) if uses_clip else None
        step(1, 3)
        project = tokens_per_face if person.faces_per_frame else identity_tokens
        tokens = project(adapter, person.faces, clip, person.structure)
        step(2, 3)
        kv = identity_kv(adapter, tokens, heads)
        step(3, 3)
        return kv

    clip_key = models.clip_key(clip_vision) if uses_clip else None
    return _identities.get_or_make(
        (adapter.key, person.faces.digest, person.structure, person.faces_per_frame, tuple(heads), clip_key), compute
    )
