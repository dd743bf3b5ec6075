"""Who may use the service: named tokens, of which only the sha256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone

import sqlalchemy as sa

from ..tunes.database import Database
from ..tunes.errors import TuneError
from .schema import tokens

_PREFIX = "sd_"  # as the API's own keys, which some clients look at


@dataclass(frozen=True)
class Token:
    """A token without its secret. ``id`` is the owner of what is made with it."""

    id: int
    name: str
    created_at: datetime
    revoked_at: datetime | None


def make_token(database: Database, name: str) -> str:
    """A new token: shown this once, and to be sent as ``Authorization: Bearer ...``. Raises TuneError."""
    if not name.strip():
        raise TuneError("The token has no name: name who uses it, for example `faceid serve token laptop`.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    values = {"name": name.strip(), "sha256": _digest(secret), "created_at": datetime.now(timezone.utc)}
    try:
        with database.writing() as connection:
            connection.execute(tokens.insert().values(values))
    except sa.exc.IntegrityError:
        raise TuneError(f"There is a token named {name!r} already: choose another name, or revoke that one.") from None
    return secret


def list_tokens(database: Database) -> tuple[Token, ...]:
    with database.reading() as connection:
        columns = (tokens.c.id, tokens.c.name, tokens.c.created_at, tokens.c.revoked_at)
        return tuple(Token(*row) for row in connection.execute(sa.select(*columns).order_by(tokens.c.id)).all())


def revoke_token(database: Database, name: str) -> None:
    """The token opens nothing any more. Raises TuneError."""
    live = sa.and_(tokens.c.name == name, tokens.c.revoked_at.is_(None))
    with database.writing() as connection:
        values = {"revoked_at": datetime.now(timezone.utc)}
        if connection.execute(tokens.update().where(live).values(values)).rowcount == 0:
            raise TuneError(f"No token named {name!r} is in use. `faceid serve tokens` lists them.")


def has_tokens(database: Database) -> bool:
    """Whether any token is in use."""
    with database.reading() as connection:
        query = sa.select(tokens.c.id).where(tokens.c.revoked_at.is_(None)).limit(1)
        return connection.execute(query).first() is not None


def owner_of(database: Database, secret: str) -> int | None:
    """The id of a token in use; None for any other text."""
    query = sa.select(tokens.c.id).where(tokens.c.sha256 == _digest(secret), tokens.c.revoked_at.is_(None))
    with database.reading() as connection:
        return connection.execute(query).scalar()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
