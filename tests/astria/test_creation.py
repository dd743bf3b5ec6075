"""Whatever happens to a POST: one object is made, or one error says that none was."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta, timezone

import pytest
from faceid_tunes.faceid_core.astria.client import AstriaClient
from faceid_tunes.faceid_core.astria.errors import (
    AstriaTransportError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    ServerError,
    ValidationError,
)
from faceid_tunes.faceid_core.astria.wire.file import File
from faceid_tunes.faceid_core.astria.wire.objects import RemotePrompt
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest
from faceid_tunes.faceid_core.prompts import Prompt
from support.asking import QUICK, ask
from support.fake_astria import BASE, FakeAstria
from support.fake_faults import Fault

PROMPT = Prompt("<faceid:12:1> woman; in the alps", seed=7)
TUNE = TuneRequest("order 17", "woman", (File(b"photo", "1.jpg", "image/jpeg"),), model_type="faceid")

# A stall ends when the client's read timeout does.
LOST = {
    "500 before the work": Fault(status=500),
    "500 after the work": Fault(status=500, work="done"),
    "502 after the work": Fault(status=502, work="done", body=b"<html>Bad gateway</html>", content_type="text/html"),
    "504 before the work": Fault(status=504),
    "504 after the work": Fault(status=504, work="done"),
    "504, the work is done later": Fault(status=504, work="later"),
    "reset before the body": Fault(how="reset"),
    "reset after the work": Fault(how="reset", work="done"),
    "reset, the work is done later": Fault(how="reset", work="later"),
    "half of the answer": Fault(how="cut", work="done"),
    "an answer that is not JSON": Fault(status=200, work="done", body=b"<html>Sign in", content_type="text/html"),
    "an answer without an id": Fault(status=201, work="done", body=b"[]"),
    "stall after the work": Fault(how="stall", work="done", seconds=1),
    "stall before the work": Fault(how="stall", seconds=1),
    "429": Fault(status=429, headers={"Retry-After": "0"}),
}


def posts(api: FakeAstria) -> int:
    return sum(seen.method == "POST" for seen in api.seen)


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_prompt_is_made_once(api: FakeAstria, fault: Fault):
    api.will(fault, "POST", "/prompts")
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert list(api.prompts) == [made.id]
    assert (made.text, made.seed) == (PROMPT.text, 7)


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_tune_is_made_once(api: FakeAstria, fault: Fault):
    api.will(fault, "POST", "/tunes")
    made = ask(api, lambda client: client.create_tune(TUNE))
    assert list(api.tunes) == [made.id]
    assert made.title == "order 17"


@pytest.mark.parametrize("work", ["none", "done", "later"])
def test_one_fault_after_another_still_makes_one(api: FakeAstria, work: str):
    api.will(Fault(how="reset"), "POST", "/prompts", times=2)
    api.will(Fault(status=429), "POST", "/prompts")
    api.will(Fault(status=504, work=work), "POST", "/prompts")
    api.will(Fault(status=500), "GET", "/prompts", times=2)
    ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert len(api.prompts) == 1


def test_what_was_done_is_not_sent_again(api: FakeAstria):
    api.will(Fault(status=504, work="done"), "POST", "/prompts")
    ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert posts(api) == 1


def test_a_refusal_is_never_sent_again(api: FakeAstria):
    api.will(Fault(status=422, body=b'{"error":"no"}'), "POST", "/prompts", times=9)
    with pytest.raises(ValidationError):
        ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert [seen.method for seen in api.seen] == ["POST"]


def test_a_server_that_is_not_there_makes_nothing():
    with pytest.raises(AstriaTransportError, match=r"POST /tunes/690204/prompts: .* cannot be reached"):
        ask("http://127.0.0.1:1", lambda client: client.create_prompt(BASE, PROMPT))


def test_when_the_attempts_are_spent_the_error_says_that_nothing_was_made(api: FakeAstria):
    api.will(Fault(status=500), "POST", "/prompts", times=QUICK.attempts)
    with pytest.raises(ServerError, match=r"500: Something went wrong.* the prompt \(seed 7\) was not created"):
        ask(api, lambda client: client.create_prompt(BASE, PROMPT), dataclasses.replace(QUICK, settle_after_500=0.001))
    assert posts(api) == QUICK.attempts and not api.prompts


def test_when_looking_fails_too_it_is_not_sent_again(api: FakeAstria):
    api.will(Fault(how="reset", work="done"), "POST", "/prompts")
    api.will(Fault(status=503), "GET", "/prompts", times=QUICK.attempts)
    with pytest.raises(OutcomeUnknownError, match=r"The prompt \(seed 7\) may have been created nevertheless"):
        ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert posts(api) == 1


def test_the_pause_that_a_429_asks_for_is_kept_or_told(api: FakeAstria):
    api.will(Fault(status=429, headers={"Retry-After": "3600"}), "POST", "/prompts")
    with pytest.raises(RateLimitedError, match="Wait 3600 s") as caught:
        ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert caught.value.retry_after == 3600
    assert posts(api) == 1


def test_a_prompt_without_a_seed_is_sent_with_one(api: FakeAstria):
    made = ask(api, lambda client: client.create_prompt(BASE, Prompt("a lake")))
    assert api.seen[-1].params["prompt"]["seed"] == str(made.seed)


def test_the_same_prompt_sent_twice_is_two_even_when_answers_are_lost(api: FakeAstria):
    api.will(Fault(status=504, work="done"), "POST", "/prompts", times=2)

    async def both(client: AstriaClient) -> list[RemotePrompt]:
        return await asyncio.gather(*(client.create_prompt(BASE, PROMPT) for _ in range(3)))

    assert {prompt.id for prompt in ask(api, both)} == set(api.prompts)
    assert len(api.prompts) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Fault(status=504, work="done"), Fault(how="reset")),  # the second's look finds the first's prompt
        (Fault(how="slow", seconds=0.1), Fault(how="reset")),  # and here before the first knows of it
    ],
)
def test_a_lost_prompt_is_not_taken_for_its_twin(api: FakeAstria, first: Fault, second: Fault):
    api.will(first, "POST", "/prompts")
    api.will(second, "POST", "/prompts")

    async def both(client: AstriaClient) -> list[RemotePrompt]:
        return await asyncio.gather(*(client.create_prompt(BASE, PROMPT) for _ in range(2)))

    assert len({prompt.id for prompt in ask(api, both)}) == len(api.prompts) == 2


def test_it_is_looked_for_until_the_server_must_be_done(api: FakeAstria):
    api.will(Fault(status=504, work="later", seconds=0.2), "POST", "/prompts")
    ask(api, lambda client: client.create_prompt(BASE, PROMPT), dataclasses.replace(QUICK, settle_after_504=1.5))
    assert posts(api) == len(api.prompts) == 1


def test_an_older_prompt_of_the_same_text_and_seed_is_not_taken_for_the_new_one(api: FakeAstria):
    old = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    api.prompts[old.id] = dataclasses.replace(old, created_at=yesterday)
    api.will(Fault(how="reset"), "POST", "/prompts")
    new = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert new.id != old.id


def test_an_idempotent_account_gives_the_same_prompt(api: FakeAstria):
    api.is_idempotent = True
    first = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    api.will(Fault(status=504), "POST", "/prompts")
    assert ask(api, lambda client: client.create_prompt(BASE, PROMPT)).id == first.id
    assert len(api.prompts) == 1


def test_a_prompt_of_an_earlier_process_is_found(api: FakeAstria):
    began = datetime.now(timezone.utc)
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert ask(api, lambda client: client.find_prompt(BASE, PROMPT.text, 7, began)).id == made.id
    assert ask(api, lambda client: client.find_prompt(BASE, PROMPT.text, 8, began)) is None
    later = began + timedelta(hours=1)
    assert ask(api, lambda client: client.find_prompt(BASE, PROMPT.text, 7, later)) is None


def test_a_tune_is_found_by_its_exact_title(api: FakeAstria):
    made = ask(api, lambda client: client.create_tune(TUNE))
    assert ask(api, lambda client: client.find_tune("order 17")) == made
    assert ask(api, lambda client: client.find_tune("order 1")) is None


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(how="reset"), Fault(how="reset", work="done")])
def test_deleting_may_be_repeated(api: FakeAstria, fault: Fault):
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    api.will(fault, "DELETE")
    ask(api, lambda client: client.delete_prompt(made.id))
    assert not api.prompts
    with pytest.raises(NotFoundError, match=f"DELETE /prompts/{made.id}: not found"):
        ask(api, lambda client: client.delete_prompt(made.id))


def test_cancelling_while_looking_ends_at_once_and_leaves_nothing_running(api: FakeAstria):
    api.will(Fault(status=504), "POST", "/prompts")
    patient = dataclasses.replace(QUICK, settle_after_504=600)

    async def cancelled(client: AstriaClient) -> None:
        task = asyncio.ensure_future(client.create_prompt(BASE, PROMPT))
        while not any(seen.method == "GET" for seen in api.seen):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    ask(api, cancelled, patient)
