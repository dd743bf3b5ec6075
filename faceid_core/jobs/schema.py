"""The tables. A change here needs a migration in tunes/migrations/versions and a new REVISION in tunes/schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from ..tunes.columns import check_columns, is_count, is_object, is_sha256, is_texts
from ..tunes.schema import Id, UtcDateTime, metadata, text_column, tunes

prompts = sa.Table(
    "faceid_prompts",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("owner", sa.BigInteger, nullable=False),  # a token's id; 0: whoever is on this machine
    sa.Column("tune_id", sa.BigInteger, nullable=False),  # the base model it was posted to
    text_column("text", nullable=False, length=None),
    sa.Column("fields", sa.JSON, nullable=False),  # fields.py
    text_column("base_url", nullable=False, length=None),  # of the service, as its client calls it
    sa.Column("priority", sa.Integer, nullable=False),  # the highest first
    sa.Column("state", sa.String(16), nullable=False),  # of job.STATES
    sa.Column("attempt", sa.Integer, nullable=False),  # how many workers have begun it
    sa.Column("fence", sa.BigInteger, nullable=False),  # only who knows it may write the row
    text_column("leased_by"),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime, index=True),
    text_column("user_error", length=None),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("orig_prompt_id", sa.BigInteger),
    sa.Column("is_liked", sa.Boolean, nullable=False),
    sa.Index("ix_faceid_prompts_state", "state", "created_at"),
    sa.Index("ix_faceid_prompts_owner", "owner", "id"),
    sqlite_autoincrement=True,
)

pictures = sa.Table(
    "faceid_pictures",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),  # nobody guesses it: the address needs no key
    sa.Column("prompt_id", Id, nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("media_type", sa.String(64), nullable=False),
    sa.ForeignKeyConstraint(["prompt_id"], [prompts.c.id], ondelete="CASCADE", name="fk_faceid_pictures_prompt"),
)

outbox = sa.Table(
    "faceid_outbox",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.String(64), nullable=False),
    text_column("url", nullable=False, length=None),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("is_local", sa.Boolean, nullable=False),  # ordered from this machine, which loopback addresses are for
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", UtcDateTime, index=True),  # null: no further try
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    text_column("problem", length=None),
    sqlite_autoincrement=True,
)

tokens = sa.Table(
    "faceid_tokens",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    text_column("name", nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),  # of the token, which is nowhere kept
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    sa.UniqueConstraint("name", name="uq_faceid_tokens_name"),
    sa.UniqueConstraint("sha256", name="uq_faceid_tokens_sha256"),
    sqlite_autoincrement=True,
)

# What the API knows of a tune that it made: the store's own title is unique, the API's need not be.
api_tunes = sa.Table(
    "faceid_api_tunes",
    metadata,
    sa.Column("tune_id", Id, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.BigInteger, nullable=False),
    text_column("title", nullable=False),
    text_column("model_type"),
    sa.Column("is_local", sa.Boolean, nullable=False),
    sa.Column("characteristics", sa.JSON, nullable=False),
    sa.ForeignKeyConstraint(["tune_id"], [tunes.c.id], ondelete="CASCADE", name="fk_faceid_api_tunes_tune"),
    sa.Index("ix_faceid_api_tunes_owner", "owner", "tune_id"),
)

check_columns(prompts, {"fields": is_object, "notes": is_texts, "attempt": is_count, "fence": is_count})
check_columns(pictures, {"sha256": is_sha256})
check_columns(outbox, {"body": is_object, "tries": is_count})
check_columns(tokens, {"sha256": is_sha256})
check_columns(api_tunes, {"characteristics": is_object})
