"""The folder of the store: known without SQLAlchemy, which takes a second to load."""

from __future__ import annotations

import os
from pathlib import Path

from ..surroundings import USER_FOLDER, surrounding_comfyui
from .errors import TuneError


def chosen_home() -> Path | None:
    """FACEID_TUNES_HOME; None when it is not set. Raises TuneError when it begins with an unknown user's ``~name``."""
    home = os.environ.get("FACEID_TUNES_HOME")
    try:
        return Path(home).expanduser() if home else None
    except RuntimeError as error:
        raise TuneError(
            f"The tune folder {home} has no place: {error} Set FACEID_TUNES_HOME to another folder."
        ) from error


def default_home() -> Path:
    """The default folder of the store.

    FACEID_TUNES_HOME; else that of the ComfyUI that this package is installed in; else the user's data directory.
    """
    if home := chosen_home():
        return home
    comfyui = surrounding_comfyui()
    return comfyui / "user" / USER_FOLDER if comfyui else own_home()


def own_home() -> Path:
    """The folder of the store where there is no ComfyUI: in the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("faceid-tunes", appauthor=False)
