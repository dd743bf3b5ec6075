"""The tables. A change here needs a migration in migrations/versions and a new REVISION."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from .columns import check_columns, is_points, is_sha256, is_size, is_texts, is_weight, numbers
from .fields import MAX_TEXT

REVISION = "0004"
VERSION_TABLE = (
    "faceid_schema_version"  # not alembic's default: the database may be shared with another program that uses alembic
)

metadata = sa.MetaData()  # jobs/schema.py adds its tables


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Takes and returns timezone-aware UTC; SQLite itself stores no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def text_column(name: str, nullable: bool = True, length: int | None = MAX_TEXT) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


# SQLite numbers rows itself only in a column whose type is exactly INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

tunes = sa.Table(
    "faceid_tunes",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    text_column("title", nullable=False),
    text_column("name", nullable=False),
    sa.Column("is_api", sa.Boolean, nullable=False),
    text_column("token"),
    sa.Column("base_tune_id", sa.BigInteger),
    text_column("branch"),
    text_column("model_type"),
    text_column("args", length=None),
    sa.Column("steps", sa.BigInteger),
    sa.Column("face_crop", sa.Boolean),
    sa.Column("training_face_correct", sa.Boolean),
    text_column("ckpt_url", length=None),
    sa.Column("ckpt_urls", sa.JSON, nullable=False),
    sa.Column("eta", UtcDateTime),
    text_column("callback", length=None),
    sa.Column("trained_at", UtcDateTime),
    sa.Column("started_training_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("cost_mc", sa.BigInteger),
    text_column("pack"),
    text_column("space"),
    sa.Column("remote_id", sa.BigInteger),
    text_column("remote_url", length=None),
    sa.UniqueConstraint("title", name="uq_faceid_tunes_title"),
    # An id is never used twice: a saved prompt must not draw another person under the id of a deleted tune.
    sqlite_autoincrement=True,
)

photos = sa.Table(
    "faceid_tune_photos",
    metadata,
    sa.Column("tune_id", Id, sa.ForeignKey(tunes.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    text_column("media_type", nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    # What the user decided; null: the rule decides.
    sa.Column("use", sa.Boolean),
    sa.Column("face_at", sa.JSON(none_as_null=True)),
    sa.Column("weight", sa.Float, nullable=False, server_default="1"),
    sa.Column("is_added", sa.Boolean, nullable=False, server_default=sa.false()),
)

# One row per photo and face pack; sha256 is null where that pack found no face.
faces = sa.Table(
    "faceid_tune_faces",
    metadata,
    sa.Column("tune_id", Id, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("pack", sa.String(MAX_TEXT), primary_key=True),
    text_column("space", nullable=False),
    sa.Column("sha256", sa.String(64), index=True),
    sa.Column("box", sa.JSON(none_as_null=True)),
    sa.Column("landmarks", sa.JSON(none_as_null=True)),
    sa.Column("score", sa.Float),
    text_column("provider"),
    sa.Column("counts", sa.Boolean),  # null: not judged yet
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("others", sa.Integer, nullable=False, server_default="0"),
    sa.ForeignKeyConstraint(
        ["tune_id", "position"],
        [photos.c.tune_id, photos.c.position],
        ondelete="CASCADE",
        name="fk_faceid_tune_faces_photo",
    ),
)

# A single row, locked by whoever adds references to blobs (shared) or removes blobs (exclusive).
blob_lock = sa.Table("faceid_blob_lock", metadata, sa.Column("id", sa.Integer, primary_key=True))

# A single row: which database this is, made once. The files of its tunes name it (file_owners.py).
database_id = sa.Table(
    "faceid_database",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.String(32), nullable=False),
)

# Files of the store that something else than a tune needs, by who needs them: "prompt 12". They are kept as long.
other_files = sa.Table(
    "faceid_other_files",
    metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True, index=True),
)

check_columns(tunes, {"ckpt_urls": is_texts})
check_columns(
    photos, {"sha256": is_sha256, "width": is_size, "height": is_size, "face_at": numbers(2), "weight": is_weight}
)
check_columns(faces, {"sha256": is_sha256, "box": numbers(4), "landmarks": is_points})
check_columns(other_files, {"sha256": is_sha256})
