"""What was found, as one line for the node."""

from __future__ import annotations

from collections.abc import Sequence

from .extract import FoundFaces
from .face import Faces
from .packs import TRAINED_PACK, TRAINED_SPACE


def describe_faces(faces: Faces, found: FoundFaces) -> str:
    """Pack, provider, counts, skipped images (counted from 1) and images that seem to show someone else."""
    total = sum(len(photo.faces) for photo in found.photos)
    lines = [
        f"{faces.pack} ({faces.space}) on {faces.provider.removesuffix('ExecutionProvider')}",
        f"{_count(total, 'face')} found in {_count(len(found.photos), 'photo')}, {len(faces.faces)} used",
    ]
    if faces.skipped:
        lines.append(f"skipped, no face: {_images(faces.skipped)}")
    outliers = faces.outliers()
    if outliers:
        lines.append(f"seems to be someone else: {_images(outliers)}")
    if faces.space != TRAINED_SPACE:
        lines.append(f"FaceID adapters need {TRAINED_PACK} embeddings: these are for previews and comparing only")
    return " · ".join(lines)  # Nodes 2.0 drops line breaks


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _images(indices: Sequence[int]) -> str:
    return ", ".join(f"image {index + 1}" for index in indices)
