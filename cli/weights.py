"""``faceid weights list|fetch|verify``: the model files: list, download, check."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .streams import Coloured, Line, say

if TYPE_CHECKING:
    from ..faceid_core.weights.check import Check
    from ..faceid_core.weights.folders import ModelFolders
    from ..faceid_core.weights.manifest import Licence, PublishedFile


_COLOURS = {"found": "green", "missing": "yellow", "differs": "yellow", "damaged": "red"}  # by State


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("weights", help="model files: list, download, check")
    commands = parser.add_subparsers(required=True, metavar="{list,fetch,verify}")

    listing = commands.add_parser("list", help="list every model file, and whether it is installed")
    _add_choice(listing)
    listing.set_defaults(run=_list)

    fetching = commands.add_parser("fetch", help="download missing files")
    _add_choice(fetching)
    fetching.add_argument(
        "--accept-license",
        action="append",
        default=[],
        metavar="ID",
        help="agree to a non-commercial licence without being asked; repeat for several",
    )
    fetching.set_defaults(run=_fetch)

    verifying = commands.add_parser("verify", help="check the hashes of installed files: all, or the named ones")
    _add_choice(verifying)
    verifying.set_defaults(run=_verify)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="from `faceid weights list`")
    parser.add_argument("--for", dest="group", metavar="GROUP", help="a group from the end of the list")
    parser.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="a ComfyUI folder or a models folder (FACEID_MODELS sets it too; default: the ComfyUI that this package "
        "is installed in, else a separate folder)",
    )


def _list(options: argparse.Namespace) -> Iterator[Line]:
    from ..faceid_core.weights.check import State, look
    from ..faceid_core.weights.manifest import groups, manifest

    folders = _folders(options)
    entries = _chosen(options) or list(manifest())
    checks = {entry.id: look(entry, folders) for entry in entries}
    id_width = max(len(entry.id) for entry in entries)
    for key in dict.fromkeys(entry.folder for entry in entries):
        yield f"In {folders.of(key)[0]}:"
        for entry in (entry for entry in entries if entry.folder == key):
            check = checks[entry.id]
            state = Coloured(f"{check.state.value:<8}", _COLOURS[check.state.value])
            yield ("  ", state, f"{entry.id:<{id_width}}  {size_text(entry.size):>8}  {entry.licence.id}")
            if options.ids or check.path not in (None, folders.target(entry)):
                yield f"    {'at' if check.path else 'goes to'} {check.path or folders.target(entry)}"
            if check.detail:
                yield f"    {check.detail}"
    missing = [entry for entry in entries if checks[entry.id].state is State.MISSING]
    yield f"{len(entries) - len(missing)} of {len(entries)} are there."
    yield ""
    yield "Licences:"
    for licence in dict.fromkeys(entry.licence for entry in entries):
        yield from _indented(_licence(licence))
    if not options.ids:
        yield ""
        yield "Groups, for `faceid weights fetch --for GROUP`:"
        for group, purpose in groups().items():
            if needed := [entry for entry in entries if group in entry.needed_for]:
                yield from _indented(f"{group}: {purpose} ({', '.join(entry.id for entry in needed)})")


def _indented(text: str) -> list[str]:
    """Lines of at most 100 columns; an address is never divided."""
    lines = textwrap.TextWrapper(100, "  ", "      ", break_long_words=False, break_on_hyphens=False)
    return lines.wrap(text)


def _fetch(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.weights.errors import WeightsError
    from ..faceid_core.weights.fetch import fetch_each

    entries = _chosen(options)
    if not entries:
        raise WeightsError("Name what to fetch: ids, or --for GROUP. `faceid weights list` shows both.")
    accept = asking(options.accept_license)
    for free in dict.fromkeys(entry.licence for entry in entries if entry.licence.commercial):
        yield f"licence {_licence(free)}"
    for fetched in fetch_each(entries, _folders(options), accept, tell=tell):
        entry, path = fetched.entry, fetched.path
        if fetched.verified:
            yield f"{entry.id}: {path} (sha256 verified)"
        elif fetched.downloaded:
            yield f"{entry.id}: {path} (unverified, no published hash is known; its sha256 is {fetched.sha256})"
        elif fetched.check and fetched.check.detail:
            yield f"{entry.id}: {path} exists and is not changed. Warning: {fetched.check.detail}"
        else:
            yield f"{entry.id}: {path} exists"


def _verify(options: argparse.Namespace) -> Iterator[str]:
    from tqdm import tqdm

    from ..faceid_core.weights.check import State, verify
    from ..faceid_core.weights.errors import WeightsError
    from ..faceid_core.weights.manifest import manifest

    folders, named = _folders(options), _chosen(options)
    wrong: list[str] = []
    for entry in named or (entry for entry in manifest() if folders.find(entry)):
        check = verify(entry, folders, partial(tqdm, disable=None))
        warning = "" if check.state is State.FOUND else "Warning: "
        yield f"{warning}{entry.id}: {_state(check, folders)}"
        if warning:
            wrong.append(entry.id)
    if wrong:
        raise WeightsError(f"not the published files, or missing: {', '.join(wrong)}.")


def size_text(size: int | None) -> str:
    """Bytes in words, or "unknown"."""
    if size is None:
        return "unknown"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _folders(options: argparse.Namespace) -> ModelFolders:
    from ..faceid_core.weights.folders import model_folders

    return model_folders(options.models)


def _chosen(options: argparse.Namespace) -> list[PublishedFile]:
    from ..faceid_core.weights.manifest import files_for, model_file

    chosen = [model_file(id) for id in options.ids]
    return chosen + list(files_for(options.group) if options.group else ())


def _state(check: Check, folders: ModelFolders) -> str:
    if check.path is None:
        return f"{check.state.value}, goes to {folders.target(check.entry)}"
    place = f"{check.state.value} at {check.path}"
    return f"{place}: {check.detail}" if check.detail else place


def asking(accepted_ids: Iterable[str]) -> Callable[[Licence], bool]:
    """How a command accepts licences: by the ids in its flags, else by a question if a person can answer.

    Raises WeightsError for an unknown licence id.
    """
    from ..faceid_core.weights.manifest import licence as known

    granted = {known(id).id for id in accepted_ids}

    def accept(licence: Licence) -> bool:
        if licence.id in granted:
            return True
        if not sys.stdin.isatty():
            return False
        say(f"{_licence(licence)}\nAccept? [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return accept


def _licence(licence: Licence) -> str:
    return f"{licence.id}: {licence.sentence} {licence.url}"


def tell(sentence: str) -> None:
    """Write messages to standard error, above the progress bars."""
    from tqdm import tqdm

    tqdm.write(sentence, file=sys.stderr)
