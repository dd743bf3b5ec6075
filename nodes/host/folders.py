"""Model folders, and the files in them."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...faceid_core.errors import AdapterError
from ...faceid_core.retouch import RetouchError
from ...faceid_core.retouch.preferred import (
    FACE_PACKS,
    PARSER_FOLDERS,
    RESTORER_FOLDER,
    SWAPPER_FOLDERS,
    preferred_parsers,
    preferred_restorers,
    preferred_swappers,
)

AUTO, NONE = "auto", "none"

ADAPTER_FOLDER = "ipadapter"
_EXTENSIONS = {
    ADAPTER_FOLDER: frozenset({".bin", ".safetensors"}),
    FACE_PACKS: frozenset({".onnx"}),
    RESTORER_FOLDER: frozenset({".pth", ".safetensors", ".onnx"}),
    "hyperswap": frozenset({".onnx"}),
    "reswapper": frozenset({".onnx"}),
    **dict.fromkeys(PARSER_FOLDERS, frozenset({".pth", ".safetensors"})),
}


def register_model_folders() -> None:
    """Make our folders below ``models`` known, keeping whatever the user's paths and others already say."""
    for name, extensions in _EXTENSIONS.items():
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))
        paths, known = folder_paths.folder_names_and_paths[name]
        folder_paths.folder_names_and_paths[name] = (paths, set(known) | set(extensions))


def adapter_names() -> list[str]:
    """Adapter files below every ``ipadapter`` folder."""
    names = folder_paths.get_filename_list(ADAPTER_FOLDER)
    return [name for name in names if Path(name).suffix in _EXTENSIONS[ADAPTER_FOLDER]]


def adapter_path(name: str) -> Path:
    """The file of a combo's choice.

    Raises:
        AdapterError: the file is gone.
    """
    path = folder_paths.get_full_path(ADAPTER_FOLDER, name)
    if path is None:
        folders = " or ".join(folder_paths.get_folder_paths(ADAPTER_FOLDER))
        raise AdapterError(f"adapter_name: there is no {name!r} in {folders}. Choose another, or put the file there.")
    return Path(path)


def insightface_roots() -> list[Path]:
    """Folders in which face packs are looked for, the user's own first."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(FACE_PACKS)]


def temp_folder() -> Path:
    """For pictures that ComfyUI deletes when it starts again."""
    return Path(folder_paths.get_temp_directory())


def checkpoint_names() -> list[str]:
    """Checkpoints that are installed."""
    return folder_paths.get_filename_list("checkpoints")


def checkpoint_path(name: str) -> Path:
    """The file of one of ``checkpoint_names``."""
    return Path(folder_paths.get_full_path_or_raise("checkpoints", name))


def lora_names() -> list[str]:
    """LoRA files that are installed."""
    return folder_paths.get_filename_list("loras")


def lora_path(name: str) -> str:
    """The file of one of ``lora_names``."""
    return folder_paths.get_full_path_or_raise("loras", name)


def swapper_names() -> list[str]:
    """Swappers for a combo, those that "auto" prefers first."""
    return preferred_swappers({folder: _files(folder) for folder in SWAPPER_FOLDERS})


def restorer_names() -> list[str]:
    """Restorers for a combo, those that "auto" prefers first."""
    return preferred_restorers(_files(RESTORER_FOLDER))


def swapper_path(name: str) -> Path | None:
    """The file of a combo's choice; None for "none", and for "auto" where there is nothing.

    Raises:
        RetouchError: the file is gone.
    """
    return _chosen(name, swapper_names(), SWAPPER_FOLDERS, "swap_model")


def restorer_path(name: str) -> Path | None:
    """See ``swapper_path``."""
    return _chosen(name, restorer_names(), (RESTORER_FOLDER,), "restore_model")


def parser_path() -> Path | None:
    """The face parser's file, wherever it or another extension keeps it; None where there is none."""
    names = preferred_parsers(name for folder in PARSER_FOLDERS for name in _files(folder))
    return _chosen(AUTO, names, PARSER_FOLDERS, "face parser")


def _files(folder: str) -> list[str]:
    names = folder_paths.get_filename_list(folder)
    return [name for name in names if Path(name).suffix.lower() in _EXTENSIONS[folder]]


def _chosen(name: str, names: list[str], folders: tuple[str, ...], field: str) -> Path | None:
    if name == NONE or (name == AUTO and not names):
        return None
    wanted = names[0] if name == AUTO else name
    for folder in folders:
        path = folder_paths.get_full_path(folder, wanted)
        if path is not None:
            return Path(path)
    places = " or ".join(place for folder in folders for place in folder_paths.get_folder_paths(folder))
    raise RetouchError(f"{field}: there is no {wanted!r} in {places}. Choose another, or put the file there.")
