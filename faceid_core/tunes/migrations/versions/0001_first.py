"""The first schema. Frozen: written out here, not imported from schema.py, which changes later."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_tunes()
    _create_photos()
    _create_faces()
    lock = op.create_table("faceid_blob_lock", sa.Column("id", sa.Integer, primary_key=True))
    op.bulk_insert(lock, [{"id": 1}])


def downgrade() -> None:
    for table in ("faceid_blob_lock", "faceid_tune_faces", "faceid_tune_photos", "faceid_tunes"):
        op.drop_table(table)


def _create_tunes() -> None:
    op.create_table(
        "faceid_tunes",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("is_api", sa.Boolean, nullable=False),
        sa.Column("token", sa.String(255)),
        sa.Column("base_tune_id", sa.BigInteger),
        sa.Column("branch", sa.String(255)),
        sa.Column("model_type", sa.String(255)),
        sa.Column("args", sa.Text),
        sa.Column("steps", sa.BigInteger),
        sa.Column("face_crop", sa.Boolean),
        sa.Column("training_face_correct", sa.Boolean),
        sa.Column("ckpt_url", sa.Text),
        sa.Column("ckpt_urls", sa.JSON, nullable=False),
        sa.Column("eta", _TIME),
        sa.Column("callback", sa.Text),
        sa.Column("trained_at", _TIME),
        sa.Column("started_training_at", _TIME),
        sa.Column("expires_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("cost_mc", sa.BigInteger),
        sa.Column("pack", sa.String(255)),
        sa.Column("space", sa.String(255)),
        sa.Column("remote_id", sa.BigInteger),
        sa.Column("remote_url", sa.Text),
        sa.UniqueConstraint("title", name="uq_faceid_tunes_title"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_faceid_tunes_expires_at", "faceid_tunes", ["expires_at"])


def _create_photos() -> None:
    op.create_table(
        "faceid_tune_photos",
        sa.Column("tune_id", _ID, sa.ForeignKey("faceid_tunes.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(255), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
    )
    op.create_index("ix_faceid_tune_photos_sha256", "faceid_tune_photos", ["sha256"])


def _create_faces() -> None:
    op.create_table(
        "faceid_tune_faces",
        sa.Column("tune_id", _ID, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("pack", sa.String(255), primary_key=True),
        sa.Column("space", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("box", sa.JSON),
        sa.Column("landmarks", sa.JSON),
        sa.Column("score", sa.Float),
        sa.Column("provider", sa.String(255)),
        sa.ForeignKeyConstraint(
            ["tune_id", "position"],
            ["faceid_tune_photos.tune_id", "faceid_tune_photos.position"],
            ondelete="CASCADE",
            name="fk_faceid_tune_faces_photo",
        ),
    )
    op.create_index("ix_faceid_tune_faces_sha256", "faceid_tune_faces", ["sha256"])
