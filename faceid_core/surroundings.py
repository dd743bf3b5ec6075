"""The ComfyUI that this package is installed in, if any: its models and people are the commands' too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

USER_FOLDER = "__faceid_tunes"  # in ComfyUI's user directory; no route of ComfyUI serves a folder of such a name
_PACKAGE = Path(__file__).parents[1]


def is_comfyui(folder: Path) -> bool:
    """Whether it is a ComfyUI, or what its desktop application keeps apart from the program."""
    split = all((folder / name).is_dir() for name in ("custom_nodes", "models"))
    return split or (folder / "folder_paths.py").is_file()


def surrounding_comfyui() -> Path | None:
    """The ComfyUI whose ``custom_nodes`` holds this package: as a folder or as a link to it.

    A link is looked for below COMFYUI_PATH, below the working directory and the folders around it, and where comfy-cli
    installs ComfyUI.
    """
    if _PACKAGE.parent.name == "custom_nodes" and is_comfyui(_PACKAGE.parents[1]):
        return _PACKAGE.parents[1]
    return next((folder for folder in _places() if is_comfyui(folder) and _links_here(folder / "custom_nodes")), None)


def _places() -> Iterator[Path]:
    if chosen := os.environ.get("COMFYUI_PATH"):
        yield Path(chosen).expanduser().absolute()
    try:
        here = Path.cwd()
        yield from (here, *here.parents)
        yield Path.home() / "comfy" / "ComfyUI"
    except (OSError, RuntimeError):  # the working directory is gone; there is no home
        return


def _links_here(custom_nodes: Path) -> bool:
    try:
        return any(found.is_symlink() and found.resolve() == _PACKAGE.resolve() for found in custom_nodes.iterdir())
    except OSError:
        return False
