"""What the API knows of a tune that it made: whose it is, and the title as it was posted.

The store's own title is unique among everybody; two owners, or one, may post the same title twice.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ..tunes.errors import DamagedValueError
from ..tunes.fields import normal
from ..tunes.queries import MAX_LIMIT, alive, before, equals, has_id
from ..tunes.rows import select_tunes
from ..tunes.schema import tunes
from ..tunes.store import TuneStore
from ..tunes.tune import Tune
from .rules import LOCAL
from .schema import api_tunes

_log = logging.getLogger(__name__)

_CUT = 240  # characters of a title that gets a number behind it


@dataclass(frozen=True)
class ApiTune:
    """A tune as its owner knows it."""

    tune: Tune
    title: str
    model_type: str | None
    characteristics: Mapping[str, str]


def keep(store: TuneStore, draft: Tune, files: Sequence[bytes], made: ApiTune, owner: int) -> ApiTune:
    """Store a new tune and whose it is, together. ``made`` has what the API knows; its tune is not stored yet.

    The title in the store is another where somebody's tune has it, or took it this moment.
    """
    values = {
        "owner": owner,
        "title": normal(made.title),
        "model_type": made.model_type,
        "is_local": owner == LOCAL,
        "characteristics": dict(made.characteristics),
    }
    written: list[int] = []

    def own(connection: sa.Connection, tune_id: int) -> None:
        connection.execute(api_tunes.insert().values(values | {"tune_id": tune_id}))
        written.append(tune_id)

    for title in _titles(made.title):
        if _is_free(store, title):
            tune = store.create(replace(draft, title=title), files, own)
            if tune.id in written:
                return replace(made, tune=tune)
    raise AssertionError  # there is always another title


def retitle(store: TuneStore, tune_id: int, title: str) -> None:
    with store.database.writing() as connection:
        connection.execute(api_tunes.update().where(api_tunes.c.tune_id == tune_id).values(title=title))


def tune_of(store: TuneStore, tune_id: int, owner: int) -> ApiTune | None:
    """The tune, if it is the owner's."""
    return next(iter(_select(store, _visible(store, owner).where(has_id(tune_id)))), None)


def tune_titled(store: TuneStore, title: str, owner: int) -> ApiTune | None:
    """The newest of the owner's tunes with this title."""
    query = _visible(store, owner).where(equals(_title(), title)).order_by(tunes.c.id.desc()).limit(1)
    return next(iter(_select(store, query)), None)


def list_tunes(
    store: TuneStore,
    owner: int,
    *,
    limit: int = 20,
    before_id: int | None = None,
    offset: int = 0,
    filters: Mapping[str, Sequence[str]] | None = None,
) -> tuple[ApiTune, ...]:
    """A page, newest id first. ``filters``: accepted values of title, name, model_type or branch.

    Damaged tunes are left out, and the log says so.
    """
    query = _visible(store, owner).where(before(tunes.c.id, before_id)).order_by(tunes.c.id.desc())
    columns: dict[str, Any] = {
        "title": _title(),
        "name": tunes.c.name,
        "branch": tunes.c.branch,
        "model_type": _model_type(),
    }
    for name, values in (filters or {}).items():
        query = query.where(sa.or_(*(equals(columns[name], value) for value in values)))
    damaged: list[DamagedValueError] = []
    found = _select(store, query.limit(max(1, min(limit, MAX_LIMIT))).offset(max(0, offset)), damaged)
    for error in damaged:
        _log.warning("%s", error)
    return found


def _titles(wanted: str) -> Iterator[str]:
    """What the tune may be called in the store."""
    yield wanted
    for number in range(2, 10):
        yield f"{wanted[:_CUT]} ({number})"
    while True:
        yield f"{wanted[:_CUT]} ({secrets.token_hex(4)})"


def _is_free(store: TuneStore, title: str) -> bool:
    """No tune has the title, or has it as its number, which a tag would mean."""
    is_number = title.isascii() and title.isdigit()
    return store.find(title) is None and not (is_number and store.find_id(int(title)))


def _title() -> sa.ColumnElement[Any]:
    return sa.func.coalesce(api_tunes.c.title, tunes.c.title)


def _model_type() -> sa.ColumnElement[Any]:
    return sa.case((api_tunes.c.tune_id.is_(None), tunes.c.model_type), else_=api_tunes.c.model_type)


def _visible(store: TuneStore, owner: int) -> sa.Select[Any]:
    whose = sa.func.coalesce(api_tunes.c.owner, LOCAL)
    joined = tunes.outerjoin(api_tunes, api_tunes.c.tune_id == tunes.c.id)
    return alive(store.now()).select_from(joined).where(whose == owner)


def _select(
    store: TuneStore, query: sa.Select[Any], damaged: list[DamagedValueError] | None = None
) -> tuple[ApiTune, ...]:
    """Raises DamagedValueError; with ``damaged`` it goes there, and the other tunes are returned."""
    with store.database.reading() as connection:
        found = select_tunes(connection, query, damaged)
        try:
            return _known(connection, found)
        except DamagedValueError:
            if damaged is None:
                raise
        readable: list[ApiTune] = []
        for tune in found:
            try:
                readable += _known(connection, [tune])
            except DamagedValueError as error:
                damaged.append(error)
    return tuple(readable)


def _known(connection: sa.Connection, of: Sequence[Tune]) -> tuple[ApiTune, ...]:
    """With what the API knows of them."""
    ids = [tune.id for tune in of]
    rows = connection.execute(sa.select(api_tunes).where(api_tunes.c.tune_id.in_(ids))).all() if ids else []
    by_id = {row.tune_id: row for row in rows}
    return tuple(_api_tune(tune, by_id.get(tune.id)) for tune in of)


def _api_tune(tune: Tune, row: Any) -> ApiTune:
    if row is None:
        return ApiTune(tune, tune.title, tune.model_type, {})
    return ApiTune(tune, row.title, row.model_type, row.characteristics)
