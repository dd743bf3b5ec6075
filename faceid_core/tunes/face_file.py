"""One analysed face as bytes (safetensors: embedding, crop), and back."""

from __future__ import annotations

import numpy as np

from ..faces import Face
from .errors import TuneError
from .tune import TuneFace


def face_bytes(face: Face) -> bytes:
    """The parts too big for the database: embedding float32 [512], not normalised, and crop uint8 [224, 224, 3]."""
    from safetensors.numpy import save

    return save(
        {
            "embedding": np.ascontiguousarray(face.embedding, dtype=np.float32),
            "crop": np.ascontiguousarray(face.crop, dtype=np.uint8),
        }
    )


def tune_face(face: Face, sha256: str, provider: str) -> TuneFace:
    """The small parts of a face, with the blob that holds the rest."""
    x1, y1, x2, y2 = face.box
    return TuneFace(
        sha256=sha256,
        box=(float(x1), float(y1), float(x2), float(y2)),
        landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
        score=float(face.score),
        provider=provider,
    )


def restore_face(photo: int, kept: TuneFace, data: bytes) -> Face:
    """The face of photo number ``photo``, as extract_faces returned it, from what is stored."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        embedding, crop = arrays["embedding"], arrays["crop"]
    except (SafetensorError, KeyError) as error:
        raise TuneError(f"The stored face {kept.sha256} cannot be read: {error}.") from error
    return Face(
        photo=photo,
        box=np.asarray(kept.box, dtype=np.float32),
        landmarks=np.asarray(kept.landmarks, dtype=np.float32),
        score=kept.score,
        embedding=embedding,
        crop=crop,
    )
