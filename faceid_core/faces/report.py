"""What was found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import counted
from ..said import Said
from .extract import FoundFaces
from .face import Faces
from .trust import doubts


def describe_faces(faces: Faces, found: FoundFaces, adapter_packs: Mapping[str, str]) -> Said:
    """Pack, provider, counts, and images (counted from 1) that are skipped, unclear or seem to show someone else.

    Args:
        adapter_packs: the embedding spaces that adapters take, and the face pack of each.
    """
    total = sum(len(photo.faces) for photo in found.photos)
    lines = (
        f"{counted(total, 'face')} found in {counted(len(found.photos), 'photo')}, {len(faces.faces)} used",
        f"{faces.pack} ({faces.space}) on {faces.provider.removesuffix('ExecutionProvider')}",
    )
    warnings = describe_doubts(faces)
    if faces.space not in adapter_packs:
        needed = " or ".join(sorted(set(adapter_packs.values())))
        warnings.append(f"FaceID adapters need {needed} embeddings: these are for previews and comparing only")
    return Said(tuple(warnings), lines)


def describe_doubts(faces: Faces) -> list[str]:
    """A sentence for each reason to doubt who it is: photos without a face, unclear, left out, unlike the others."""
    lines = [f"skipped, no face: {_images(faces.skipped)}"] if faces.skipped else []
    if found := doubts(faces):
        reasons = ", ".join(f"image {photo + 1} ({reason})" for photo, reason in found.items())
        lines.append(f"cannot vouch for who it is: {reasons}")
    lines += [f"left out: image {left.photo + 1}, {left.reason}" for left in faces.left_out]
    lines += faces.remarks
    if outliers := faces.outliers():
        lines.append(f"seems to be someone else: {_images(outliers)}")
    return lines


def _images(indices: Sequence[int]) -> str:
    return ", ".join(f"image {index + 1}" for index in indices)
