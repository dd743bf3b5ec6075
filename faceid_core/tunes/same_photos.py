"""Whether photos are those a tune was made from: a title never stands for a second person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import FaceIDError
from .analysis import sha256_of
from .errors import TuneError
from .tune import Tune

if TYPE_CHECKING:
    from .store import TuneStore


def same_photos(tune: Tune, photos: Sequence[bytes]) -> bool:
    """Whether the tune was made from exactly these files, in any order; those added later may be among them."""
    given, made_from = sorted(map(sha256_of, photos)), [photo for photo in tune.photos if not photo.is_added]
    return given in (sorted(photo.sha256 for photo in tune.photos), sorted(photo.sha256 for photo in made_from))


def positions_of(store: TuneStore, tune: Tune, photos: Sequence[bytes]) -> list[int]:
    """Where in ``tune.photos`` each of the photos is, which are the tune's: 0-based."""
    kept = [photo.sha256 for photo in tune.photos]
    if all(sha256_of(data) in kept for data in photos):
        return [kept.index(sha256_of(data)) for data in photos]
    there = [_pixels_kept(store, tune, number) for number in range(len(tune.photos))]
    return [there.index(_pixels(data)) for data in photos]


def refuse_other_photos(store: TuneStore, tune: Tune, photos: Sequence[bytes]) -> None:
    """Raise TuneError unless the tune was made from these photos: the same files, or files of the same pixels.

    Pixels count, too: a picture that is written as PNG a second time may have other bytes. Bytes in hand heal what the
    disk has lost: of the files that are the tune's, those damaged are written again.
    """
    kept = {photo.sha256 for photo in tune.photos}
    for data in photos:
        if sha256_of(data) in kept:
            store.blobs.put(data)
    if same_photos(tune, photos):
        return
    there = [_pixels_kept(store, tune, number) for number in range(len(tune.photos))]
    other = [number for number, data in enumerate(photos, 1) if _pixels(data) not in there]
    if not other and len(photos) in (len(tune.photos), sum(not photo.is_added for photo in tune.photos)):
        return
    raise TuneError(
        f"There already is a tune {tune.title!r}, made from other photos{_difference(tune, photos, other)}. Choose "
        "another title for these (on the command line: --title, and in the text's tag), or leave the photos out to "
        f"draw the person kept before: <faceid:{tune.id}:1>.",
        "tune[title]",
    )


def _difference(tune: Tune, photos: Sequence[bytes], other: Sequence[int]) -> str:
    if other:
        return f" ({', '.join(f'image {number}' for number in other)} not among them)"
    return f" ({len(tune.photos)} of them, and here are {len(photos)})"


def _pixels_kept(store: TuneStore, tune: Tune, position: int) -> str:
    try:
        return _pixels(store.photo_bytes(tune, tune.photos[position]))
    except TuneError:  # damaged, and not among the bytes in hand
        return tune.photos[position].sha256


def _pixels(data: bytes) -> str:
    """sha256 of the upright pixels, or of the bytes where they cannot be read."""
    from ..faces import read_photo

    try:
        pixels = read_photo(data)
    except FaceIDError:
        return sha256_of(data)
    return sha256_of(repr(pixels.shape).encode() + pixels.tobytes())
