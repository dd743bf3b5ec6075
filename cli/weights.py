"""``faceid weights list|fetch|verify``: the model files: list, download, check."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .streams import say

if TYPE_CHECKING:
    from ..faceid_core.weights.check import Check
    from ..faceid_core.weights.folders import ModelFolders
    from ..faceid_core.weights.manifest import Licence, PublishedFile


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
        help="a ComfyUI folder or a models folder (FACEID_MODELS sets it too; default: the ComfyUI of this package, "
        "else a separate folder)",
    )


def _list(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.weights.check import look
    from ..faceid_core.weights.manifest import groups, manifest

    folders = _folders(options)
    entries = _chosen(options) or list(manifest())
    rows = [("ID", "SIZE", "LICENCE"), *((entry.id, size_text(entry.size), entry.licence.id) for entry in entries)]
    layout = "  ".join(f"{{:<{max(map(len, column))}}}" for column in zip(*rows, strict=True)) + "  {}"
    yield layout.format(*rows[0], "NEEDED FOR")
    for entry, row in zip(entries, rows[1:], strict=True):
        first, *more = textwrap.wrap(" ".join(entry.needed_for), 64)
        yield layout.format(*row, first)
        yield from (layout.format("", "", "", line) for line in more)
        yield f"    {_state(look(entry, folders), folders)}"
    yield ""
    yield "Licences:"
    for licence in dict.fromkeys(entry.licence for entry in entries):
        yield f"  {_licence(licence)}"
    if not options.ids:
        yield "Groups:"
        used = {group for entry in entries for group in entry.needed_for}
        yield from (f"  {group}: {purpose}" for group, purpose in groups().items() if group in used)


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
        check = verify(entry, folders, tqdm)
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
