"""The folder of the store, as the environment names it: known without SQLAlchemy, which takes a second to load."""

from __future__ import annotations

import os
from pathlib import Path

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
