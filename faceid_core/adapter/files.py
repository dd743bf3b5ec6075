"""Read an adapter file: ``.bin`` (legacy or zip pickle) or ``.safetensors``, and say what it is when it is not one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..containers import CodeInFileError, Container, DamagedFileError, container, load_pickle
from ..errors import AdapterError
from ..impostor import MODEL_ADVICE, impostor

SECTIONS = ("image_proj", "ip_adapter")


def read_sections(path: Path) -> dict[str, dict[str, Tensor]]:
    """The tensors of an adapter file as ``{"image_proj": {...}, "ip_adapter": {...}}``.

    Both containers the models are published and shared in are read: the nested dict of the original ``.bin``
    files and the flat ``image_proj.<key>`` / ``ip_adapter.<key>`` naming of ``.safetensors`` conversions.
    Pickles are read with ``weights_only``, so no code in a file ever runs.

    Raises:
        AdapterError: the file is missing, empty, a web page, a Git LFS pointer, truncated, or no adapter.
    """
    head = _head(path)
    kind = container(head)
    if kind is Container.SAFETENSORS:
        content = _read_safetensors(path)
    elif kind is not None:
        content = _read_pickle(path)
    else:
        raise AdapterError(f"{path.name}: {_what_it_is(head)}")
    return _sections(path, content)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError:
        raise AdapterError(f"{path.name}: there is no such file in {path.parent}.") from None
    except OSError as error:
        raise AdapterError(f"{path.name}: cannot be read ({error.strerror}).") from error


def _what_it_is(head: bytes) -> str:
    kind = impostor(head)
    return MODEL_ADVICE[kind] if kind else "neither a PyTorch nor a safetensors file. Download it again."


def _read_pickle(path: Path) -> object:
    try:
        return load_pickle(path, mapped=False)
    except CodeInFileError as error:
        raise AdapterError(
            f"{path.name}: holds Python objects other than tensors, which are refused because loading them runs "
            "code. Use a .safetensors conversion or the original file."
        ) from error
    except DamagedFileError as error:
        raise _truncated(path) from error


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _truncated(path) from error


def _truncated(path: Path) -> AdapterError:
    size = path.stat().st_size
    return AdapterError(f"{path.name}: truncated or damaged after {size:,} bytes. Download it again.")


def _sections(path: Path, content: object) -> dict[str, dict[str, Tensor]]:
    if not isinstance(content, Mapping):
        raise AdapterError(f"{path.name}: holds a {type(content).__name__}, not the tensors of an adapter.")
    flat = dict(_flatten(content))
    sections = {
        section: {key.removeprefix(f"{section}."): tensor for key, tensor in flat.items() if key.startswith(section)}
        for section in SECTIONS
    }
    if not all(sections.values()):
        raise AdapterError(f"{path.name}: {_other_model(flat)}")
    return sections


def _flatten(content: Mapping[str, object]) -> list[tuple[str, Tensor]]:
    flat = []
    for key, value in content.items():
        if isinstance(value, Tensor):
            flat.append((str(key), value))
        elif isinstance(value, Mapping):
            flat.extend((f"{key}.{inner}", tensor) for inner, tensor in value.items() if isinstance(tensor, Tensor))
    return flat


def _other_model(flat: Mapping[str, Tensor]) -> str:
    """A sentence on a readable file that lacks the two sections, by the keys it does have."""
    if any(key.startswith(("lora_unet_", "lora_te_")) for key in flat):
        return (
            "this is a LoRA file. Choose the adapter itself (for example ip-adapter-faceid_sd15.bin); "
            "its LoRA is inside it and no second file is needed."
        )
    if any(key.startswith(("model.diffusion_model.", "cond_stage_model.", "conditioner.")) for key in flat):
        return "this is a checkpoint (a whole model), not an adapter. It belongs into a checkpoint loader."
    if any("vision_model." in key for key in flat):
        return "this is a CLIP vision encoder, not an adapter. It belongs into a CLIP vision loader."
    example = next(iter(flat), "nothing")
    return f"not an IP-Adapter: it has no image_proj and ip_adapter tensors (its first key is {example!r})."
