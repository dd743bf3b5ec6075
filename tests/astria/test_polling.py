"""Waiting for images: the pace, the ends, and what interrupts it."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from faceid_tunes.faceid_core.astria.errors import (
    AstriaTransportError,
    DeadlineError,
    NotFoundError,
    ResultError,
    ServerError,
)
from faceid_tunes.faceid_core.astria.polling import PollPolicy, pace, wait_for_images
from faceid_tunes.faceid_core.prompts import Prompt
from support.asking import QUICK_POLLS, ask
from support.fake_astria import BASE, FakeAstria
from support.fake_faults import Fault

PROMPT = Prompt("<faceid:12:1> woman", num_images=2, seed=7)


def draw(api: FakeAstria, policy: PollPolicy = QUICK_POLLS, on_progress=None):
    async def create_and_wait(client):
        prompt = await client.create_prompt(BASE, PROMPT)
        return await wait_for_images(client, prompt, on_progress, policy)

    return ask(api, create_and_wait)


def polls(api: FakeAstria) -> int:
    return sum(seen.path.startswith("/prompts/") for seen in api.seen)


def test_it_ends_when_the_images_are_there(api: FakeAstria):
    api.polls_until_done, states = 3, []
    prompt = draw(api, on_progress=lambda prompt: states.append(prompt.state))
    assert len(prompt.images) == 2
    assert states == ["running", "running", "done"]
    assert polls(api) == 3


def test_a_prompt_that_is_done_is_not_asked_for(api: FakeAstria):
    prompt = draw(api)
    asked = polls(api)
    assert ask(api, lambda client: wait_for_images(client, prompt)) == prompt
    assert polls(api) == asked


def test_waiting_is_resumed_by_the_id_alone_and_asks_at_once(api: FakeAstria):
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    api.polls_until_done = 1
    never = PollPolicy(interval=3600, longest=3600, deadline=1e6)
    assert len(ask(api, lambda client: wait_for_images(client, made.id, policy=never)).images) == 2


def test_the_pace_is_never_faster_than_stated_and_slows_down():
    policy = PollPolicy()
    waits = [policy.wait(asked) for asked in range(60)]
    assert min(waits) >= policy.interval == 5.0
    assert max(waits) <= policy.longest * (1 + policy.jitter)
    assert min(waits[30:]) >= policy.longest


def test_the_reason_why_nothing_could_be_drawn_is_told_word_for_word(api: FakeAstria):
    api.user_error = lambda prompt: "No face was found in the uploaded image."
    with pytest.raises(ResultError, match=r"could not draw prompt \d+: No face was found in the uploaded image\.$"):
        draw(api)


def test_an_end_without_images_or_reason_is_an_error_after_a_few_looks(api: FakeAstria):
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    api.prompts[made.id] = dataclasses.replace(made, trained_at=made.created_at)
    with pytest.raises(ResultError, match=f"Prompt {made.id} ended with 0 images"):
        ask(api, lambda client: wait_for_images(client, made.id, policy=QUICK_POLLS))
    assert polls(api) == 3


def test_after_the_deadline_the_prompt_goes_on(api: FakeAstria):
    api.polls_until_done = 10**9
    with pytest.raises(DeadlineError, match=r"has no images after .* It continues on the remote API") as caught:
        draw(api, PollPolicy(interval=0.001, longest=0.001, deadline=0.05))
    api.polls_until_done = 1
    resumed = ask(api, lambda client: wait_for_images(client, caught.value.prompt_id, policy=QUICK_POLLS))
    assert len(resumed.images) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429),
        Fault(how="reset"),
        Fault(status=502, work="done"),
        Fault(how="stall", seconds=1),
    ],
)
def test_a_fault_in_between_is_borne_at_the_same_pace(api: FakeAstria, fault: Fault):
    api.polls_until_done = 4 if fault.work == "done" else 2
    asked = []
    api.on_request = lambda method, path: asked.append(path) if path.startswith("/prompts/") else None
    api.will(fault, "GET", r"/prompts/\d", times=2)
    assert len(draw(api).images) == 2
    assert len(asked) == 4  # aiohttp's own repetition after a reset would come at once


def test_half_an_answer_is_asked_for_again(api: FakeAstria):
    api.will(Fault(how="cut"), "GET", r"/prompts/\d", times=2)
    assert len(draw(api).images) == 2


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault(status=503), ServerError), (Fault(how="reset"), AstriaTransportError)]
)
def test_a_server_that_is_gone_ends_it_and_the_error_says_how_to_go_on(api: FakeAstria, fault: Fault, kind: type):
    api.will(fault, "GET", r"/prompts/\d", times=99)
    with pytest.raises(kind, match=r"8 times in a row\. It continues on the remote API.*wait for prompt \d+ again"):
        draw(api)


def test_a_deleted_prompt_ends_it(api: FakeAstria):
    with pytest.raises(NotFoundError, match="GET /prompts/1: not found"):
        ask(api, lambda client: wait_for_images(client, 1, policy=QUICK_POLLS))


def test_cancelling_ends_it_at_once(api: FakeAstria):
    made = ask(api, lambda client: client.create_prompt(BASE, PROMPT))

    async def cancelled(client):
        waiting = asyncio.ensure_future(
            wait_for_images(client, made.id, policy=PollPolicy(interval=3600, longest=3600, deadline=1e6))
        )
        while not polls(api):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    ask(api, cancelled)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8188/faceid", "http://localhost:1", "http://[::1]:8188"])
def test_a_server_on_this_machine_is_asked_every_half_to_one_second(url: str):
    waits = [pace(url).wait(asked) for asked in range(60)]
    assert waits[0] == 0.5 and max(waits) == 1.0


def test_any_other_server_is_asked_as_slowly_as_it_advises():
    assert pace("https://api.astria.ai") == PollPolicy()


def test_without_a_policy_the_address_decides_the_pace(api: FakeAstria, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("faceid_tunes.faceid_core.astria.polling.HERE", QUICK_POLLS)
    api.polls_until_done = 5

    async def create_and_wait(client):
        return await wait_for_images(client, await client.create_prompt(BASE, PROMPT))

    assert len(ask(api, create_and_wait).images) == 2
