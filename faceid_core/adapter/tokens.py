"""A person's faces to identity tokens, positive and negative.

The negative tokens are not zeros: they are the projection of a zero embedding (and of a blank picture's CLIP
features), because that is what the models were trained to see when identity is dropped.
Source: tencent-ailab/IP-Adapter, ``get_image_embeds`` (ip_adapter_faceid.py, ip_adapter_faceid_separate.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import AdapterError
from ..faces.face import Faces
from .model import Adapter
from .projections import project_mlp, project_plus, project_resampler
from .variants import Variant


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """What CLIP ViT-H sees: penultimate hidden states, before the final LayerNorm.

    Attributes:
        crops: [n, 257, 1280] of the n aligned 224 crops.
        blank: [1, 257, 1280] of a picture whose *normalised* pixels are all zero (mid grey, not black).
    """

    crops: Tensor
    blank: Tensor


@dataclass(frozen=True, eq=False)
class IdentityTokens:
    """Tokens of one person, float32: ``negative`` [T, C]; ``positive`` [T, C], or of a face per picture [F, T, C]."""

    positive: Tensor
    negative: Tensor


def check_embedding_space(adapter: Adapter, faces: Faces, *, preview: bool) -> None:
    """Refuse embeddings of a recogniser the adapter was not trained on, unless asked for a preview.

    Both spaces have 512 numbers, so nothing downstream would notice: the picture would just show somebody else.
    """
    if faces.space == adapter.spec.space or preview:
        return
    pack = adapter.spec.pack
    raise AdapterError(
        f"The faces were read with the face pack {faces.pack!r} (embedding space {faces.space!r}), but "
        f"{adapter.name} was trained on {pack} ({adapter.spec.space!r}): the picture would show somebody else. "
        f"Install {pack} into models/insightface/models/{pack} and choose it in FaceID Extract Face. "
        "To try the workflow without it, switch on 'preview'; the likeness will be meaningless."
    )


def preview_note(adapter: Adapter, people: Iterable[Faces]) -> str:
    """What is said of a picture of people whose embeddings the adapter was not trained on; "" when there are none."""
    packs = sorted({faces.pack for faces in people if faces.space != adapter.spec.space})
    if not packs:
        return ""
    return f"PREVIEW: faces from {', '.join(packs)}, not {adapter.spec.pack}; the likeness is meaningless"


def identity_tokens(
    adapter: Adapter, faces: Faces, clip: ClipFeatures | None = None, structure: float = 1.0
) -> IdentityTokens:
    """Project a person's faces.

    Portrait models give every photo its own tokens; all others take the mean of the unit embeddings (and of the
    CLIP features), so one person is always ``spec.tokens`` tokens however many photos there are.

    Args:
        adapter: the FaceID model.
        faces: one face per photo of the same person.
        clip: CLIP features of ``faces``' crops; needed by Plus and PlusV2, not looked at by the others.
        structure: weight of the CLIP part of PlusV2 (1.0 as trained).

    Raises:
        AdapterError: CLIP features are missing, or the projection is not finite (damaged weights).
    """
    embeddings = torch.from_numpy(_embeddings(adapter.spec.variant, faces))
    positive = _project(adapter, embeddings, _by_weight(clip.crops, faces) if clip else None, structure)
    negative = _project(adapter, torch.zeros_like(embeddings[:1]), clip.blank if clip else None, structure)
    # One batch holds rows of both, so both must be as long; repeating a token set does not change softmax attention.
    tokens = IdentityTokens(positive.flatten(0, 1), negative.expand_as(positive).flatten(0, 1))
    if not (tokens.positive.isfinite().all() and tokens.negative.isfinite().all()):
        raise AdapterError(f"{adapter.name}: the projection gave NaN or infinity; the file is damaged.")
    return tokens


def tokens_per_face(
    adapter: Adapter, faces: Faces, clip: ClipFeatures | None = None, structure: float = 1.0
) -> IdentityTokens:
    """The same with each face by itself, for pictures that take turns with them: ``positive`` is [F, T, C].

    Raises:
        AdapterError: as ``identity_tokens``; or a photo gave no face, so that faces and pictures cannot be matched.
    """
    if absent := sorted({*faces.skipped, *(left.photo for left in faces.left_out)}):
        numbers = ", ".join(str(photo + 1) for photo in absent)
        raise AdapterError(
            f"faces_per_frame: no face of photo {numbers} is used, so the faces are not one for each frame. "
            "Leave those photos and frames out, or switch faces_per_frame off."
        )
    each = [
        identity_tokens(
            adapter,
            replace(faces, faces=(face,)),
            clip and ClipFeatures(clip.crops[number : number + 1], clip.blank),
            structure,
        )
        for number, face in enumerate(faces.faces)
    ]
    return IdentityTokens(torch.stack([tokens.positive for tokens in each]), each[0].negative)


def _by_weight(crops: Tensor, faces: Faces) -> Tensor:
    """[n, 257, 1280] as they are, or their [1, 257, 1280] mean where the faces do not all weigh the same."""
    if faces.weights is None:
        return crops
    weights = torch.tensor(faces.weights, dtype=torch.float32, device=crops.device)
    return (crops.float() * (weights / weights.sum())[:, None, None]).sum(dim=0, keepdim=True)


def _embeddings(variant: Variant, faces: Faces) -> np.ndarray:
    """[n, 512] float32: one row per photo for Portrait models, one row for all photos otherwise."""
    if variant.uses_raw_embedding:
        rows = [face.embedding for face in faces.faces]
    elif variant.per_photo:
        rows = [face.unit_embedding for face in faces.faces]
    else:
        rows = [faces.mean_embedding()]
    return np.stack(rows).astype(np.float32)


def _project(adapter: Adapter, embeddings: Tensor, clip_features: Tensor | None, structure: float) -> Tensor:
    """[n, 512] -> [n, spec.tokens, C]"""
    spec, weights = adapter.spec, adapter.image_proj
    if spec.variant is Variant.PORTRAIT_UNNORM:
        return project_resampler(weights, embeddings)
    if not spec.variant.uses_clip:
        return project_mlp(weights, embeddings, spec.tokens)
    if clip_features is None:
        raise AdapterError(
            f"{adapter.name} is {spec.title}, which also looks at the face through CLIP ViT-H: connect a "
            "'Load CLIP Vision' node (CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors) to clip_vision."
        )
    features = clip_features.float().mean(dim=0, keepdim=True)
    shortcut = structure if spec.variant is Variant.PLUS_V2 else None
    return project_plus(weights, embeddings, features, spec.tokens, shortcut)
