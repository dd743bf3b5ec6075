"""Face correct: a restorer sharpens faces, as far as each person keeps their likeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..faces import Face, FacePack, Faces
from ..faces.align import norm_crop
from ..faces.embed import embed
from ..faces.face import SAME_PERSON
from ..faces.models import FaceModels, load_models
from .crop import crop_face
from .errors import RetouchError
from .face_mask import face_masks
from .face_parser import Parse
from .paste import Patch, make_patch
from .picture import MIN_SIDE, Retouched, check_mask, check_picture, check_share, large_enough
from .restorer import Restorer, RunModule, restore_crop

TEMPLATE = "ffhq_512"

# The most that restoring may reduce the cosine to the person. Landmarks one pixel of 112 off reduce it by 0.01 to 0.03.
MAX_LOSS = 0.05
# A face of an unknown person is compared with itself before: the cosine may not fall below this. Even a perfect
# restoration of a damaged face changes it: blurred by sigma 2.5, one of eight people has a cosine of only 0.72 to their
# sharp photo (the embedded pack; JPEG 30, noise, half or 1.3 times the light: 0.87 or more).
MIN_SELF = 0.7
_GATE_STEPS = 5  # halvings: the visibility is found to 1/32 of the requested one


def restore_faces(
    picture: np.ndarray,
    faces: Sequence[Face],
    restorer: Restorer,
    *,
    fidelity: float = 0.8,
    visibility: float = 0.8,
    people: Sequence[Faces] = (),
    pack: FacePack | None = None,
    min_side: int = MIN_SIDE,
    mask: np.ndarray | None = None,
    run: RunModule | None = None,
    parse: Parse | None = None,
) -> Retouched:
    """Restore faces of a picture.

    Restorers were trained to make faces beautiful, and they change the person (docs/facts/faces.md 4). With a ``pack``,
    each face's visibility is therefore lowered until the likeness is kept: to the person if it shows one of ``people``
    (cosine 0.4 or more; it may lose 0.05), else to the face before (0.7 must remain).

    Args:
        picture: [H, W, 3] uint8 RGB.
        faces: of this picture (``find_faces``); the others stay as they are.
        restorer: of ``load_restorer``.
        fidelity: 0 (beautiful) to 1 (faithful), for CodeFormer; other restorers ignore it.
        visibility: 0 (nothing) to 1: the restored face's share in the result.
        people: the people whose likeness the faces must keep.
        pack: compares faces; the one that read the people's. Default: the likeness is not checked.
        min_side: faces whose box is smaller stay as they are.
        mask: [H, W], 0 to 1: where the picture may change.
        run: see ``restore_crop``.
        parse: tells what is in front of a face, and stays (``face_masks``); default: the whole shape is restored.

    Returns:
        The picture, bit-exact outside the rectangles of the restored faces, and notes on skipped or less visible faces.

    Raises:
        RetouchError: says which argument cannot be used, and why.
    """
    check_picture(picture)
    check_mask(mask, picture)
    check_share("fidelity", fidelity)
    check_share("visibility", visibility)
    _check_people(people, pack)
    chosen, notes = large_enough(faces, min_side)
    if not chosen or visibility == 0.0:
        notes.append("visibility is 0: the restored faces are not visible" if chosen else "no face to restore")
        return Retouched(picture, tuple(notes))
    models = load_models(pack) if pack else None
    own, said = face_masks(picture, chosen, parse)
    notes += said
    canvas = picture.copy()
    for number, face in chosen.items():
        crop, matrix = crop_face(canvas, face.landmarks, TEMPLATE, restorer.size)
        restored = restore_crop(crop, restorer, fidelity, run)
        patch = make_patch(canvas, crop, restored, matrix, mask=mask, face_mask=own.get(number))
        if patch is None:
            notes.append(f"face number {number} lies outside the picture: not changed")
            continue
        shown = visibility
        if models is not None:
            shown, held_back = _gated(_Gate(patch, face, people, models), visibility)
            notes += [f"face number {number}: {held_back}"] if held_back else []
        patch.paste(canvas, shown)
    return Retouched(canvas, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Gate:
    """How a face's likeness is measured."""

    patch: Patch
    face: Face
    people: Sequence[Faces]
    models: FaceModels

    def unit_at(self, visibility: float) -> np.ndarray:
        """[512] of length 1: the face's embedding at that visibility."""
        landmarks = self.face.landmarks - np.array(self.patch.rectangle[:2], np.float32)
        embedding = embed(norm_crop(self.patch.blended(visibility), landmarks, 112), self.models)
        return embedding / np.linalg.norm(embedding)


def _gated(gate: _Gate, visibility: float) -> tuple[float, str]:
    """The highest visibility, up to the requested one, that keeps the likeness, and a note if it is lower."""
    before = gate.unit_at(0.0)
    likeness = [float(before @ person.mean_embedding()) for person in gate.people]
    if max(likeness, default=-1.0) >= SAME_PERSON:
        reference = gate.people[int(np.argmax(likeness))].mean_embedding()
        was, whom = max(likeness), "the person"
        floor = was - MAX_LOSS
    else:
        reference, was, whom, floor = before, 1.0, "the face before", MIN_SELF
    after = float(gate.unit_at(visibility) @ reference)
    if after >= floor:
        return visibility, ""
    low, high = 0.0, visibility
    for _ in range(_GATE_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if float(gate.unit_at(middle) @ reference) >= floor else (low, middle)
    return low, (
        f"visibility lowered from {visibility:.2f} to {low:.2f}, because restoring changed the likeness to {whom} from "
        f"{was:.2f} to {after:.2f} (at least {floor:.2f} must remain)"
    )


def _check_people(people: Sequence[Faces], pack: FacePack | None) -> None:
    if people and pack is None:
        raise RetouchError("pack: a face pack is needed to compare the restored faces with the people.")
    for person in people:
        if pack is not None and person.space != pack.space:
            raise RetouchError(
                f"The person was read with the face pack {person.pack!r}, the restored faces would be with "
                f"{pack.name!r}: their embeddings cannot be compared. Use one pack for both."
            )
