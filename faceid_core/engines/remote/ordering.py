"""A prompt is ordered once: by whoever comes first, looked for by everybody else, noted before it is sent."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from datetime import datetime, timezone

from ...astria.client import AstriaClient, draw_seed
from ...astria.creation import look
from ...astria.errors import AstriaError, OutcomeUnknownError
from ...astria.wire.objects import RemotePrompt
from ...prompts import Prompt
from .journal import DamagedNoteError, Journal, Pending

_log = logging.getLogger(__name__)

_UNSENT = "The prompt was not sent."  # people may have been uploaded before it


async def ordered(
    client: AstriaClient,
    prompt: Prompt,
    journal: Journal,
    key: str,
    base_tune_id: int,
    seen: Pending | None = None,
) -> RemotePrompt | int:
    """The prompt on the remote side: sent now, or its id when it is on its way since an earlier call or another one.

    ``seen`` was noted when this call began. Another call may have got its pictures since: they are this one's, too.

    Raises:
        DamagedNoteError: it may have been sent, and nobody can say as which prompt.
        AstriaError: it was refused, or it is unknown whether it was sent.
        AllowanceError: the owner allows no more today.
        FaceIDError: it cannot be noted, and was not sent.
    """
    async with journal.turn(key):
        try:
            pending = journal.find(key)
        except DamagedNoteError as damaged:
            found = await _behind(damaged, client, prompt, journal, key, base_tune_id)
            if found is not None:
                return found
            pending = None
        if pending is None and seen is not None and seen.prompt_id is not None:
            return seen.prompt_id
        if pending is None:
            seed = draw_seed() if prompt.seed is None else prompt.seed
            after_id = await client.newest_prompt_id()
            now = client.server_time()
            pending = Pending(seed, datetime.now(timezone.utc), after_id=after_id, server_began=now)
        elif pending.prompt_id is not None:
            return pending.prompt_id
        elif found := await _of_earlier_call(client, prompt, journal, key, pending, base_tune_id):
            return found
        return await _send(client, prompt, journal, key, pending, base_tune_id)


async def _send(
    client: AstriaClient, prompt: Prompt, journal: Journal, key: str, pending: Pending, base_tune_id: int
) -> RemotePrompt:
    def note(now: datetime | None) -> None:
        known = dataclasses.asdict(dataclasses.replace(pending, text=prompt.text, server_sent=now))
        journal.begin(key, known.pop("seed"), _UNSENT, **known)

    sent = dataclasses.replace(prompt, seed=pending.seed)
    allowance, order = journal.allowance(client.per_day), f"{key}@{pending.began.isoformat()}"
    allowance.book(order, prompt.num_images, _UNSENT)
    try:
        made = await client.create_prompt(base_tune_id, sent, after_id=pending.after_id, on_send=note)
    except OutcomeUnknownError as error:
        if error.is_answered:
            journal.answered(key, pending)
        raise
    except AstriaError:
        journal.finish(key)  # refused, or looked up and not there
        allowance.release(order)
        raise
    journal.sent(key, dataclasses.replace(pending, text=prompt.text), made.id)
    return made


async def _of_earlier_call(
    client: AstriaClient, prompt: Prompt, journal: Journal, key: str, pending: Pending, base_tune_id: int
) -> RemotePrompt | None:
    """What an earlier call sent, whose answer nobody saw: looked for until the server can no longer be doing it."""
    may_be = _not_of_others(journal, key, prompt)

    async def find() -> RemotePrompt | None:
        return await client.find_prompt(
            base_tune_id,
            prompt.text if pending.text is None else pending.text,
            pending.seed,
            pending.server_began,
            pending.after_id,
            is_it=may_be,
        )

    found = await find()  # its answer also tells the server's time
    if found is None and (rest := client.policy.unsettled(client.server_time(), pending.server_sent)):
        _log.info("The prompt was on its way when it was stopped. Looking for it, for %.0f s at most.", rest)
        found = await look(find, rest)
    if found is not None:
        journal.sent(key, pending, found.id)
        return found
    if pending.is_answered:
        raise OutcomeUnknownError(
            f"The remote API said yes to this prompt (seed {pending.seed}) before, and it is not found there. It is "
            "not sent again, so that it is not paid twice. Look at it on the API's site; to order it anew, give "
            f"another seed or remove the note {journal.where(key)}."
        )
    return None


async def _behind(
    damaged: DamagedNoteError, client: AstriaClient, prompt: Prompt, journal: Journal, key: str, base_tune_id: int
) -> RemotePrompt | None:
    """The prompt that a damaged note is about; None when the API has none of its text (and seed), even later."""
    may_be = _not_of_others(journal, key, prompt)

    async def find() -> RemotePrompt | None:
        return await client.find_prompt(base_tune_id, prompt.text, prompt.seed, None, is_it=may_be)

    _log.warning("%s Looking for it on the API.", damaged)
    found = await look(find, client.policy.unsettled(None, None))
    if found is not None and prompt.seed is None:
        raise DamagedNoteError(
            f"{damaged} Prompt {found.id} there has the same text, and may be it or an older one. Nothing was sent. "
            "Look at it on the API's site; to order anew, remove the note."
        )
    if found is not None:
        pending = journal.begin(key, prompt.seed or 0, _UNSENT, text=prompt.text, server_began=client.server_time())
        journal.sent(key, pending, found.id)
    return found


def _not_of_others(journal: Journal, key: str, prompt: Prompt) -> Callable[[RemotePrompt], bool]:
    """Of the same text and seed may be other orders, of another size or number: theirs is not ours."""
    others = set(journal.others(key))

    def may_be(made: RemotePrompt) -> bool:
        is_other = made.num_images is not None and made.num_images != prompt.num_images
        return made.id not in others and not is_other

    return may_be
