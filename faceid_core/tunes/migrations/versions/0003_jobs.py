"""Prompts that the service has taken, their pictures, callbacks and tokens. Frozen: spelled out, never imported."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "faceid_other_files",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
    )
    op.create_index("ix_faceid_other_files_sha256", "faceid_other_files", ["sha256"])
    _create_prompts()
    _create_pictures()
    _create_outbox()
    _create_tokens()
    _create_api_tunes()


def downgrade() -> None:
    for table in ("api_tunes", "tokens", "outbox", "pictures", "prompts", "other_files"):
        op.drop_table(f"faceid_{table}")


def _create_prompts() -> None:
    op.create_table(
        "faceid_prompts",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.BigInteger, nullable=False),
        sa.Column("tune_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("leased_by", sa.String(255)),
        sa.Column("lease_until", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("expires_at", _TIME),
        sa.Column("user_error", sa.Text),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("orig_prompt_id", sa.BigInteger),
        sa.Column("is_liked", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_faceid_prompts_state", "faceid_prompts", ["state", "created_at"])
    op.create_index("ix_faceid_prompts_owner", "faceid_prompts", ["owner", "id"])
    op.create_index("ix_faceid_prompts_expires_at", "faceid_prompts", ["expires_at"])


def _create_pictures() -> None:
    op.create_table(
        "faceid_pictures",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("prompt_id", _ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["faceid_prompts.id"], ondelete="CASCADE", name="fk_faceid_pictures_prompt"
        ),
    )
    op.create_index("ix_faceid_pictures_prompt_id", "faceid_pictures", ["prompt_id"])


def _create_outbox() -> None:
    op.create_table(
        "faceid_outbox",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("delivery_id", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("is_local", sa.Boolean, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("delivered_at", _TIME),
        sa.Column("problem", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_faceid_outbox_next_at", "faceid_outbox", ["next_at"])


def _create_tokens() -> None:
    op.create_table(
        "faceid_tokens",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.UniqueConstraint("name", name="uq_faceid_tokens_name"),
        sa.UniqueConstraint("sha256", name="uq_faceid_tokens_sha256"),
        sqlite_autoincrement=True,
    )


def _create_api_tunes() -> None:
    op.create_table(
        "faceid_api_tunes",
        sa.Column("tune_id", _ID, primary_key=True),
        sa.Column("owner", sa.BigInteger, nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("model_type", sa.String(255)),
        sa.Column("is_local", sa.Boolean, nullable=False),
        sa.Column("characteristics", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["tune_id"], ["faceid_tunes.id"], ondelete="CASCADE", name="fk_faceid_api_tunes_tune"),
    )
    op.create_index("ix_faceid_api_tunes_owner", "faceid_api_tunes", ["owner", "tune_id"])
