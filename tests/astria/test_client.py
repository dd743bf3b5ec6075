"""What the API says, as errors a user can act on; lists, and the faults of requests that may be repeated."""

from __future__ import annotations

import json

import pytest
from faceid_tunes.faceid_core.astria.errors import (
    AstriaError,
    AstriaSettingsError,
    AstriaTransportError,
    AuthenticationError,
    NoCreditError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    ValidationError,
)
from faceid_tunes.faceid_core.astria.wire.file import File
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.prompts import Prompt
from support.asking import QUICK, ask
from support.fake_astria import BASE, FakeAstria
from support.fake_faults import Fault
from support.raw_http import RawServer

PROMPT = Prompt("a lake", seed=7)
TUNE = TuneRequest("order 17", "woman", (File(b"photo", "1.jpg", "image/jpeg"),), model_type="faceid")


def refusal(status: int, body: object) -> Fault:
    return Fault(status=status, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (refusal(401, {"error": "Invalid token"}), AuthenticationError, "does not accept the key (401: Invalid token)"),
        (refusal(402, {}), NoCreditError, "no credit left. Top it up"),
        (refusal(422, {"error": "Not enough credits"}), NoCreditError, "no credit left: Not enough credits"),
        (refusal(404, {"error": "Not found"}), NotFoundError, "POST /tunes/690204/prompts: not found: Not found"),
        (
            refusal(422, {"cfg_scale": ["must be less than 5"], "name": ["can't be blank"]}),
            ValidationError,
            "(422): cfg_scale must be less than 5; name can't be blank.",
        ),
        (refusal(422, {"error": "Prompt is too odd!"}), ValidationError, "(422): Prompt is too odd!"),
        (refusal(400, {"error": "offset too deep"}), ValidationError, "(400): offset too deep."),
        (Fault(status=302, headers={"Location": "https://x.example/?a"}), AstriaSettingsError, "https://x.example/;"),
    ],
)
def test_a_refusal_is_told_word_for_word(api: FakeAstria, fault: Fault, kind: type[AstriaError], words: str):
    api.will(fault, "POST", "/prompts")
    with pytest.raises(kind) as caught:
        ask(api, lambda client: client.create_prompt(BASE, PROMPT))
    assert words in str(caught.value)
    assert caught.value.status == fault.status
    assert isinstance(caught.value, FaceIDError)


def test_a_wrong_key_is_named_and_not_shown(api: FakeAstria):
    api.key = "another"
    with pytest.raises(AuthenticationError, match="ASTRIA_API_KEY or the key file"):
        ask(api, lambda client: client.account())


def test_a_faceid_tune_as_base_is_explained(api: FakeAstria):
    tune = ask(api, lambda client: client.create_tune(TUNE))
    with pytest.raises(ValidationError) as caught:
        ask(api, lambda client: client.create_prompt(tune.id, PROMPT))
    assert caught.value.messages == ("model_type=faceid is not supported. Use a checkpoint instead",)
    assert "set base_tune_id to a checkpoint such as 690204" in str(caught.value)


def test_an_unknown_base_tune_is_named(api: FakeAstria):
    with pytest.raises(NotFoundError, match="POST /tunes/4711/prompts: not found"):
        ask(api, lambda client: client.create_prompt(4711, PROMPT))


def test_no_credit_is_told(api: FakeAstria):
    api.balance_mc = 0
    with pytest.raises(NoCreditError, match="Not enough credits"):
        ask(api, lambda client: client.create_prompt(BASE, PROMPT))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(status=504),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(how="reset"),
        Fault(how="cut"),
        Fault(how="stall", seconds=1),
        Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html"),
    ],
)
def test_a_question_is_asked_again_after_a_fault(api: FakeAstria, fault: Fault):
    api.will(fault, "GET", "/users", times=2)
    assert ask(api, lambda client: client.account()).balance_mc == 1_250_000


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(status=503), ServerError, "GET /users: the remote API failed (503: Something went wrong)"),
        (Fault(status=429), RateLimitedError, "GET /users: too many requests"),
        (Fault(how="reset"), AstriaTransportError, "GET /users: the connection to http://127.0.0.1:"),
        (
            Fault(status=200, body=b"<html>", content_type="text/html"),
            ServerError,
            "GET /users: the answer is not the API's (200, text/html)",
        ),
    ],
)
def test_a_fault_that_stays_is_told_after_the_last_attempt(
    api: FakeAstria, fault: Fault, kind: type[AstriaError], words: str
):
    asked = []
    api.on_request = lambda method, path: asked.append(path)
    api.will(fault, "GET", "/users", times=99)
    with pytest.raises(kind) as caught:
        ask(api, lambda client: client.account())
    assert words in str(caught.value)
    assert len(asked) == QUICK.attempts  # and none that aiohttp adds by itself


@pytest.mark.slow
def test_lists_go_on_until_an_empty_page(api: FakeAstria):
    async def make_and_list(client):
        for number in range(125):
            await client.create_tune(TuneRequest(f"order {number}", "woman", TUNE.images, model_type="faceid"))
        return [tune.title async for tune in client.list_tunes()]

    assert ask(api, make_and_list) == [f"order {number}" for number in reversed(range(125))]
    assert [seen.query.get("before_id") for seen in api.seen if seen.method == "GET"] == [None, "2000506", "2000501"]


def test_a_server_without_before_id_is_not_asked_for_ever():
    with RawServer(body=b'[{"id":3},{"id":2}]') as server:

        async def titles(client):
            return [tune.id async for tune in client.list_tunes()]

        assert ask(server.url, titles)[:2] == [3, 2]
        assert len(server.requests) == 2


def test_an_answer_of_another_shape_is_told():
    with (
        RawServer(body=b'{"tunes":[]}') as server,
        pytest.raises(ServerError, match="GET /tunes: the answer is not a list"),
    ):
        ask(server.url, lambda client: client.find_tune("x"))


def test_a_tune_is_changed_and_deleted(api: FakeAstria):
    tune = ask(api, lambda client: client.create_tune(TUNE))
    assert ask(api, lambda client: client.update_tune(tune.id, title="order 18")).title == "order 18"
    assert ask(api, lambda client: client.get_tune(tune.id)).title == "order 18"
    ask(api, lambda client: client.delete_tune(tune.id))
    with pytest.raises(NotFoundError, match=f"GET /tunes/{tune.id}: not found"):
        ask(api, lambda client: client.get_tune(tune.id))


def test_the_gallery_has_the_base_models(api: FakeAstria):
    async def ids(client):
        return [tune.id async for tune in client.gallery(limit=2)]

    assert BASE in ask(api, ids)


def test_a_closed_client_says_so(api: FakeAstria):
    async def later(client):
        return client

    client = ask(api, later)
    with pytest.raises(AstriaTransportError, match="closed"):
        client.session  # noqa: B018
