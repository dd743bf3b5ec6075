"""Which database this is: the files of its tunes say so, too. Frozen: spelled out here, never imported."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    table = op.create_table(
        "faceid_database",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String(32), nullable=False),
    )
    op.bulk_insert(table, [{"id": 1, "uid": uuid.uuid4().hex}])


def downgrade() -> None:
    op.drop_table("faceid_database")
