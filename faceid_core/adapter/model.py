"""The adapter as a value: what it is, and its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..errors import AdapterError
from ..model_files.model_file import open_model_file
from ..model_files.reasons import Reader
from ..weights.check import warn_if_changed
from .layers import Layer, layers
from .variants import AdapterSpec, Variant, detect

READER = Reader(AdapterError)


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

    Both ways the models are published and shared in are read: the nested dict of the original ``.bin`` files and the
    flat ``image_proj.<key>`` / ``ip_adapter.<key>`` naming of ``.safetensors`` conversions.

    Args:
        path: the adapter file.
        variant: Plus or PlusV2, where the file itself cannot tell (see ``variants.detect``).

    Raises:
        AdapterError: says whether the file is missing, damaged, something else, or for another base.
    """
    file = open_model_file(path, READER)
    spec = detect(file, variant)
    warn_if_changed(path)
    sections: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in file.read(key for key in file.tensors if key.startswith(("image_proj.", "ip_adapter."))):
        section, _, inner = name.partition(".")
        sections[section][inner] = tensor
    key = (str(path), *file.version, spec.variant.value)
    return Adapter(path.name, spec, sections["image_proj"], sections["ip_adapter"], key)
