"""Tunes to and from rows of the tables in schema.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from .errors import DamagedValueError
from .readable import select_readable
from .schema import faces, photos, tunes
from .tune import Tune, TuneFace, TunePhoto

_COLUMNS = [column.name for column in tunes.columns]

FACE_COLUMNS = (
    "sha256",
    "box",
    "landmarks",
    "score",
    "provider",
    "counts",
    "reason",
    "others",
)  # as row_face takes them

_PHOTOS = (
    sa.select(
        photos.c.tune_id,
        photos.c.sha256,
        photos.c.media_type,
        photos.c.width,
        photos.c.height,
        photos.c.use,
        photos.c.face_at,
        photos.c.weight,
        photos.c.is_added,
        *(faces.c[name] for name in FACE_COLUMNS),
    )
    .join(tunes, tunes.c.id == photos.c.tune_id)
    .outerjoin(
        faces,
        sa.and_(
            faces.c.tune_id == photos.c.tune_id, faces.c.position == photos.c.position, faces.c.pack == tunes.c.pack
        ),
    )
    .where(photos.c.tune_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(photos.c.tune_id, photos.c.position)
)


def select_tunes(
    connection: sa.Connection, query: sa.Select[Any], damaged: list[DamagedValueError] | None = None
) -> tuple[Tune, ...]:
    """The tunes of a query over the tunes table, with their photos, in the query's order.

    Raises:
        DamagedValueError: of the first tune that cannot be read; with ``damaged`` it goes there, and the others are
            returned.
    """

    def on_damaged(tune_id: int, error: DamagedValueError) -> None:
        if damaged is None:
            raise error.of_tune(tune_id) from None
        damaged.append(error.of_tune(tune_id))

    return select_readable(connection, query, tunes.c.id, partial(_select, connection), on_damaged)


def _select(connection: sa.Connection, query: sa.Select[Any]) -> tuple[Tune, ...]:
    rows = connection.execute(query).all()
    if not rows:
        return ()
    found = connection.execute(_PHOTOS, {"ids": [row.id for row in rows]})
    by_tune = {tune_id: tuple(map(_photo, group)) for tune_id, group in groupby(found, key=lambda row: row[0])}
    return tuple(_tune(row, by_tune.get(row.id, ())) for row in rows)


def insert_tune(connection: sa.Connection, tune: Tune) -> int:
    """Insert the row; its id is never a number that another tune is titled: a tag with it would change its meaning."""
    while True:
        stored = connection.execute(tunes.insert().values(_tune_values(tune)))
        tune_id: int = stored.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has it
        titled = sa.select(tunes.c.id).where(tunes.c.title == str(tune_id), tunes.c.id != tune_id)
        if connection.execute(titled).first() is None:
            return tune_id
        connection.execute(tunes.delete().where(tunes.c.id == tune_id))


def has_photos(connection: sa.Connection, tune: Tune) -> bool:
    """Whether the photos of the tune, and what was decided about them, are as ``tune`` has them."""
    now = next(iter(select_tunes(connection, sa.select(tunes).where(tunes.c.id == tune.id))), None)
    return now is not None and [_decided(photo) for photo in now.photos] == [_decided(photo) for photo in tune.photos]


def photo_rows(tune_id: int, of: Iterable[TunePhoto]) -> list[dict[str, object]]:
    return [
        {
            "tune_id": tune_id,
            "position": position,
            "sha256": photo.sha256,
            "media_type": photo.media_type,
            "width": photo.width,
            "height": photo.height,
            "use": photo.use,
            "face_at": photo.face_at and list(photo.face_at),
            "weight": photo.weight,
            "is_added": photo.is_added,
        }
        for position, photo in enumerate(of)
    ]


def face_rows(
    tune_id: int, pack: str | None, space: str | None, found: Sequence[TuneFace | None]
) -> list[dict[str, object]]:
    """What one pack found, photo by photo; a photo without a face has a row too."""
    return [
        {
            "tune_id": tune_id,
            "position": position,
            "pack": pack,
            "space": space,
            "sha256": face and face.sha256,
            "box": face and list(face.box),
            "landmarks": face and [list(point) for point in face.landmarks],
            "score": face and face.score,
            "provider": face and face.provider,
            "counts": face and face.counts,
            "reason": face.reason if face else "",
            "others": face.others if face else 0,
        }
        for position, face in enumerate(found)
    ]


def row_face(
    sha256: str | None,
    box: Any,
    landmarks: Any,
    score: Any,
    provider: Any,
    counts: bool | None,
    reason: str,
    others: int,
) -> TuneFace | None:
    """Of ``FACE_COLUMNS``; sha256 is None for a photo without a face."""
    if sha256 is None:
        return None
    for column, value in (("box", box), ("landmarks", landmarks), ("score", score)):
        if value is None:
            raise DamagedValueError(faces.name, column, None)
    points = tuple(tuple(point) for point in landmarks)
    return TuneFace(sha256, tuple(box), points, score, provider, counts, reason, others)


def _tune_values(tune: Tune) -> dict[str, object]:
    """Of a tune that has no id yet."""
    values = {name: getattr(tune, name) for name in _COLUMNS if name != "id"}
    return values | {"ckpt_urls": list(tune.ckpt_urls)}


def _decided(photo: TunePhoto) -> TunePhoto:
    return dataclasses.replace(photo, face=None)


def _photo(row: Sequence[Any]) -> TunePhoto:
    _, sha256, media_type, width, height, use, face_at, weight, is_added, *face = row
    at = None if face_at is None else (face_at[0], face_at[1])
    return TunePhoto(sha256, media_type, width, height, row_face(*face), use, at, weight, is_added)


def _tune(row: Sequence[Any], of: tuple[TunePhoto, ...]) -> Tune:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["ckpt_urls"] = tuple(values["ckpt_urls"])
    return Tune(**values, photos=of)
