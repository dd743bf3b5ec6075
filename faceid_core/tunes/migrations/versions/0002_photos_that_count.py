"""Which photos count, and titles without what nobody sees. Frozen: spelled out here, never imported."""

from __future__ import annotations

import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name, columns in _new_columns().items():
        for column in columns:
            op.add_column(name, column)
    _fold_titles()


def downgrade() -> None:
    for name, columns in _new_columns().items():
        for column in columns:
            op.drop_column(name, column.name)


def _new_columns() -> dict[str, list[sa.Column[Any]]]:
    return {
        "faceid_tune_photos": [
            sa.Column("use", sa.Boolean),
            sa.Column("face_at", sa.JSON),
            sa.Column("weight", sa.Float, nullable=False, server_default="1"),
            sa.Column("is_added", sa.Boolean, nullable=False, server_default=sa.false()),
        ],
        "faceid_tune_faces": [
            sa.Column("counts", sa.Boolean),
            sa.Column("reason", sa.Text, nullable=False, server_default=""),
            sa.Column("others", sa.Integer, nullable=False, server_default="0"),
        ],
    }


def _fold_titles() -> None:
    """Titles are looked up folded from now on. Of two that fold to one, the older keeps it; the other gets its id."""
    tunes = sa.table("faceid_tunes", sa.column("id", sa.BigInteger), sa.column("title", sa.String))
    connection = op.get_bind()
    rows = connection.execute(sa.select(tunes.c.id, tunes.c.title).order_by(tunes.c.id)).all()
    taken = {title for _, title in rows if _folded(title) == title}
    for tune_id, title in rows:
        folded = _folded(title) or str(tune_id)
        if folded == title:
            continue
        if folded in taken:
            folded = f"{folded[:230]} ({tune_id})"
        taken.add(folded)
        connection.execute(tunes.update().where(tunes.c.id == tune_id).values(title=folded))


def _folded(title: str) -> str:
    kept = "".join(
        " " if unicodedata.category(character) == "Zs" else character
        for number, character in enumerate(title)
        if unicodedata.category(character) != "Cf" or _joins_emoji(title, number)
    )
    return " ".join(part for part in unicodedata.normalize("NFC", kept).split(" ") if part)


def _joins_emoji(title: str, number: int) -> bool:
    around = title[number - 1 : number] + title[number + 1 : number + 2]
    return (
        title[number] == "\u200d"
        and len(around) == 2
        and all(unicodedata.category(character) in ("So", "Sk", "Mn") for character in around)
    )
