"""The adapter as a value: what it is, and its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from .files import read_sections
from .layers import Layer, layers
from .variants import AdapterSpec, Variant, detect


@dataclass(frozen=True, eq=False)
class Adapter:
    """An IP-Adapter FaceID model.

    Attributes:
        name: file name, for messages.
        spec: variant, base, sizes.
        image_proj: tensors of the projection, as in the file.
        ip_adapter: ``{i}.to_k_ip.weight``, ``{i}.to_v_ip.weight`` and LoRA tensors, as in the file.
        key: equal for two loads of one unchanged file; what is derived from the adapter is cached under it.
    """

    name: str
    spec: AdapterSpec
    image_proj: dict[str, Tensor] = field(repr=False)
    ip_adapter: dict[str, Tensor] = field(repr=False)
    key: tuple[str, int, int, str] = field(repr=False)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return layers(self.spec.base)


def load_adapter(path: Path, variant: Variant | None = None) -> Adapter:
    """Load an adapter from ``.bin`` or ``.safetensors``.

    Args:
        path: the adapter file.
        variant: Plus or PlusV2, where the file itself cannot tell (see :func:``variants.detect``).

    Raises:
        AdapterError: says whether the file is missing, damaged, something else, or for another base.
    """
    sections = read_sections(path)
    stat = path.stat()
    spec = detect(sections, path.name, stat.st_size, variant)
    key = (str(path), stat.st_size, stat.st_mtime_ns, spec.variant.value)
    return Adapter(path.name, spec, sections["image_proj"], sections["ip_adapter"], key)
