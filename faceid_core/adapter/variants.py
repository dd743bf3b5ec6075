"""Tell from an adapter's tensors which model it is: variant, base, tokens per face, width, LoRA.

File names decide nothing except between Plus and PlusV2 on SD 1.5, whose tensors have the same names and
shapes; there the published byte size comes first, then the name, then the user.
Key sets: tencent-ailab/IP-Adapter ``ip_adapter_faceid.py`` and ``ip_adapter_faceid_separate.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from ..errors import AdapterError
from .layers import Base, layers

ID_WIDTH = 512
CLIP_WIDTH = 1280  # ViT-H/14
_PLUS_SIZES = {156_558_503: "plus", 156_558_509: "plusv2"}  # published SD 1.5 files, in bytes
_FACEID_TOKENS = 4


class Variant(str, Enum):
    """The image projections FaceID models come with."""

    FACEID = "faceid"
    PLUS = "plus"
    PLUS_V2 = "plusv2"
    PORTRAIT = "portrait"
    PORTRAIT_UNNORM = "portrait_unnorm"

    @property
    def uses_clip(self) -> bool:
        """True where the projection also reads CLIP ViT-H features of the aligned crop."""
        return self in (Variant.PLUS, Variant.PLUS_V2)

    @property
    def uses_raw_embedding(self) -> bool:
        """True where the ArcFace embedding goes in at its own length, not at unit length."""
        return self is Variant.PORTRAIT_UNNORM

    @property
    def per_photo(self) -> bool:
        """True where each photo gets its own tokens; the others take the mean of a person's photos."""
        return self in (Variant.PORTRAIT, Variant.PORTRAIT_UNNORM)


@dataclass(frozen=True)
class AdapterSpec:
    """What an adapter is.

    Attributes:
        variant: kind of image projection.
        base: UNet family.
        tokens: identity tokens per face (4, or 16 for Portrait).
        context_width: width of a token = cross-attention width of the base (768 SD 1.5, 2048 SDXL).
        hidden: width of each cross-attention layer, in adapter-key order.
        has_lora: whether LoRA weights travel in the file (all but Portrait).
    """

    variant: Variant
    base: Base
    tokens: int
    context_width: int
    hidden: tuple[int, ...]
    has_lora: bool

    @property
    def title(self) -> str:
        names = {
            Variant.FACEID: "FaceID",
            Variant.PLUS: "FaceID Plus",
            Variant.PLUS_V2: "FaceID PlusV2",
            Variant.PORTRAIT: "FaceID Portrait",
            Variant.PORTRAIT_UNNORM: "FaceID Portrait unnorm",
        }
        return f"{names[self.variant]} for {self.base.title}"


def detect(
    sections: Mapping[str, Mapping[str, Tensor]],
    name: str,
    size: int,
    choice: Variant | None = None,
) -> AdapterSpec:
    """Identify an adapter.

    Args:
        sections: ``image_proj`` and ``ip_adapter`` tensors.
        name: file name, for messages and as the last hint between Plus and PlusV2.
        size: file size in bytes.
        choice: the user's word on Plus or PlusV2, which wins over every hint.

    Raises:
        AdapterError: not a FaceID model, or one for a base this package does not know, or tensors missing.
    """
    image_proj, ip_adapter = sections["image_proj"], sections["ip_adapter"]
    base, hidden = _base(ip_adapter, name)
    variant, tokens, width = _projection(image_proj, name)
    key_width = ip_adapter["1.to_k_ip.weight"].shape[1]
    if key_width != width:
        raise AdapterError(
            f"{name}: image_proj makes tokens of width {width} but ip_adapter reads width {key_width}; "
            "the file mixes two models."
        )
    if variant is Variant.PLUS:
        variant = _plus_or_v2(base, name, size, choice)
    elif choice is not None and choice is not variant:
        raise AdapterError(f"{name}: is {variant.value}, not {choice.value}; set the variant to auto.")
    spec = AdapterSpec(variant, base, tokens, width, hidden, any("_lora." in key for key in ip_adapter))
    _check_complete(ip_adapter, spec, name)
    return spec


def _base(ip_adapter: Mapping[str, Tensor], name: str) -> tuple[Base, tuple[int, ...]]:
    indices = sorted(int(key.split(".")[0]) for key in ip_adapter if key.endswith(".to_k_ip.weight"))
    for base in Base:
        if indices == [layer.index for layer in layers(base)]:
            return base, tuple(ip_adapter[f"{index}.to_k_ip.weight"].shape[0] for index in indices)
    raise AdapterError(
        f"{name}: has {len(indices)} cross-attention layers; an adapter for SD 1.5 has 16 and one for SDXL has 70. "
        "It is for another base model, or incomplete."
    )


def _projection(image_proj: Mapping[str, Tensor], name: str) -> tuple[Variant, int, int]:
    """(variant, tokens per face, token width); Plus stands for Plus or PlusV2."""
    if "latents" in image_proj and "proj_in.weight" in image_proj:
        input_width = image_proj["proj_in.weight"].shape[1]
        if input_width == ID_WIDTH:
            width = image_proj["norm_out.weight"].shape[0]
            return Variant.PORTRAIT_UNNORM, image_proj["latents"].shape[1], width
        raise AdapterError(
            f"{name}: an IP-Adapter Plus that reads CLIP features of width {input_width}, not a FaceID model. "
            "Choose a file with 'faceid' in its published name."
        )
    if "proj.0.weight" not in image_proj or image_proj["proj.0.weight"].shape[1] != ID_WIDTH:
        raise AdapterError(
            f"{name}: an IP-Adapter, but not a FaceID model (its projection does not read a 512-number face "
            "embedding). Choose a file with 'faceid' in its published name."
        )
    width = image_proj["norm.weight"].shape[0]
    tokens = image_proj["proj.2.weight"].shape[0] // width
    if any(key.startswith("perceiver_resampler.") for key in image_proj):
        return _check_perceiver(image_proj, name), tokens, width
    return (Variant.FACEID if tokens == _FACEID_TOKENS else Variant.PORTRAIT), tokens, width


def _check_perceiver(image_proj: Mapping[str, Tensor], name: str) -> Variant:
    clip_width = image_proj["perceiver_resampler.proj_in.weight"].shape[1]
    if clip_width != CLIP_WIDTH:
        raise AdapterError(
            f"{name}: reads CLIP features of width {clip_width}; FaceID Plus models read ViT-H (1280). "
            "Models of other families (Kolors) are not supported."
        )
    return Variant.PLUS


def _plus_or_v2(base: Base, name: str, size: int, choice: Variant | None) -> Variant:
    if choice in (Variant.PLUS, Variant.PLUS_V2):
        return choice
    if base is Base.SDXL:  # no Plus v1 was ever published for SDXL
        return Variant.PLUS_V2
    if size in _PLUS_SIZES:
        return Variant(_PLUS_SIZES[size])
    words = name.lower()
    if re.search(r"plus[-_ ]?v2", words):
        return Variant.PLUS_V2
    if "plus" in words:
        return Variant.PLUS
    raise AdapterError(
        f"{name}: FaceID Plus and PlusV2 have the same tensors, and neither this file's size nor its name tells "
        "which it is. Set the variant to plus or plusv2."
    )


def _check_complete(ip_adapter: Mapping[str, Tensor], spec: AdapterSpec, name: str) -> None:
    expected = {f"{layer.index}.to_{kv}_ip.weight" for layer in layers(spec.base) for kv in "kv"}
    if spec.has_lora:
        expected |= {
            f"{index}.to_{linear}_lora.{half}.weight"
            for layer in layers(spec.base)
            for index in (layer.index - 1, layer.index)
            for linear in ("q", "k", "v", "out")
            for half in ("down", "up")
        }
    missing = sorted(expected - ip_adapter.keys())
    if missing:
        raise AdapterError(f"{name}: {len(missing)} tensors are missing, among them ip_adapter.{missing[0]}.")
