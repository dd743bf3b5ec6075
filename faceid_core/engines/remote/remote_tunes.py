"""Local tunes on the remote side: uploaded on first use, then named in prompts by the id they have there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from ...astria.client import AstriaClient
from ...astria.creation import look
from ...astria.errors import AstriaError, NotFoundError, OutcomeUnknownError
from ...astria.wire.file import File
from ...astria.wire.objects import RemoteTune
from ...astria.wire.tune_request import TuneRequest
from ...faces import read_photo
from ...prompts import PromptText, parse, rewrite_refs
from ...prompts.text import Tag
from ...tunes.errors import TuneNotFoundError
from ...tunes.home import default_home
from ...tunes.refs import named_tune, tune_of
from ...tunes.store import TuneStore
from ...tunes.tune import Tune, TunePhoto
from .journal import DamagedNoteError, Journal, Pending, upload_key

REALISTIC_VISION = 690204  # Realistic Vision v5.1, the base tune of the FaceID page

MAX_SIDE = 2048  # pixels; a face fills a photo of this size with more detail than any adapter looks at
_QUALITY = 95
_ROOM = 0.75  # around a face that is cut out, of its larger side
_UNSENT = "The photos were not sent."
_SPARE = timedelta(hours=1)  # a tune that expires while its prompt waits is of no use

OnUpload = Callable[[int, int], None]  # (tunes done, total)


async def remote_refs(
    client: AstriaClient,
    store: TuneStore,
    text: str,
    on_upload: OnUpload | None = None,
    journal: Journal | None = None,
    base_tune_id: int = REALISTIC_VISION,
) -> dict[str, str]:
    """Ref as written in ``text`` -> id on the remote side, for every face tag; uploads what is not there yet.

    A number that is not a local tune is taken for the id of a remote one and stays as it is.

    Raises:
        PromptError: a title names no tune; points at the tag.
        AstriaError: a tune could not be uploaded.
    """
    tags = parse(text).faces
    refs = {}
    for done, tag in enumerate(tags):
        if on_upload is not None:
            on_upload(done, len(tags))
        if tag.ref not in refs:
            refs[tag.ref] = await _remote_ref(client, store, tag, text, journal, base_tune_id)
    return refs


def with_refs(text: str, refs: dict[str, str]) -> str:
    """``text`` with the refs of its face tags replaced; a ref that is not in ``refs`` stays."""
    return rewrite_refs(text, lambda tag: refs.get(tag.ref, tag.ref) if tag.kind == "faceid" else tag.ref)


async def ensure_remote(
    client: AstriaClient,
    store: TuneStore,
    tune: Tune,
    journal: Journal | None = None,
    base_tune_id: int = REALISTIC_VISION,
) -> Tune:
    """The tune with the id it has at ``client.base_url``, uploaded if it has none, or none that lasts.

    One upload at a time, among all processes that use ``journal`` (default: a folder beside the tunes). It is found by
    its title before it is made, and looked for as long as an earlier upload, which was stopped, may still arrive.

    Raises:
        AstriaError: it was refused, or it is unknown whether it arrived.
        FaceIDError: it cannot be noted, and was not sent.
    """
    journal = journal or Journal((store.home or default_home()) / "remote")
    title = remote_title(tune)
    key = upload_key(client.base_url, title)
    async with journal.turn(key):
        tune = store.get(tune.id)
        if tune.remote_id is not None and tune.remote_url == client.base_url:
            return tune
        found, newest = await _find_usable(client, title, journal, key)
        if found is None:
            found = await _upload(client, store, tune, journal, key, newest, base_tune_id)
        tune = store.set_remote_id(tune.id, found.id, client.base_url)
        journal.finish(key)
        return tune


async def _find_usable(
    client: AstriaClient, title: str, journal: Journal, key: str
) -> tuple[RemoteTune | None, int | None]:
    """The tune of that title that lasts, and the id of the newest of that title."""
    newest: RemoteTune | None = None

    async def find() -> RemoteTune | None:
        nonlocal newest
        newest = await client.find_tune(title)
        return None if newest is None or _is_over(newest.expires_at, client.server_time()) else newest

    found = await find()
    try:
        noted = journal.find(key)
        may_come = noted is not None
        sent = noted.server_sent if noted else None
    except DamagedNoteError:
        noted, may_come, sent = None, True, None
    if found is None and may_come and (rest := client.policy.unsettled(client.server_time(), sent)):
        found = await look(find, rest)
    if found is None and noted is not None and noted.is_answered:
        raise OutcomeUnknownError(
            f'The remote API said yes to the tune "{title}" before, and it is not found there. It is not sent again, '
            f"so that it is not paid twice. Look at it on the API's site; to upload it anew, remove "
            f"{journal.where(key)}."
        )
    return found, newest.id if newest else None


async def _upload(
    client: AstriaClient,
    store: TuneStore,
    tune: Tune,
    journal: Journal,
    key: str,
    after_id: int | None,
    base_tune_id: int,
) -> RemoteTune:
    files = tuple(
        portable_photo(store.photo_bytes(tune, photo), number, surroundings(photo))
        for number, photo in enumerate(tune.used_photos, 1)
    )
    request = TuneRequest(
        remote_title(tune), tune.name, files, model_type="faceid", base_tune_id=base_tune_id, branch=tune.branch
    )

    def note(now: datetime | None) -> Pending:
        return journal.begin(key, 0, _UNSENT, text=request.title, server_sent=now)

    allowance, order = journal.allowance(client.per_day), f"{key}@{after_id}"
    allowance.book(order, 1, _UNSENT)
    try:
        return await client.create_tune(request, after_id=after_id, on_send=note)
    except OutcomeUnknownError as error:
        if error.is_answered:
            journal.answered(key, note(client.server_time()))
        raise
    except AstriaError:
        journal.finish(key)  # refused, or looked up and not there
        allowance.release(order)
        raise


async def forget_deleted(client: AstriaClient, store: TuneStore, text: PromptText) -> bool:
    """Whether a tune that ``text`` names was deleted on the remote side; its id there is forgotten then."""
    forgotten = False
    for tag in text.faces:
        try:
            tune = tune_of(store, tag)
        except TuneNotFoundError:
            continue
        if tune.remote_id is None or tune.remote_url != client.base_url:
            continue
        try:
            await client.get_tune(tune.remote_id)
        except NotFoundError:
            store.forget_remote_id(tune.id)
            forgotten = True
    return forgotten


def remote_title(tune: Tune) -> str:
    """The local title and a digest of the photos: the same photos of the same person are one tune there, too."""
    photos = "".join(photo.sha256 + str(surroundings(photo) or "") for photo in tune.used_photos)
    digest = hashlib.sha256(photos.encode()).hexdigest()
    return f"{tune.title[:200]} ({digest[:12]})"


def surroundings(photo: TunePhoto) -> tuple[int, int, int, int] | None:
    """What is sent of a photo of several people: left, top, right, bottom around the tune's person. None: all."""
    face = photo.face
    if face is None or not face.others:
        return None
    x1, y1, x2, y2 = face.box
    room = _ROOM * max(x2 - x1, y2 - y1)
    left, top = max(0, round(x1 - room)), max(0, round(y1 - room))
    return left, top, min(photo.width, round(x2 + room)), min(photo.height, round(y2 + room))


def portable_photo(data: bytes, number: int, part: tuple[int, int, int, int] | None = None) -> File:
    """A photo as it leaves this machine: upright, at most 2048 pixels, without EXIF (place, time, camera, owner).

    Only ``part`` of it (left, top, right, bottom) where one is given.
    """
    from PIL import Image

    picture = Image.fromarray(read_photo(data)).crop(part) if part else Image.fromarray(read_photo(data))
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return File(file.getvalue(), f"photo_{number}.jpg", "image/jpeg")


async def _remote_ref(
    client: AstriaClient, store: TuneStore, tag: Tag, text: str, journal: Journal | None, base_tune_id: int
) -> str:
    try:
        tune = tune_of(store, tag)
    except TuneNotFoundError:
        if tag.tune_id is not None:
            return tag.ref
        tune = named_tune(store, tag, text)  # says where in the text
    return str((await ensure_remote(client, store, tune, journal, base_tune_id)).remote_id)


def _is_over(expires_at: datetime | None, now: datetime | None) -> bool:
    """By the server's clock; ours may be wrong, and a tune that is uploaded again is paid again."""
    return expires_at is not None and expires_at < (now or datetime.now(timezone.utc)) + _SPARE
