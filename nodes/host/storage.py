"""What this package keeps in ComfyUI's user directory: tunes, the table of base models, the key, remote prompts.

And one photo in its input folder.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths

from ...faceid_core.astria.base_models import SHIPPED, BaseModel
from ...faceid_core.astria.base_models import base_models as read_base_models
from ...faceid_core.disk import write_new
from ...faceid_core.example_photo import EXAMPLE_PHOTO
from ...faceid_core.tunes.home import chosen_home

if TYPE_CHECKING:
    from ...faceid_core.astria.settings import AstriaSettings
    from ...faceid_core.engines.remote import Journal
    from ...faceid_core.tunes.store import TuneStore


@cache
def tune_store() -> TuneStore:
    """The store of tunes, in ComfyUI's user directory unless FACEID_TUNES_HOME says otherwise; opened once."""
    from ...faceid_core.tunes.store import open_store

    return open_store(tunes_home())


PRIVATE_VARIABLE = "FACEID_PRIVATE"


def is_private() -> bool:
    """Whether the owner of this machine keeps titles and photos from whoever may queue here."""
    return os.environ.get(PRIVATE_VARIABLE, "").strip().lower() not in ("", "0", "off", "false", "no")


def tune_titles() -> list[str]:
    """Titles for a combo, newest first. Opens no store where none was ever made: this runs when nodes register."""
    if is_private():
        return []
    if "FACEID_TUNES_DATABASE_URL" not in os.environ:
        try:
            (tunes_home() / "tunes.sqlite3").stat()
        except FileNotFoundError:
            return []
        except OSError:
            pass  # what is wrong with the folder, the store says in a sentence
    return [title for _, title in tune_store().titles()]


def astria_settings() -> AstriaSettings:
    """Where the remote API is, and the key: from the environment, else from a file that no route serves."""
    from ...faceid_core.astria.settings import KEY_FILE, read_settings

    return read_settings(key_file=_user_folder() / KEY_FILE)


def remote_journal() -> Journal:
    """Prompts that are on their way to the remote API."""
    from ...faceid_core.engines.remote import Journal

    return Journal(tunes_home() / "remote")


def base_models() -> tuple[BaseModel, ...]:
    """The table of base models; written out for the user to edit once something else made the folder."""
    table = _user_folder() / "base_models.toml"
    if not os.path.exists(table) and os.path.isdir(table.parent):
        with suppress(OSError):
            write_new([table], lambda file: file.write(SHIPPED.read_bytes()))  # another process may be first
    return read_base_models(table)


def base_model_titles() -> list[str]:
    """Titles for a combo."""
    return [model.title for model in base_models()]


def _user_folder() -> Path:
    # The system user directory: photos of people and keys must not be reachable through ComfyUI's /userdata route.
    return Path(folder_paths.get_system_user_directory("faceid_tunes"))


def tunes_home() -> Path:
    return chosen_home() or _user_folder()


def offer_example_photo() -> None:
    """Put the photo that our workflows name into ComfyUI's input folder, where no file of that name is."""
    with suppress(OSError):  # read-only: then a workflow opens without its photo
        place = Path(folder_paths.get_input_directory()) / EXAMPLE_PHOTO.name
        if not place.exists():
            write_new([place], lambda file: file.write(EXAMPLE_PHOTO.read_bytes()))
