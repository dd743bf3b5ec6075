"""Tell from an adapter's tensors which model it is: variant, base, tokens per face, width, LoRA.

File names decide nothing except between Plus and PlusV2 on SD 1.5, whose tensors have the same names and
shapes; there the published byte size comes first, then the name, then the user.
Key sets: tencent-ailab/IP-Adapter ``ip_adapter_faceid.py`` and ``ip_adapter_faceid_separate.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ..errors import AdapterError
from ..faces.packs import PACK_OF_SPACE, W600K_R50
from ..model_files.kinds import Kind
from ..model_files.model_file import ModelFile, side
from .layers import Base, layers
from .published import CLIP_WIDTH, attention_shapes, difference, projection_shapes, resampler_shapes

_PLUS_SIZES = {156_558_503: "plus", 156_558_509: "plusv2"}  # published SD 1.5 files, in bytes
_KEY = re.compile(r"ip_adapter\.(\d{1,3})\.to_k_ip\.weight")


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
    def space(self) -> str:
        """The embedding space of the faces it was trained on (``FacePack.space``; docs/facts/adapter.md 1.1)."""
        return W600K_R50

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
        space: embedding space of the faces it was trained on (``FacePack.space``).
    """

    variant: Variant
    base: Base
    tokens: int
    context_width: int
    hidden: tuple[int, ...]
    has_lora: bool
    space: str

    @property
    def pack(self) -> str:
        """The published face pack that reads faces in its space."""
        return PACK_OF_SPACE[self.space]

    @property
    def title(self) -> str:
        names = {
            Variant.FACEID: "FaceID",
            Variant.PLUS: "FaceID Plus",
            Variant.PLUS_V2: "FaceID PlusV2",
            Variant.PORTRAIT: "FaceID Portrait",
            Variant.PORTRAIT_UNNORM: "FaceID Portrait unnorm",
        }
        return f"{names[self.variant]} for {self.base.family}"


_VARIANTS = {
    Kind.FACEID: Variant.FACEID,
    Kind.FACEID_PLUS: Variant.PLUS,  # or PlusV2
    Kind.FACEID_PORTRAIT: Variant.PORTRAIT,
    Kind.FACEID_UNNORM: Variant.PORTRAIT_UNNORM,
}
_EXAMPLE = "Choose the adapter itself (for example ip-adapter-faceid_sd15.bin)"


def adapter_packs() -> dict[str, str]:
    """The embedding spaces that adapters take, and the published face pack of each."""
    return {variant.space: PACK_OF_SPACE[variant.space] for variant in Variant}


def detect(file: ModelFile, choice: Variant | None = None) -> AdapterSpec:
    """Identify an adapter.

    Args:
        file: the adapter, opened.
        choice: the user's word on Plus or PlusV2, which wins over every hint.

    Raises:
        AdapterError: not a FaceID model, or one for a base this package does not know, or tensors missing, or of
            other shapes than the published ones.
    """
    name, kind = file.name, file.kind
    if kind not in _VARIANTS:
        raise AdapterError(_other_model(file))
    base, hidden = _base(file)
    variant, tokens, width = _projection(file, _VARIANTS[kind])
    key_width = side(file.shapes, "ip_adapter.1.to_k_ip.weight", 1)
    if key_width != width:
        raise AdapterError(
            f"{name}: image_proj makes tokens of width {width} but ip_adapter reads width {key_width}; "
            "the file mixes two models."
        )
    if variant is Variant.PLUS:
        variant = _plus_or_v2(base, name, file.version[0], choice)
    elif choice is not None and choice is not variant:
        raise AdapterError(f"{name}: is {variant.value}, not {choice.value}; set the variant to auto.")
    has_lora = any(key.startswith("ip_adapter.") and "_lora." in key for key in file.tensors)
    spec = AdapterSpec(variant, base, tokens, width, hidden, has_lora, variant.space)
    _check_tensors(file, spec)
    return spec


def _other_model(file: ModelFile) -> str:
    """A sentence about a readable file that is not a FaceID model."""
    if file.kind is Kind.LORA:
        return file.refusal("a FaceID model", f"{_EXAMPLE}; its LoRA is inside it and no second file is needed.")
    if file.kind is Kind.IP_ADAPTER and (width := side(file.shapes, "image_proj.proj_in.weight", 1)):
        return (
            f"{file.name}: an IP-Adapter Plus that reads CLIP features of width {width}, not a FaceID model. "
            "Choose a file with 'faceid' in its published name."
        )
    if file.kind is Kind.UNNORM_OR_INSTANTID:
        return (
            f"{file.name}: FaceID Portrait unnorm and InstantID have the same tensors, and neither this file's size, "
            "number type, folder nor name tells which it is. They need faces of different packs, and the wrong one "
            "draws somebody else. Rename it so that its name says unnorm or instantid."
        )
    if file.kind is Kind.UNKNOWN:
        first = next(iter(file.tensors), "nothing")
        return (
            f"{file.name}: not an IP-Adapter: it has no image_proj and ip_adapter tensors (its first key is {first!r})."
        )
    return file.refusal("a FaceID model")


def _base(file: ModelFile) -> tuple[Base, tuple[int, ...]]:
    """The base, and the width of each of its layers."""
    indices = sorted(int(found[1]) for key in file.tensors if (found := _KEY.fullmatch(key)))
    for base in Base:
        if indices == [layer.index for layer in layers(base)]:
            return base, tuple(side(file.shapes, f"ip_adapter.{index}.to_k_ip.weight", 0) for index in indices)
    raise AdapterError(
        f"{file.name}: has {len(indices)} cross-attention layers; an adapter for SD 1.5 has 16 and one for SDXL has "
        "70. It is for another base model, or incomplete."
    )


def _projection(file: ModelFile, variant: Variant) -> tuple[Variant, int, int]:
    """(variant, tokens per face, token width); Plus stands for Plus or PlusV2."""
    if variant is Variant.PORTRAIT_UNNORM:
        width = side(file.shapes, "image_proj.norm_out.weight", 0)
        return variant, side(file.shapes, "image_proj.latents", 1), width
    if variant is Variant.PLUS:
        clip_width = side(file.shapes, "image_proj.perceiver_resampler.proj_in.weight", 1)
        if clip_width != CLIP_WIDTH:
            raise AdapterError(
                f"{file.name}: reads CLIP features of width {clip_width}; FaceID Plus models read ViT-H (1280). "
                "Models of other families (Kolors) are not supported."
            )
    width = side(file.shapes, "image_proj.norm.weight", 0)
    return variant, side(file.shapes, "image_proj.proj.2.weight", 0) // max(width, 1), width


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


def _check_tensors(file: ModelFile, spec: AdapterSpec) -> None:
    """Every tensor of the published files is there, in the one shape that fits the others, and holds fractions."""
    projection = resampler_shapes if spec.variant is Variant.PORTRAIT_UNNORM else projection_shapes
    rank = side(file.shapes, "ip_adapter.0.to_q_lora.down.weight", 0) if spec.has_lora else None
    expected = projection(file.shapes, spec.tokens, spec.context_width)
    expected |= attention_shapes(spec.base, spec.hidden, spec.context_width, rank)
    if wrong := difference(file.shapes, expected):
        raise AdapterError(f"{file.name}: {wrong}")
    for key in expected:
        if not file.tensors[key].dtype.startswith(("F", "BF")):
            raise AdapterError(f"{file.name}: {key} holds numbers of type {file.tensors[key].dtype}, not fp16 or fp32.")
