"""Faces by person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .face import Face


def clusters(faces: Sequence[Face], limit: float) -> list[list[Face]]:
    """The faces in groups of one person each, in the order of each group's first face.

    Groups are joined, the most alike first, while the mean cosine between their faces is at least ``limit`` (average
    linkage: a chain of look-alikes does not become one person).
    """
    units = np.stack([face.unit_embedding for face in faces]) if faces else np.zeros((0, 512), np.float32)
    sums = units @ units.T  # of the cosines between two groups
    if sums.size and sums.min() >= limit:
        return [list(faces)]
    members = [[number] for number in range(len(faces))]
    while len(members) > 1:
        sizes = np.array([len(group) for group in members])
        means = sums / np.outer(sizes, sizes)
        np.fill_diagonal(means, -np.inf)
        first, second = sorted(np.unravel_index(int(np.argmax(means)), means.shape))
        if means[first, second] < limit:
            break
        members[first] += members.pop(second)
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sums = np.delete(np.delete(sums, second, 0), second, 1)
    return [[faces[number] for number in sorted(group)] for group in sorted(members, key=min)]
