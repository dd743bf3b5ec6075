"""The tune store: a database of tunes and, beside it, the files they need.

The order of steps makes a crash harmless. To create a tune, its files are written first (each completely, then
renamed), then one database transaction. If the process is killed before the commit, there is no tune, and ``purge``
removes the files; after it, everything the tune needs is on the disk. Files are removed in the opposite order, and only
while no other process can add a reference to them (``needed_files.py``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import sqlalchemy as sa

from .blobs import Blobs
from .columns import has_halves
from .database import Database
from .errors import DamagedValueError, TuneError, TuneNotFoundError
from .fields import check_name, check_title, checked
from .file_owners import owner_of, refuse_files_of_others, refuse_missing_database
from .home import default_home
from .needed_files import NeededFiles, files_of_photos, files_of_rows, refuse_damaged
from .one_by_one import Named
from .queries import alive, has_id, has_value, page
from .rows import FACE_COLUMNS, face_rows, has_photos, insert_tune, photo_rows, row_face, select_tunes
from .schema import faces, photos, tunes
from .tune import Tune, TuneFace, TunePhoto

_log = logging.getLogger(__name__)

API_LIFETIME = timedelta(days=30)  # what the API keeps; for ``open_store(lifetime=...)``
_CHANGEABLE = ("title", "name", "token", "callback")
_ATTEMPTS = 5


@dataclass(frozen=True)
class Purged:
    """What ``TuneStore.purge`` or ``delete`` removed."""

    tunes: int
    blobs: int
    bytes: int


def open_store(
    home: str | os.PathLike[str] | None = None,
    *,
    database_url: str | None = None,
    blobs_url: str | None = None,
    lifetime: timedelta | None = None,
    accept_files: bool = False,
) -> TuneStore:
    """Open the store, creating it or migrating it to the current schema.

    ``home`` (default ``default_home``) holds ``tunes.sqlite3`` and the folder ``blobs``. ``database_url``, any
    SQLAlchemy URL, and ``blobs_url``, any fsspec URL, place either of them elsewhere; FACEID_TUNES_DATABASE_URL and
    FACEID_TUNES_BLOBS_URL do the same. ``lifetime`` is how long a tune created through this store is kept (the API:
    ``API_LIFETIME``); None keeps it for ever. Raises TuneError when the place cannot be used, and when the database is
    empty or missing beside files that are not its own, unless ``accept_files``.
    """
    home = Path(home) if home is not None else default_home()
    database_url = database_url or os.environ.get("FACEID_TUNES_DATABASE_URL")
    blobs_url = blobs_url or os.environ.get("FACEID_TUNES_BLOBS_URL")
    if not (database_url and blobs_url):
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise TuneError(
                f"The tune folder {home} cannot be created: {error}. Set FACEID_TUNES_HOME to another folder."
            ) from error
    blobs = Blobs(blobs_url or str(home / "blobs"))
    url = sa.URL.create("sqlite", database=str(home / "tunes.sqlite3"))
    if not database_url and not accept_files:
        refuse_missing_database(home / "tunes.sqlite3", blobs)
    database = Database(database_url or url)
    try:
        blobs.owner = owner_of(database)
        if not accept_files:
            refuse_files_of_others(database, blobs)
    except BaseException:
        database.close()
        raise
    return TuneStore(database, blobs, lifetime, home=home)


class TuneStore:
    """Tunes by id and by title. Safe to share between threads, and between processes that each open their own."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        lifetime: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        home: Path | None = None,
    ) -> None:
        self.database = database
        self._lifetime = lifetime
        self.now = clock
        self.files = NeededFiles(database, blobs)
        self.blobs = blobs
        self.home = home  # for what belongs to these tunes on this machine

    def __enter__(self) -> TuneStore:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self.database.close()

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, tune_id: int) -> Tune:
        """The tune with this id. Raises TuneNotFoundError, also when it has expired."""
        return self._one(has_id(tune_id), f"tune {tune_id}")

    def get_by_title(self, title: str) -> Tune:
        """The tune with exactly this title. Raises TuneNotFoundError, also when it has expired."""
        return self._one(has_value("title", title), f"tune titled {title!r}")

    def find(self, title: str) -> Tune | None:
        """The tune with exactly this title, or None."""
        with self.database.reading() as connection:
            return next(iter(select_tunes(connection, alive(self.now()).where(has_value("title", title)))), None)

    def find_id(self, tune_id: int) -> Tune | None:
        """The tune with this id, or None."""
        with self.database.reading() as connection:
            return next(iter(select_tunes(connection, alive(self.now()).where(has_id(tune_id)))), None)

    def list(
        self,
        limit: int = 20,
        before_id: int | None = None,
        offset: int = 0,
        filters: Mapping[str, str] | None = None,
    ) -> tuple[Tune, ...]:
        """A page, newest id first. The next page starts ``before_id`` the last id of this one.

        ``filters``: exact values of title, name, model_type or branch. Damaged tunes are left out, and the log says so.
        Raises TuneError for a limit outside 1..120.
        """
        damaged: list[DamagedValueError] = []
        with self.database.reading() as connection:
            found = select_tunes(connection, page(self.now(), limit, before_id, offset, filters), damaged)
        for error in damaged:
            _log.warning("%s", error)
        return found

    def ids(self) -> tuple[int, ...]:
        """Of every tune, expired and damaged ones too; newest first."""
        with self.database.reading() as connection:
            return tuple(connection.execute(sa.select(tunes.c.id).order_by(tunes.c.id.desc())).scalars())

    def titles(self) -> tuple[tuple[int, str], ...]:
        """(id, title) of every tune, newest first: for menus."""
        title = sa.type_coerce(tunes.c.title, sa.String)  # one damaged title does not take the menu along
        query = alive(self.now(), tunes.c.id, title).order_by(tunes.c.id.desc())
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple((key, text) for key, text in rows if isinstance(text, str) and not has_halves(text))

    def state(self) -> str:
        """Another text once any tune was made, changed or deleted."""
        query = sa.select(sa.func.count(), sa.func.max(tunes.c.id), sa.func.max(tunes.c.updated_at))
        with self.database.reading() as connection:
            return " ".join(map(str, connection.execute(query).one()))

    def photo_bytes(self, tune: Tune, photo: TunePhoto) -> bytes:
        """A kept photo, as it was uploaded. Raises TuneError that names tune and image when the file is gone."""
        try:
            return self.blobs.get(photo.sha256)
        except TuneError as error:
            number = tune.photos.index(photo) + 1
            raise TuneError(f"Image {number} of tune {tune.id} ({tune.title!r}): {error}") from error

    def files_of(self, tune_id: int) -> frozenset[str]:
        """The sha256 of every file the tune needs: its photos, and what each face pack found in them."""
        with self.database.reading() as connection:
            return frozenset(files_of_rows(connection, [tune_id]))

    def database_problems(self) -> tuple[str, ...]:
        """What SQLite's own check finds wrong with the database; empty when it is whole, and on a server."""
        return self.database.problems()

    # -- writing --------------------------------------------------------------------------------------------------

    def create(
        self, draft: Tune, files: Sequence[bytes], beside: Callable[[sa.Connection, int], None] | None = None
    ) -> Tune:
        """Store a new tune whose photos and faces name ``files`` by sha256; the store sets times and id.

        If the title exists, also when another process creates it at the same time, that tune is returned and nothing is
        stored. ``beside`` writes more rows in the same transaction; it is called with the new tune's id.
        """
        names = [self.blobs.put(data) for data in files]
        missing = files_of_photos(draft.photos) - set(names)
        if missing:
            raise TuneError(f"The tune needs files that were not given: {', '.join(sorted(missing))}.")
        for _ in range(_ATTEMPTS):
            try:
                return self._insert(draft, Named(names, files), beside)
            except sa.exc.IntegrityError as error:
                refused, existing = error, self.find(draft.title)
            if existing is not None:  # else it was deleted, or expired, just now: the title is free again
                self.files.remove_unneeded(names)
                return existing
        raise TuneError(f"The tune {draft.title!r} cannot be stored: {refused.orig}.") from refused

    def update(self, tune_id: int, **changes: object) -> Tune:
        """Change title, name, token or callback. Raises TuneError, also when the title is taken."""
        unknown = sorted(set(changes) - set(_CHANGEABLE))
        if unknown:
            raise TuneError(f"{unknown[0]} of a tune cannot be changed.", f"tune[{unknown[0]}]")
        checks = {"title": check_title, "name": check_name}
        changes = {name: checks[name](value) if name in checks else value for name, value in changes.items()}
        if isinstance(title := changes.get("title"), str):
            self.refuse_number_of_another(title, tune_id)
        try:
            return self._change(tune_id, checked(changes))
        except sa.exc.IntegrityError:
            taken = f"Another tune is titled {changes.get('title')!r}; titles are unique."
            raise TuneError(f"{taken} Choose another title.", "tune[title]") from None

    def replace_photos(
        self, tune: Tune, new: Sequence[TunePhoto], files: Sequence[bytes], pack: str, space: str
    ) -> Tune | None:
        """Give the tune these photos in place of those it has, with what ``pack`` found in them.

        Files are written first; those no tune needs any more are deleted last. What other packs found goes: it is found
        again when it is needed. The remote tune is of other photos then and is forgotten.

        Returns:
            The changed tune; None when another process changed or deleted ``tune`` since it was read.
        """
        kept = {self.blobs.put(data): data for data in files}
        with self.database.writing() as connection:
            before = set(files_of_rows(connection, [tune.id]))
            same = sa.and_(tunes.c.id == tune.id, tunes.c.updated_at == tune.updated_at)
            changes = {"pack": pack, "space": space, "updated_at": self._after(tune.updated_at)}
            if [photo.sha256 for photo in new] != [photo.sha256 for photo in tune.photos]:
                changes |= {"remote_id": None, "remote_url": None}
            self.files.claim(connection, kept)
            changed = connection.execute(tunes.update().where(same).values(changes)).rowcount == 1
            if changed:
                connection.execute(photos.delete().where(photos.c.tune_id == tune.id))
                connection.execute(photos.insert(), photo_rows(tune.id, new))
                connection.execute(faces.insert(), face_rows(tune.id, pack, space, [photo.face for photo in new]))
        self.files.remove_unneeded(before | set(kept))
        return self.get(tune.id) if changed else None

    def refuse_number_of_another(self, title: str, tune_id: int = 0) -> None:
        """Raise TuneError for a title that is the number of another tune: a tag with that number means that one."""
        other = self.find_id(int(title)) if title.isascii() and title.isdigit() else None
        if other is not None and other.id != tune_id:
            raise TuneError(
                f"{title!r} is the number of a tune already ({other.title!r}), and <faceid:{title}:1> means that one. "
                "Choose a title that is not a number.",
                "tune[title]",
            )

    def set_remote_id(self, tune_id: int, remote_id: int, remote_url: str) -> Tune:
        """Remember the id that this tune has on the remote API at ``remote_url``."""
        return self._change(tune_id, {"remote_id": remote_id, "remote_url": remote_url})

    def forget_remote_id(self, tune_id: int) -> Tune:
        """The tune is not on the remote API any more."""
        return self._change(tune_id, {"remote_id": None, "remote_url": None})

    def delete(self, tune_id: int) -> Purged:
        """Delete the tune and every file that no other tune needs. Raises TuneNotFoundError."""
        with contextlib.suppress(DamagedValueError):  # it is there, and can be deleted
            self.get(tune_id)
        with self.database.writing() as connection:
            names = files_of_rows(connection, [tune_id])
            connection.execute(tunes.delete().where(tunes.c.id == tune_id))
        count, freed = self.files.remove_unneeded(names)
        self.database.forget_deleted()
        return Purged(1, count, freed)

    def purge(self, grace: timedelta = timedelta(hours=1), files: Collection[str] | None = None) -> Purged:
        """Delete expired tunes, and files that no tune needs and that are older than ``grace``.

        Newer files may belong to a tune that is being created; use no grace only while nobody creates tunes. ``files``:
        the sha256 of those older ones, where they were listed already.
        """
        with self.database.writing() as connection:
            refuse_damaged(connection)
            expired = tunes.c.expires_at <= self.now()
            names = files_of_rows(connection, sa.select(tunes.c.id).where(expired))
            deleted = connection.execute(tunes.delete().where(expired)).rowcount
        count, freed = self.files.remove_unneeded([*names, *(self.blobs.older_than(grace) if files is None else files)])
        return Purged(deleted, count, freed + self.blobs.remove_unfinished(grace))

    def known_files(self, names: Collection[str]) -> set[str]:
        """Those of the files that a row of this database names."""
        return self.files.known(names)

    # -- what other face packs found ------------------------------------------------------------------------------

    def found_faces(self, tune_id: int, pack: str) -> tuple[str, tuple[TuneFace | None, ...]] | None:
        """(embedding space, one entry per photo) of an analysis by this pack; None if there is none yet."""
        query = (
            sa.select(faces.c.space, *(faces.c[name] for name in FACE_COLUMNS))
            .where(faces.c.tune_id == tune_id, faces.c.pack == pack)
            .order_by(faces.c.position)
        )
        with self.database.reading() as connection:
            try:
                rows = connection.execute(query).all()
            except DamagedValueError as error:
                raise error.of_tune(tune_id) from None
        return (rows[0].space, tuple(row_face(*row[1:]) for row in rows)) if rows else None

    def add_faces(
        self, tune: Tune, pack: str, space: str, found: Sequence[TuneFace | None], files: Sequence[bytes]
    ) -> None:
        """Store what another pack found in the tune's photos; replaces an earlier analysis by that pack."""
        kept = {self.blobs.put(data): data for data in files}
        try:
            with self.database.writing() as connection:
                self.files.claim(connection, kept)
                connection.execute(sa.select(tunes.c.id).where(tunes.c.id == tune.id).with_for_update(read=True))
                if not has_photos(connection, tune):  # they were changed meanwhile: this is of other photos
                    raise sa.exc.IntegrityError("photos changed", None, TuneError("photos changed"))
                connection.execute(faces.delete().where(faces.c.tune_id == tune.id, faces.c.pack == pack))
                connection.execute(faces.insert(), face_rows(tune.id, pack, space, found))
        except sa.exc.IntegrityError:
            # Deleted meanwhile, or another process kept the same analysis first.
            self.files.remove_unneeded(kept)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _one(self, condition: sa.ColumnElement[bool], called: str) -> Tune:
        with self.database.reading() as connection:
            found = select_tunes(connection, sa.select(tunes).where(condition))
        if not found:
            raise TuneNotFoundError(f"There is no {called}. `faceid tunes list` shows the tunes there are.")
        tune = found[0]
        if tune.expires_at is not None and tune.expires_at <= self.now():
            raise TuneNotFoundError(
                f"Tune {tune.id} ({tune.title!r}) expired on {tune.expires_at:%Y-%m-%d at %H:%M} UTC. "
                "Create it again from its photos."
            )
        return tune

    def _insert(
        self, draft: Tune, files: Mapping[str, bytes], beside: Callable[[sa.Connection, int], None] | None
    ) -> Tune:
        now = self.now()
        tune = dataclasses.replace(
            draft,
            eta=now,
            trained_at=now,
            started_training_at=now,
            created_at=now,
            updated_at=now,
            expires_at=now + self._lifetime if self._lifetime is not None else None,
        )
        with self.database.writing() as connection:
            self.files.claim(connection, files)
            connection.execute(tunes.delete().where(tunes.c.title == tune.title, tunes.c.expires_at <= now))
            tune_id = insert_tune(connection, tune)
            connection.execute(photos.insert(), photo_rows(tune_id, tune.photos))
            found = [photo.face for photo in tune.photos]
            connection.execute(faces.insert(), face_rows(tune_id, tune.pack, tune.space, found))
            if beside is not None:
                beside(connection, tune_id)
        return dataclasses.replace(tune, id=tune_id)

    def _after(self, moment: datetime | None) -> datetime:
        """Now, and later than ``moment`` whatever the clock says: two versions of a tune never have one time."""
        now = self.now()
        return now if moment is None or now > moment else moment + timedelta(microseconds=1)

    def _change(self, tune_id: int, changes: Mapping[str, object]) -> Tune:
        before = self.get(tune_id)
        with self.database.writing() as connection:
            changed = {**changes, "updated_at": self._after(before.updated_at)}
            connection.execute(tunes.update().where(tunes.c.id == tune_id).values(changed))
        return self.get(tune_id)
