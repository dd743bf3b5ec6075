"""From photos to a tune."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .analysis import analyse
from .edit import decide
from .fields import check_name, check_title, checked
from .orders import PhotoOrder
from .same_photos import positions_of, refuse_other_photos
from .store import TuneStore
from .tune import Tune

if TYPE_CHECKING:
    from ..faces import FacePack


def create_tune(
    store: TuneStore,
    photos: Sequence[bytes],
    title: str,
    name: str,
    pack: FacePack,
    *,
    is_api: bool = False,
    token: str | None = None,
    base_tune_id: int | None = None,
    branch: str | None = "sd15",
    steps: int | None = None,
    face_crop: bool | None = None,
    training_face_correct: bool | None = None,
    callback: str | None = None,
    on_photo: Callable[[int, int], None] | None = None,
    orders: Mapping[int, PhotoOrder] | None = None,
) -> Tune:
    """Find the faces in the photos (image files as bytes) and store both under a title; ready at once.

    The same title and the same photos return the tune there is, and repair its files. A photo without a face is
    stored and listed by ``photos_without_face``, one of somebody else by ``remarks``; at least one needs a face.
    ``steps`` and ``training_face_correct`` are stored and have no effect, as in the API.

    Args:
        store: where the tune is stored.
        photos: image files, as bytes.
        title: of the tune, unique.
        name: what the person is: man, woman, person.
        pack: finds the faces.
        is_api, token, base_tune_id, branch, steps, face_crop, training_face_correct, callback: fields of the API.
        on_photo: called (done, total) after each photo.
        orders: what to do with single photos, by image number from 1; also for the tune there is.

    Raises:
        TuneError: names the field or the image. Also when a tune of other photos has the title, and when the photos
            show several people and none is in most of them.
    """
    title, name = check_title(title), check_name(name)
    fields = checked(
        {
            "is_api": is_api,
            "token": token,
            "base_tune_id": base_tune_id,
            "branch": branch,
            "steps": steps,
            "face_crop": face_crop,
            "training_face_correct": training_face_correct,
            "callback": callback,
        }
    )
    tune = store.find(title)
    if tune is None:
        store.refuse_number_of_another(title)
        analysis = analyse(photos, pack, on_photo, orders)
        tune = store.create(analysis.tune(title, name, **fields), analysis.files)
        if tune.photos == analysis.photos:
            return tune
    if photos:
        refuse_other_photos(store, tune, photos)
    if orders:
        where = positions_of(store, tune, photos)
        return decide(store, tune, {where[number - 1] + 1: order for number, order in orders.items()}, pack, on_photo)
    return tune
