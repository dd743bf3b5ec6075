"""The client of the remote API: tunes, prompts, gallery, account."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp

from ..errors import FaceIDError
from ..prompts import Prompt
from ..prompts.prompt import MAX_SEED
from .addresses import Fetcher
from .creation import Claims, create_once
from .errors import Again, AstriaError, AuthenticationError, NotFoundError, ServerError
from .matching import before, saying, titled
from .retry import RetryPolicy
from .settings import AstriaSettings
from .transport import Transport
from .wire.brackets import Pairs
from .wire.forms import multipart
from .wire.objects import Account, RemotePrompt, RemoteTune
from .wire.objects_json import UnexpectedObjectError, account_from_json, prompt_from_json, tune_from_json
from .wire.prompt_request import prompt_params
from .wire.scalars import as_text
from .wire.tune_request import TuneRequest, tune_params

Object = TypeVar("Object", RemoteTune, RemotePrompt)
T = TypeVar("T")
OnSend = Callable[[datetime | None], object]  # (the server's time)

PAGE = 120  # the API's maximum

_MOST_LOOKED_AT = 10 * PAGE  # objects that are newer than the one we look for
_TELL_EVERY = 5.0  # seconds in which a request under way is told of again

_claims = Claims()


def draw_seed() -> int:
    """0 to 2^32 - 1. Every prompt is sent with a seed: its text and seed identify it later."""
    return secrets.randbelow(MAX_SEED + 1)


class AstriaClient:
    """The remote API with one key. Use ``async with``; everything runs in one event loop and can be cancelled.

        async with AstriaClient(read_settings()) as client:
            tune = await client.create_tune(TuneRequest(title, "woman", images=(file,), model_type="faceid"))
            prompt = await client.create_prompt(690204, Prompt(f"<faceid:{tune.id}:1> woman in the alps"))
            prompt = await wait_for_images(client, prompt)
            pictures = await download_images(client, prompt.images)

    Every method raises AstriaError. No error creates a tune or prompt twice (creation.py); requests that are
    safe to repeat are repeated as ``policy`` says.
    """

    def __init__(self, settings: AstriaSettings, policy: RetryPolicy | None = None, claims: Claims = _claims) -> None:
        self.policy = policy or RetryPolicy()
        self._transport = Transport(settings, self.policy)
        self._claims = claims
        # One call at a time for the same thing, so that a lost answer is not confused with that of an equal call.
        self._turns: weakref.WeakValueDictionary[tuple[type, object], asyncio.Lock] = weakref.WeakValueDictionary()

    async def __aenter__(self) -> AstriaClient:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._transport.__aexit__(*exception)

    @property
    def base_url(self) -> str:
        return self._transport.settings.base_url

    @property
    def per_day(self) -> int | None:
        """The most that the owner of the key allows in a day. Whoever orders counts; nothing here does."""
        return self._transport.settings.per_day

    @property
    def session(self) -> aiohttp.ClientSession:
        """To the API, without the key. What an answer names is fetched with ``fetcher``."""
        return self._transport.session

    @property
    def fetcher(self) -> Fetcher:
        """For addresses that an answer names, such as images: without the key, and never a private one."""
        return self._transport.fetcher

    def server_time(self) -> datetime | None:
        """Now, by the server's clock, to a few seconds; None as long as it has not told its time."""
        return self._transport.server_time()

    # Tunes

    async def create_tune(
        self, tune: TuneRequest, *, after_id: int | None = None, on_send: OnSend | None = None
    ) -> RemoteTune:
        """Create a tune; a FaceID tune is ready at once. ``title`` must be unique: it identifies the tune later.

        ``after_id`` and ``on_send``: see ``create_prompt``.
        """
        is_it = titled(tune.title)

        async def find(began: float) -> RemoteTune | None:
            return await self._find(RemoteTune, "/tunes", is_it, began, after_id, {"title": tune.title})

        what = f'the tune "{tune.title}"'
        return await self._create(RemoteTune, "/tunes", tune_params(tune), find, tune.title, what, on_send)

    async def get_tune(self, tune_id: int) -> RemoteTune:
        return _object(RemoteTune, await self._transport.fetch("GET", f"/tunes/{tune_id:d}"))

    async def find_tune(self, title: str) -> RemoteTune | None:
        """The newest tune of exactly that title, created at any time."""
        return await self._newest(RemoteTune, "/tunes", titled(title), query={"title": title})

    def list_tunes(self, **filters: str | int | bool) -> AsyncIterator[RemoteTune]:
        """Own tunes, newest first; ``filters`` of the API: title, model_type, branch."""
        return self._pages(RemoteTune, "/tunes", filters)

    def gallery(self, **filters: str | int | bool) -> AsyncIterator[RemoteTune]:
        """Public tunes, base models among them; ``filters`` as for ``list_tunes``."""
        return self._pages(RemoteTune, "/gallery/tunes", filters)

    async def update_tune(
        self,
        tune_id: int,
        *,
        title: str | None = None,
        name: str | None = None,
        auto_extend: bool | None = None,
        characteristics: Mapping[str, str] | None = None,
    ) -> RemoteTune:
        """Change the given fields; the others stay."""
        pairs = [("title", title), ("name", name), ("auto_extend", auto_extend)]
        body: Pairs = [(f"tune[{key}]", value) for key, value in pairs if value is not None]
        body += [(f"tune[characteristics][{key}]", value) for key, value in (characteristics or {}).items()]
        changed = await self._transport.fetch("PATCH", f"/tunes/{tune_id:d}", None, lambda: multipart(body))
        return _object(RemoteTune, changed)

    async def delete_tune(self, tune_id: int) -> None:
        """Delete it with its photos and, for a base model, its prompts. Raises NotFoundError if it does not exist."""
        await self._delete(f"/tunes/{tune_id:d}")

    # Prompts

    async def newest_prompt_id(self) -> int | None:
        """The largest id of the account's prompts, 0 without any: one that is sent later has a larger one.

        None when the API cannot say now. Raises AuthenticationError.
        """
        try:
            page = await self._transport.fetch("GET", "/prompts", {"limit": "1"})
            return max((_object(RemotePrompt, value).id for value in page), default=0)
        except AuthenticationError:
            raise
        except (AstriaError, TypeError):  # TypeError: it is no list
            return None

    async def create_prompt(
        self, base_tune_id: int, prompt: Prompt, *, after_id: int | None = None, on_send: OnSend | None = None
    ) -> RemotePrompt:
        """Send a prompt to a base model (690204 is Realistic Vision v5.1); without a seed, a random one is used.

        The answer comes before the images: see ``polling.wait_for_images``. Two calls with the same text and seed are
        two prompts, unless idempotency is on for the account.

        Args:
            base_tune_id: the base model.
            prompt: what to draw.
            after_id: the newest id before the call (``newest_prompt_id``). When the answer is lost, only a newer
                prompt is taken for this one. Without it the server's clock decides.
            on_send: called before each sending, and every few seconds while it is under way. What it raises before a
                sending stops it.
        """
        seed = draw_seed() if prompt.seed is None else prompt.seed
        params = prompt_params(dataclasses.replace(prompt, seed=seed))
        path, is_it = f"/tunes/{base_tune_id:d}/prompts", saying(prompt.text, seed)

        async def find(began: float) -> RemotePrompt | None:
            return await self._find(RemotePrompt, path, is_it, began, after_id)

        identity, what = (path, prompt.text, seed), f"the prompt (seed {seed})"
        made = await self._create(RemotePrompt, path, params, find, identity, what, on_send)
        return made if made.seed is not None else dataclasses.replace(made, seed=seed)

    async def find_prompt(
        self,
        base_tune_id: int,
        text: str,
        seed: int | None,
        since: datetime | None,
        after_id: int | None = None,
        *,
        is_it: Callable[[RemotePrompt], bool] = lambda made: True,
    ) -> RemotePrompt | None:
        """The newest prompt of that text and seed, also of an earlier process.

        With ``after_id``: one with a larger id. Else one made after ``since``, by the server's clock. ``seed`` None:
        of any seed. ``is_it`` says whether one that fits so far may be it.
        """
        path, says = f"/tunes/{base_tune_id:d}/prompts", saying(text, seed)
        is_older = before(after_id, since)
        return await self._newest(RemotePrompt, path, lambda made: says(made) and is_it(made), is_older)

    async def get_prompt(self, prompt_id: int) -> RemotePrompt:
        return _object(RemotePrompt, await self._transport.fetch("GET", f"/prompts/{prompt_id:d}"))

    async def get_prompt_once(self, prompt_id: int) -> RemotePrompt:
        """As ``get_prompt``, in one request, without retries: for callers that ask again themselves."""
        return _object(RemotePrompt, await self._transport.ask("GET", f"/prompts/{prompt_id:d}"))

    def list_prompts(self, tune_id: int | None = None, **filters: str | int | bool) -> AsyncIterator[RemotePrompt]:
        """Own prompts, newest first: all, or those of a base model or reference tune."""
        path = "/prompts" if tune_id is None else f"/tunes/{tune_id:d}/prompts"
        return self._pages(RemotePrompt, path, filters)

    async def delete_prompt(self, prompt_id: int) -> None:
        """Delete it and its images. Raises NotFoundError if it does not exist."""
        await self._delete(f"/prompts/{prompt_id:d}")

    # Account

    async def account(self) -> Account:
        """The owner of the key, and the balance."""
        return _object(Account, await self._transport.fetch("GET", "/users"))

    async def _create(
        self,
        kind: type[Object],
        path: str,
        params: Pairs,
        find: Callable[[float], Awaitable[Object | None]],
        identity: object,
        what: str,
        on_send: OnSend | None,
    ) -> Object:
        turn = self._turns.setdefault((kind, identity), asyncio.Lock())
        async with turn:
            began = time.monotonic()

            async def send() -> Object:
                if on_send is not None:
                    on_send(self.server_time())
                telling = asyncio.ensure_future(self._keep_telling(on_send))
                try:
                    return _object(kind, await self._transport.ask("POST", path, None, lambda: multipart(params)))
                finally:
                    telling.cancel()
                    with suppress(asyncio.CancelledError):
                        await telling

            async def look() -> Object | None:
                return await find(began)

            made = await create_once(send, look, what, self.policy)
            self._claims.add(self.base_url, kind.__name__, made.id)
            return made

    async def _keep_telling(self, on_send: OnSend | None) -> None:
        while on_send is not None:
            await asyncio.sleep(_TELL_EVERY)
            with suppress(FaceIDError):  # told before it was sent; this makes that time more exact
                on_send(self.server_time())

    async def _find(
        self,
        kind: type[Object],
        path: str,
        is_it: Callable[[Object], bool],
        began: float,
        after_id: int | None,
        query: Mapping[str, str] = MappingProxyType({}),
    ) -> Object | None:
        """The object that a call, begun at ``began`` (monotonic), created although its answer was lost."""

        def is_ours(made: Object) -> bool:
            return is_it(made) and (self.base_url, kind.__name__, made.id) not in self._claims

        def is_older(made: Object) -> bool:  # the server's time may be known only after the first answer
            return before(after_id, self._transport.server_time(began))(made)

        return await self._newest(kind, path, is_ours, is_older, query)

    async def _newest(
        self,
        kind: type[Object],
        path: str,
        is_it: Callable[[Object], bool],
        is_older: Callable[[Object], bool] = lambda made: False,
        query: Mapping[str, str] = MappingProxyType({}),
    ) -> Object | None:
        seen = 0
        async with aclosing(self._pages(kind, path, query)) as newest_first:
            async for made in newest_first:
                seen += 1
                if is_older(made):
                    return None
                if is_it(made):
                    return made
                if seen >= _MOST_LOOKED_AT:
                    return None
        return None

    async def _pages(
        self, kind: type[Object], path: str, filters: Mapping[str, str | int | bool]
    ) -> AsyncGenerator[Object, None]:
        query = {name: as_text(value) for name, value in filters.items()} | {"limit": str(PAGE)}
        last = None
        while True:
            page = await self._transport.fetch("GET", path, query)
            if not isinstance(page, list):
                raise ServerError(f"GET {path}: the answer is not a list.")
            objects = [_object(kind, value) for value in page]
            for item in objects:
                yield item
            # An older server does not know before_id and would return the same page forever.
            if not objects or (last is not None and objects[-1].id >= last):
                return
            last = objects[-1].id
            query["before_id"] = str(last)

    async def _delete(self, path: str) -> None:
        lost = False

        async def delete() -> None:
            nonlocal lost
            try:
                await self._transport.ask("DELETE", path)
            except NotFoundError:
                if not lost:
                    raise
            except AstriaError as error:
                lost = lost or error.again is Again.UNSURE
                raise

        await self.policy.retrying()(delete)


_READ: dict[type, Callable[[Any], Any]] = {
    RemoteTune: tune_from_json,
    RemotePrompt: prompt_from_json,
    Account: account_from_json,
}


def _object(kind: type[T], value: Any) -> T:
    value = value[0] if isinstance(value, list) and len(value) == 1 else value  # as the API's page shows a new tune
    try:
        made: T = _READ[kind](value)
        return made
    except UnexpectedObjectError as error:
        message = str(error)
    raise ServerError(message, again=Again.UNSURE, status=200)
