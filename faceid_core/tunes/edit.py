"""A tune's photos, changed: added, dropped, counted or not. Who it is is judged again each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .analysis import OnPhoto, analyse_drafts, draft, sha256_of
from .errors import TuneError
from .orders import PhotoOrder, check_numbers
from .store import TuneStore
from .tune import Tune, TunePhoto

if TYPE_CHECKING:
    from ..faces import FacePack

_ATTEMPTS = 5


@dataclass(frozen=True)
class _Change:
    """The photos afterwards, of those before; the files of new ones, and what to do with single ones, by sha256."""

    photos: Callable[[tuple[TunePhoto, ...]], tuple[TunePhoto, ...]]
    files: Mapping[str, bytes]
    orders: Mapping[str, PhotoOrder]


def decide(
    store: TuneStore,
    tune: Tune,
    orders: Mapping[int, PhotoOrder],
    pack: FacePack,
    on_photo: OnPhoto | None = None,
) -> Tune:
    """The tune with ``orders`` carried out: which photos count, which face is meant, how much each weighs.

    Args:
        store: where the tune is stored.
        tune: as it is.
        orders: by photo number, from 1.
        pack: finds the faces; it becomes the tune's own.
        on_photo: called (done, total) after each photo.

    Raises:
        TuneError: there is no such photo or face, or nobody is in most of the photos then; nothing is changed.
    """
    check_numbers(orders, len(tune.photos))
    by_file = {tune.photos[number - 1].sha256: order for number, order in orders.items()}
    return _changed(store, tune, _Change(lambda photos: photos, {}, by_file), pack, on_photo)


def add_photos(
    store: TuneStore,
    tune: Tune,
    photos: Sequence[bytes],
    pack: FacePack,
    on_photo: OnPhoto | None = None,
    orders: Mapping[int, PhotoOrder] | None = None,
) -> Tune:
    """The tune with more photos (image files as bytes), after those it has.

    A file that the tune has already is not added again; if the stored one is damaged, it is repaired. A photo of
    somebody else is added and left out.

    Args:
        store: where the tune is stored.
        tune: as it is.
        photos: image files, as bytes.
        pack: finds the faces; it becomes the tune's own.
        on_photo: called (done, total) after each photo.
        orders: what to do with the new photos, by their number among ``photos``, from 1.

    Raises:
        TuneError: a photo cannot be read, or nobody is in most of the photos then; nothing is changed.
    """
    check_numbers(orders or {}, len(photos))
    kept = {photo.sha256 for photo in tune.photos}
    for data in photos:
        if sha256_of(data) in kept:
            store.blobs.put(data)
    drafts = [replace(draft(data, number), is_added=True) for number, data in enumerate(photos, 1)]
    files = {added.sha256: data for added, data in zip(drafts, photos, strict=True)}

    def with_new(before: tuple[TunePhoto, ...]) -> tuple[TunePhoto, ...]:
        there = {photo.sha256 for photo in before}
        new = {added.sha256: added for added in drafts if added.sha256 not in there}
        return (*before, *new.values())

    by_file = {drafts[number - 1].sha256: order for number, order in (orders or {}).items()}
    if not by_file and files.keys() <= kept:
        return store.get(tune.id)
    return _changed(store, tune, _Change(with_new, files, by_file), pack, on_photo)


def drop_photo(store: TuneStore, tune: Tune, number: int, pack: FacePack, on_photo: OnPhoto | None = None) -> Tune:
    """The tune without photo ``number``, from 1; its file is deleted unless another tune needs it.

    Raises:
        TuneError: there is no such photo, it is the last one, or without it nobody is in most of the photos.
    """
    if not 1 <= number <= len(tune.photos):
        raise TuneError(f"Tune {tune.id} ({tune.title!r}) has no photo {number}: it has {len(tune.photos)}.")
    if len(tune.photos) == 1:
        raise TuneError(
            f"Photo 1 is the only one of tune {tune.id} ({tune.title!r}). Add another first, or delete the tune with "
            f"`faceid tunes delete {tune.id}`."
        )
    dropped = tune.photos[number - 1].sha256

    def without(before: tuple[TunePhoto, ...]) -> tuple[TunePhoto, ...]:
        return tuple(photo for photo in before if photo.sha256 != dropped)

    return _changed(store, tune, _Change(without, {}, {}), pack, on_photo)


def _changed(store: TuneStore, tune: Tune, change: _Change, pack: FacePack, on_photo: OnPhoto | None) -> Tune:
    """Judge the photos again and store them; begin again when another process changed the tune meanwhile."""
    for _ in range(_ATTEMPTS):
        tune = store.get(tune.id)
        drafts = change.photos(tune.photos)
        orders = {
            number: change.orders[photo.sha256]
            for number, photo in enumerate(drafts, 1)
            if photo.sha256 in change.orders
        }
        photos = [_bytes(store, tune, photo, change.files) for photo in drafts]
        analysis = analyse_drafts(drafts, photos, pack, on_photo, orders)
        changed = store.replace_photos(tune, analysis.photos, analysis.files, analysis.pack, analysis.space)
        if changed is not None:
            return changed
    raise TuneError(f"Tune {tune.id} ({tune.title!r}) was changed by others {_ATTEMPTS} times meanwhile. Try again.")


def _bytes(store: TuneStore, tune: Tune, photo: TunePhoto, files: Mapping[str, bytes]) -> bytes:
    given = files.get(photo.sha256)
    return store.photo_bytes(tune, photo) if given is None else given
