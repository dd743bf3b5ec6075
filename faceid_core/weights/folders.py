"""The folders of model files: ComfyUI's, with those of its ``extra_model_paths.yaml``, or a models folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..surroundings import is_comfyui, surrounding_comfyui
from .errors import WeightsError
from .manifest import PublishedFile

EXTENSIONS = frozenset({".bin", ".ckpt", ".onnx", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"})

# Folders that ComfyUI defines itself: extra paths come after its own. Other folders exist only when somebody names
# them, and ComfyUI reads extra_model_paths.yaml before any extension can name one.
_CORE_KEYS = ("checkpoints", "clip_vision", "loras", "upscale_models")
_EXTENSION_KEYS = (
    *("ipadapter", "insightface", "facerestore_models", "hyperswap", "reswapper"),
    *("facexlib", "facedetection"),
)
KEYS = (*_CORE_KEYS, *_EXTENSION_KEYS)

_LEGACY_KEYS = {"unet": "diffusion_models", "clip": "text_encoders"}


@dataclass(frozen=True)
class ModelFolders:
    """paths: ComfyUI's key -> folders; the first is where downloads go."""

    paths: Mapping[str, Iterable[str | os.PathLike[str]]]

    def of(self, key: str) -> tuple[Path, ...]:
        """Raises WeightsError when no folder is known for the key."""
        folders = tuple(Path(folder) for folder in self.paths.get(key, ()))
        if not folders:
            raise WeightsError(f'No folder is known for "{key}" models; known are {", ".join(sorted(self.paths))}.')
        return folders

    def files(self, key: str) -> list[Path]:
        """Every model file below the key's folders, folder by folder, sorted."""
        return [file for folder in self.of(key) for file in sorted(_model_files(folder))]

    def find(self, entry: PublishedFile) -> Path | None:
        """The existing file, under its name, or under another name with the same content (equal size).

        Files of a face pack are searched where face packs are: ``<root>/models/<pack>/``, ``<root>/<pack>/``,
        ``<pack>/<pack>/`` in either (as antelopev2.zip unpacks), and the root itself.
        """
        found = [self.target(entry)] if self.target(entry).is_file() else []
        found += [file for file in self.files(entry.folder) if _in_place(entry, file, self.of(entry.folder))]
        named = (file for file in found if file.name == entry.name)
        return next(named, None) or next((file for file in found if _size(file) == entry.size), None)

    def target(self, entry: PublishedFile) -> Path:
        """The path that the file is downloaded to."""
        return self.of(entry.folder)[0] / PurePosixPath(entry.subfolder) / entry.name


def model_folders(directory: str | os.PathLike[str] | None = None) -> ModelFolders:
    """The folders of ``directory``: a ComfyUI folder, or a models folder like ComfyUI's.

    Without one: FACEID_MODELS; else the ComfyUI that this package is installed in; else ``models`` in the user's data
    directory. Nothing is created.
    """
    if directory is None:
        directory = os.environ.get("FACEID_MODELS") or surrounding_comfyui() or _user_folder()
    folder = Path(directory).expanduser().absolute()
    if not is_comfyui(folder):
        return ModelFolders({key: (folder / key,) for key in KEYS})
    extra = folder / "extra_model_paths.yaml"
    return _comfyui_folders(folder / "models", list(_extra_paths(extra)) if extra.is_file() else [])


def _comfyui_folders(models: Path, extra: list[tuple[str, Path, bool]]) -> ModelFolders:
    """In ComfyUI's order; ``extra`` holds (key, folder, comes first)."""
    paths: dict[str, list[Path]] = {key: [models / key] for key in _CORE_KEYS}
    for key, folder, first in extra:
        known = paths.setdefault(key, [])
        if folder in known and first:
            known.remove(folder)
        if folder not in known:
            known.insert(0 if first else len(known), folder)
    for key in _EXTENSION_KEYS:
        known = paths.setdefault(key, [])
        if models / key not in known:
            known.append(models / key)
    return ModelFolders({key: tuple(folders) for key, folders in paths.items()})


def _extra_paths(file: Path) -> Iterator[tuple[str, Path, bool]]:
    """(key, folder, is_default) of each line: sections with base_path, several folders per key in a ``|`` block."""
    for section, values in _yaml(file).items():
        if not isinstance(values, dict):
            continue  # an empty section
        base = _folder(values.get("base_path") or "", file.parent)
        for key, lines in values.items():
            if key in ("base_path", "is_default"):
                continue
            if not isinstance(lines, str):
                raise WeightsError(f"{file}: {section}: {key} must be a path, or several in a block after |.")
            for line in filter(None, map(str.strip, lines.split("\n"))):
                yield _LEGACY_KEYS.get(key) or key, _folder(line, base), bool(values.get("is_default"))


def _yaml(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WeightsError(f"{file} cannot be read: {error}") from error
    if not isinstance(content or {}, dict):
        raise WeightsError(f"{file}: expected named sections with a path per kind of model.")
    return content or {}


def _folder(path: str, relative_to: Path) -> Path:
    return Path(os.path.normpath(relative_to / os.path.expandvars(os.path.expanduser(path))))


def _user_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("faceid-tunes", appauthor=False) / "models"


def _model_files(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(parent, file) for file in files if os.path.splitext(file)[1].lower() in EXTENSIONS)


def _in_place(entry: PublishedFile, file: Path, roots: tuple[Path, ...]) -> bool:
    if file.name not in (entry.name, *entry.also_named):
        return False
    if not entry.subfolder:
        return True
    models, pack = PurePosixPath(entry.subfolder).parts
    places = [place for root in roots for place in (root, root / models)]
    places += [place / pack for place in places] + [place / pack / pack for place in places]
    return file.parent in places


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
