"""Alignment: the similarity that moves five landmarks onto the ArcFace template (insightface's ``norm_crop``)."""

from __future__ import annotations

import numpy as np

# Left eye, right eye, nose, left and right mouth corner of a 112x112 crop: insightface utils/face_align.py.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The [2, 3] least-squares similarity (rotation, scale, shift; no shear, no mirror) from source to target points.

    source, target: [N, 2]. All points count: a robust fit (RANSAC) drops landmarks and costs likeness
    (docs/facts/faces.md 2.2). Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991, eq. 40-43. Computed in the precision of the points: float32 landmarks give insightface's
    matrix to 1e-12, float64 ones move it by 1e-3 pixels, which changes the rounding of a few pixels of the crop.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = (singular @ sign) * (1 / max(a.var(axis=0).sum(), 1e-12))
    return np.column_stack([scale * rotation, target_mean - scale * (rotation @ source_mean)])


def norm_crop(photo: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """The aligned face, [size, size, 3] uint8, size a multiple of 112; outside the photo it is black.

    photo: [H, W, 3] uint8; landmarks: [5, 2] in its pixels. Equals insightface's ``norm_crop`` for the same landmarks.
    """
    import cv2

    matrix = similarity(landmarks, TEMPLATE * np.float32(size / 112))
    return cv2.warpAffine(photo, matrix, (size, size), borderValue=0.0)


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[N, 2] points under a [2, 3] affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]
