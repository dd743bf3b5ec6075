"""From a detection to a ``Face``: the crops and the embedding."""

from __future__ import annotations

import numpy as np

from ..errors import FaceIDError
from .align import norm_crop
from .detection import Detection
from .face import Face
from .models import FaceModels

CROP_SIZE = 224  # what CLIP takes; the recogniser's 112 has the same framing


def face_of(photo: np.ndarray, detection: Detection, models: FaceModels) -> Face:
    """The face at a detection in ``photo`` ([H, W, 3] uint8 RGB), as of photo number 0."""
    return Face(
        photo=0,
        box=detection.box,
        landmarks=detection.landmarks,
        score=detection.score,
        embedding=embed(norm_crop(photo, detection.landmarks, 112), models),
        crop=norm_crop(photo, detection.landmarks, CROP_SIZE),
    )


def embed(crop: np.ndarray, models: FaceModels) -> np.ndarray:
    """[512] float32, not normalised, of an aligned [112, 112, 3] uint8 RGB crop. Equals ``ArcFaceONNX.get``."""
    bgr = np.ascontiguousarray(crop[..., ::-1])  # insightface's models take BGR and swap it themselves
    embedding = models.recogniser.get_feat(bgr).flatten().astype(np.float32)
    if embedding.shape != (512,) or not np.isfinite(embedding).all():
        raise FaceIDError(f"{models.recogniser.model_file} gave no usable embedding (512 finite numbers).")
    return embedding
