"""The engine and the model files of a command: the named ones, else the only possible ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from ..faceid_core.faces.packs import FacePack, find_pack
from .home import home_of, remote_settings

if TYPE_CHECKING:
    from ..faceid_core.engines.embedded import EmbeddedModels
    from ..faceid_core.engines.engine import Engine
    from ..faceid_core.weights.folders import ModelFolders

AUTO, COMFYUI, EMBEDDED, ASTRIA = "auto", "comfyui", "embedded", "astria"
# Model files by their ids in the manifest, the preferred one first.
_CHECKPOINTS = ("realistic-vision-5.1", "sd15-fp16", "sd15")
_UPSCALERS = ("realesrgan-x4plus", "realesr-general-x4v3")


def add_engine_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """``several``: ``--comfyui`` may be given more than once."""
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--engine",
        choices=(AUTO, COMFYUI, EMBEDDED, ASTRIA),
        default=AUTO,
        help="auto: a ComfyUI that runs here, else embedded. astria: the remote API, with the key in ASTRIA_API_KEY",
    )
    group.add_argument(
        "--comfyui",
        metavar="URL",
        action="append" if several else "store",
        help="draw in this ComfyUI, for example http://127.0.0.1:8188" + ("; again for each other" if several else ""),
    )
    group.add_argument(
        "--models", type=Path, metavar="DIR", help="a ComfyUI folder, or one laid out as its models folder"
    )
    group.add_argument("--checkpoint", metavar="FILE", help="a name in the models folder, or a path")
    group.add_argument("--adapter", metavar="FILE", help="a FaceID model: a name in the models folder, or a path")
    group.add_argument(
        "--base-tune",
        type=int,
        metavar="ID",
        help="astria: the base model there; default: 690204, Realistic Vision v5.1",
    )
    group.add_argument("--lora-strength", type=float, default=1.0, help="of the LoRA inside the adapter")
    group.add_argument("--structure", type=float, default=1.0, help="PlusV2: how much of the face's shape is kept")
    group.add_argument(
        "--preview", action="store_true", help="draw although buffalo_l is missing; the picture shows another person"
    )


def chosen_engines(options: argparse.Namespace) -> tuple[Engine, ...]:
    """One engine for each ``--comfyui``, or the available one. Raises FaceIDError."""
    urls = options.comfyui if isinstance(options.comfyui, list) else [options.comfyui]
    return tuple(chosen_engine(argparse.Namespace(**vars(options) | {"comfyui": url})) for url in urls or [None])


def chosen_engine(options: argparse.Namespace) -> Engine:
    """The engine that the options name, or the available one.

    Raises:
        FaceIDError: a model file is missing or ambiguous, a package is not installed, or there is no key for the
            remote API.
    """
    if options.engine == ASTRIA:
        return _remote_engine(options)
    from ..faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine, find_comfyui

    settings = {
        "preview": options.preview,
        "lora_strength": options.lora_strength,
        "structure": options.structure,
    }
    url = options.comfyui
    if url is None and options.engine != EMBEDDED and options.models is None:
        url = find_comfyui()
    if url is not None and options.engine != EMBEDDED:
        return ComfyUIEngine(url, ComfyModels(options.checkpoint, options.adapter), **settings)
    if options.engine == COMFYUI:
        raise FaceIDError("No ComfyUI with these nodes runs here: start it, or name another with --comfyui URL.")
    from ..faceid_core.engines.embedded import DiffusersEngine

    return DiffusersEngine(embedded_models(options), **settings)


def _remote_engine(options: argparse.Namespace) -> Engine:
    from ..faceid_core.engines.remote import REALISTIC_VISION, AstriaEngine, Journal

    base_tune_id = REALISTIC_VISION if options.base_tune is None else options.base_tune
    return AstriaEngine(remote_settings(options), Journal(home_of(options) / "remote"), base_tune_id)


def model_roots(options: argparse.Namespace) -> ModelFolders:
    from ..faceid_core.weights.folders import model_folders

    return model_folders(options.models)


def face_pack(folders: ModelFolders) -> FacePack:
    """buffalo_l if it is installed, else the embedded pack."""
    return find_pack("auto", folders.of("insightface"))


def embedded_models(options: argparse.Namespace) -> EmbeddedModels:
    """The files for the embedded engine. Raises FaceIDError that names the first that cannot be chosen."""
    from ..faceid_core.engines.comfyui.models import ADAPTERS, PLUS_ADAPTERS
    from ..faceid_core.engines.embedded import EmbeddedModels
    from ..faceid_core.retouch.preferred import preferred
    from ..faceid_core.weights.manifest import model_file

    folders = model_roots(options)
    image_encoder = folders.find(model_file("clip-vit-h"))
    adapters = PLUS_ADAPTERS if image_encoder else ADAPTERS
    swappers, restorers, parsers = preferred(folders.files)
    return EmbeddedModels(
        checkpoint=_chosen(folders, "checkpoints", options.checkpoint, _CHECKPOINTS, "--checkpoint"),
        adapter=_chosen(folders, "ipadapter", options.adapter, adapters, "--adapter"),
        pack=face_pack(folders),
        image_encoder=image_encoder,
        loras=folders.of("loras"),
        swapper=_first(swappers),
        restorer=_first(restorers),
        parser=_first(parsers),
        upscaler=_first(_found(folders, _UPSCALERS)) or _first(folders.files("upscale_models")),
    )


def _first(files: Iterable[Path]) -> Path | None:
    return next(iter(files), None)


def _found(folders: ModelFolders, known: Sequence[str]) -> Iterator[Path]:
    """Installed files of the manifest, each searched when it is needed."""
    from ..faceid_core.weights.manifest import model_file

    return filter(None, map(folders.find, map(model_file, known)))


def _chosen(folders: ModelFolders, key: str, given: str | None, known: Sequence[str], option: str) -> Path:
    """The named file, or the first installed file of the manifest, or the only one in its folder."""
    files = folders.files(key)
    if given is not None:
        return _named(given, files, option)
    if found := _first(_found(folders, known)):
        return found
    if len(files) == 1:
        return files[0]
    if files:
        raise FaceIDError(f"Which one? Choose with {option}: {', '.join(file.name for file in files)}.")
    folder = " or ".join(map(str, folders.of(key)))
    raise FaceIDError(
        f"There is no model in {folder}. `faceid weights fetch --for generate` downloads what is needed; {option} "
        "takes a file from another folder."
    )


def _named(given: str, files: Sequence[Path], option: str) -> Path:
    path = Path(given).expanduser()
    if path.exists():
        return path
    matches = [file for file in files if given in (file.name, file.stem)]
    if matches:
        return matches[0]
    there = f" There are {', '.join(file.name for file in files)}." if files else ""
    raise FaceIDError(f"{option}: there is no file {given!r}, here or in the models folder.{there}")
