"""Tunes without a photo of anybody: as rows and files they are like any other."""

from __future__ import annotations

import hashlib

from faceid_tunes.faceid_core.tunes.store import TuneStore
from faceid_tunes.faceid_core.tunes.tune import Tune, TuneFace, TunePhoto

_POINTS = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.5, 4.0), (2.5, 4.0))


def made_tune(store: TuneStore, title: str, photos: int = 2) -> Tune:
    """A kept tune whose photos and faces are a few bytes each."""
    files, kept = [], []
    for number in range(photos):
        photo, face = f"photo {number} of {title}".encode(), f"face {number} of {title}".encode()
        files += [photo, face]
        found = TuneFace(_name(face), (1.0, 1.0, 9.0, 9.0), _POINTS, 0.9, "CPUExecutionProvider", True, "dark", 1)
        kept.append(TunePhoto(_name(photo), "image/png", 10, 10, found, True, (0.5, 0.5), 2.0, True))
    draft = Tune(title, "woman", photos=tuple(kept), pack="embedded", space="sface", ckpt_urls=("http://x/y",))
    return store.create(draft, files)


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
