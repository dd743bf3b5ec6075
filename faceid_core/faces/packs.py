"""Face packs: a detector and a recogniser that belong together, found wherever users keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..cache import LRUCache
from ..errors import FacePackError
from ..model_files.onnx_header import Role, Signature, read_signature

EMBEDDED_PACK = "yunet_sface"
AUTO = "auto"
BUFFALO_L, W600K_R50 = "buffalo_l", "w600k_r50"  # the pack of "auto", and the embedding space of its recogniser
BUFFALO_L_URL = "https://github.com/deepinsight/insightface/releases/download/model-zoo/buffalo_l.zip"

_EMBEDDED_FOLDER = Path(__file__).parents[2] / "weights" / "embedded" / EMBEDDED_PACK

# Files of the published packs: listed without being opened.
_ROLES = {
    "det_10g": Role.DETECTOR,
    "det_2.5g": Role.DETECTOR,
    "det_500m": Role.DETECTOR,
    "scrfd_10g_bnkps": Role.DETECTOR,
    "det_yunet_scrfd": Role.DETECTOR,
    "w600k_r50": Role.RECOGNISER,
    "w600k_mbf": Role.RECOGNISER,
    "glintr100": Role.RECOGNISER,
    "w_sface_arcface512": Role.RECOGNISER,
    "1k3d68": Role.OTHER,
    "2d106det": Role.OTHER,
    "genderage": Role.OTHER,
    "inswapper_128": Role.OTHER,
}
# The pack's name when its two files are in the root folder itself, where no folder gives a name.
_FLAT_PACKS = (
    (BUFFALO_L, "det_10g", W600K_R50),
    ("buffalo_m", "det_2.5g", "w600k_r50"),
    ("antelopev2", "scrfd_10g_bnkps", "glintr100"),
    ("buffalo_s", "det_500m", "w600k_mbf"),
)
# The published pack that reads faces in a space.
PACK_OF_SPACE = {W600K_R50: BUFFALO_L, "glintr100": "antelopev2"}
# sha256 of the recogniser -> embedding space (docs/facts/adapter.md 1.1; the last one is ours).
_SPACES = {
    "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43": "w600k_r50",
    "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf": "glintr100",
    "84b771387fde1f7909c29a8bedcf9b62295e1c79217e82c42d514892a826a4eb": "sface",
}
# Recognised by name as well: half-precision and fixed-batch conversions of these exist, and no other model uses the
# names. "glintr100" is not one of them, because AuraFace uses that name for its own embedding space.
_SPACES_BY_NAME = frozenset({W600K_R50, "w600k_mbf"})

_signatures: LRUCache[Signature | None] = LRUCache(limit=512)  # of a few numbers
_hashes: LRUCache[str] = LRUCache(limit=512)


@dataclass(frozen=True)
class FacePack:
    """name: as in the combo box; detector, recogniser: ONNX files."""

    name: str
    detector: Path
    recogniser: Path

    @property
    def space(self) -> str:
        """The embedding space: "w600k_r50", "glintr100", "sface", … or "<pack>/<file stem>" for an unknown file.

        The recogniser is hashed once and again only when the file changes.
        """
        known = _SPACES.get(_sha256(self.recogniser))
        stem = self.recogniser.stem.lower()
        return known or (stem if stem in _SPACES_BY_NAME else f"{self.name}/{self.recogniser.stem}")


def list_packs(roots: Iterable[Path]) -> list[FacePack]:
    """The embedded pack, then every complete pack below the given ``models/insightface`` folders, by name.

    Looked for: ``<root>/models/<pack>/``, ``<root>/<pack>/``, ``<pack>/<pack>/`` in either, and the two files in
    ``<root>`` or ``<root>/models`` themselves. The first pack of a name is taken. Opens only files whose names are
    unknown, and reads only their headers.
    """
    found: dict[str, FacePack] = {}
    for root in roots:
        for parent in (root / "models", root):
            for pack in (*_flat_packs(parent), *_folder_packs(parent)):
                found.setdefault(pack.name, pack)
    found.pop(EMBEDDED_PACK, None)
    return [embedded_pack(), *(found[name] for name in sorted(found))]


def find_pack(name: str, roots: Sequence[Path]) -> FacePack:
    """The pack of that name; "auto" is buffalo_l when it is installed, else the embedded one.

    Never downloads. Raises FacePackError that says which files were looked for, where, and how to get them.
    """
    packs = {pack.name: pack for pack in list_packs(roots)}
    if name == AUTO:
        return packs.get(BUFFALO_L, packs[EMBEDDED_PACK])
    if name not in packs:
        raise FacePackError(_not_found(name, roots, sorted(packs)))
    return packs[name]


def embedded_pack() -> FacePack:
    """YuNet and SFace, converted to the inputs and outputs of SCRFD and ArcFace; part of this package."""
    return FacePack(
        EMBEDDED_PACK, _EMBEDDED_FOLDER / "det_yunet_scrfd.onnx", _EMBEDDED_FOLDER / "w_sface_arcface512.onnx"
    )


def file_identity(path: Path) -> tuple[str, int, int]:
    """(path, size, mtime): changes when the file is replaced."""
    try:
        stat = path.stat()
    except OSError as error:
        raise FacePackError(f"The face pack file {path} cannot be read: {error.strerror or error}.") from error
    return str(path), stat.st_size, stat.st_mtime_ns


def _folder_packs(parent: Path) -> Iterator[FacePack]:
    for folder in sorted(_folders(parent)):
        for place in (folder, folder / folder.name):  # antelopev2.zip unpacks into antelopev2/antelopev2
            by_role = _files_by_role(place)
            if by_role[Role.DETECTOR] and by_role[Role.RECOGNISER]:
                yield FacePack(folder.name, by_role[Role.DETECTOR][0], by_role[Role.RECOGNISER][0])
                break


def _flat_packs(parent: Path) -> Iterator[FacePack]:
    files = {file.stem.lower(): file for file in _onnx_files(parent)}
    for name, detector, recogniser in _FLAT_PACKS:
        if detector in files and recogniser in files:
            yield FacePack(name, files[detector], files[recogniser])


def _files_by_role(folder: Path) -> dict[Role, list[Path]]:
    """ONNX files of a folder by role, in sorted order as insightface reads them."""
    by_role: dict[Role, list[Path]] = {role: [] for role in Role}
    for file in _onnx_files(folder):
        by_role[_role(file)].append(file)
    return by_role


def _role(file: Path) -> Role:
    known = _ROLES.get(file.stem.lower())
    if known is not None:
        return known
    signature = _signatures.get_or_make(file_identity(file), lambda: read_signature(file))
    return signature.role if signature else Role.OTHER


def _sha256(file: Path) -> str:
    def hash_file() -> str:
        with file.open("rb") as stream:
            return _hash_stream(stream)

    return _hashes.get_or_make(file_identity(file), hash_file)


def _hash_stream(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _onnx_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".onnx" and file.is_file())
    except OSError:
        return []


def _folders(parent: Path) -> list[Path]:
    try:
        return [folder for folder in parent.iterdir() if folder.is_dir() and folder.name != "models"]
    except OSError:
        return []


def _not_found(name: str, roots: Sequence[Path], available: list[str]) -> str:
    places = [parent / name for root in roots for parent in (root / "models", root)]
    lines = [f'face_pack: "{name}" is not installed, or not complete. Available: {", ".join(available)}.']
    for place in places:
        files = [*_onnx_files(place), *_onnx_files(place / name)]
        if files:
            lines.append(f"{place} holds {_inventory(files)}.")
    wanted = "det_10g.onnx and w600k_r50.onnx" if name == BUFFALO_L else "a detector and a recogniser (.onnx)"
    lines.append(f"Looked for {wanted} in {' and '.join(map(str, places)) or 'no folder at all'}.")
    if name == BUFFALO_L:
        target = roots[0] / "models" / name if roots else Path("models/insightface/models") / name
        lines.append(
            f"To install it, unpack {BUFFALO_L_URL} into {target}. Its licence allows non-commercial research only."
        )
    return " ".join(lines)


def _inventory(files: list[Path]) -> str:
    parts = [f"{file.name} ({'unreadable' if not file.stat().st_size else _role(file).value})" for file in files]
    missing = [role.value for role in (Role.DETECTOR, Role.RECOGNISER) if role not in map(_role, files)]
    return ", ".join(parts) + (f" but no {' and no '.join(missing)}" if missing else "")
