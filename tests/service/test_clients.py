"""What public clients of the API send and read (docs/facts/astria.md 18)."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest
from faceid_tunes.faceid_core.jobs.posting import Desk
from faceid_tunes.faceid_core.jobs.rules import Poster

from .conftest import Served
from .test_page import BASE, PHOTO, ended, tune

TINY = PHOTO.read_bytes()


def raw(served: Served, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    """One request, sent as it is."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=20)
    connection.request(method, path, body or None, headers)
    return connection.getresponse()


@pytest.mark.parametrize("end", ["", ".json", "/", ".json/"])
@pytest.mark.parametrize(
    "path", ["/tunes", "/prompts", "/users", "/cli/models", "/gallery/tunes", "/packs", "/gallery/packs"]
)
def test_a_list_is_answered_directly_with_every_end_of_its_address(served: Served, path: str, end: str) -> None:
    answer = raw(served, "GET", path + end)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    head = raw(served, "HEAD", path + end)
    assert head.status == 200 and head.headers["Content-Length"] == answer.headers["Content-Length"]


@pytest.mark.parametrize("path", ["/tunes", "/tunes/1/prompts", "/prompts/3.json", "/images/x", "/nowhere"])
def test_a_preflight_is_answered_on_every_route(served: Served, path: str) -> None:
    answer = raw(
        served, "OPTIONS", path, Origin="https://app.example", **{"Access-Control-Request-Headers": "authorization"}
    )
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Headers"] == "authorization"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_the_models_of_the_official_command_line(served: Served) -> None:
    answer = requests.get(f"{served.url}/cli/models").json()
    assert answer["models"][answer["default"]]["tune_id"] == BASE and answer["cli"] == {}
    assert requests.get(f"{served.url}/users").json().keys() >= {"id", "name", "email", "usd_balance_mc"}


@pytest.mark.slow
def test_the_prompt_of_the_official_command_line(served: Served) -> None:
    made = tune(served)
    form = {
        "prompt[text]": (None, f"<faceid:{made['id']}:1> man at sea"),
        "prompt[aspect_ratio]": (None, "3:4"),
        "prompt[cfg_scale]": (None, "3.0"),
        "prompt[model]": (None, "of no meaning"),
        "prompt[super_resolution]": (None, "False"),
    }
    answer = requests.post(f"{served.url}/tunes/{BASE}/prompts.json", files=form)
    assert answer.status_code == 201 and answer.headers["X-FaceID-Ignored"] == "model"
    prompt = answer.json()
    assert (prompt["num_images"], prompt["cfg_scale"], prompt["images"]) == (8, "3.0", [])
    assert prompt["url"] == f"{served.url}/tunes/{BASE}/prompts/{prompt['id']}.json"
    done = ended(served, prompt["id"])
    assert len(done["images"]) == 8 and not done["user_error"] and "error" not in done and "message" not in done


def test_the_browser_plugin_posts_to_the_tunes_own_id(served: Served) -> None:
    made = tune(served)
    answer = requests.post(
        f"{served.url}/tunes/{made['id']}/prompts", json={"prompt": {"text": f"<faceid:{made['id']}:1> man"}}
    )
    assert answer.status_code == 201 and answer.json()["tune_id"] == BASE


def test_a_text_without_a_tag_that_is_posted_to_a_person_means_that_person(served: Served) -> None:
    made = tune(served)
    for address in (f"/tunes/{made['id']}/prompts", "/prompts/1/duplicate"):
        answer = requests.post(f"{served.url}{address}", data={"prompt[text]": "man at sea"}).json()
        ended(served, answer["id"])
        assert answer["text"] == "man at sea"
    assert [prompt.text for prompt in served.engine.drawn] == [f"<faceid:{made['id']}:1> man at sea"] * 2


def test_a_tune_without_a_base_is_no_checkpoint(served: Served) -> None:
    files = {
        "tune[title]": (None, "x"),
        "tune[name]": (None, "man"),
        "tune[model_type]": (None, "faceid"),
        "tune[images][0]": ("blob", TINY),
    }
    made = requests.post(f"{served.url}/tunes", files=files).json()
    answer = requests.post(f"{served.url}/tunes/{made['id']}/prompts", json={"prompt": {"text": "a man"}})
    sentence = "model_type=faceid is not supported. Use a checkpoint instead"
    assert answer.status_code == 422 and answer.json() == {"error": sentence, "message": sentence}


@pytest.mark.slow
def test_a_tune_that_the_api_would_train_draws_its_person(served: Served) -> None:
    body = [
        ("tune[title]", (None, "me")),
        ("tune[name]", (None, "woman")),
        ("tune[token]", (None, "ohwx")),
        ("tune[branch]", (None, "")),
        ("tune[images][]", ("blob", TINY)),
        ("tune[characteristics]", (None, '{"hat": "a red hat"}')),
        ("tune[prompts_attributes][0][text]", (None, "ohwx woman in {{hat}}")),
        ("tune[prompts_attributes][0][num_images]", (None, "1")),
    ]
    made = requests.post(f"{served.url}/tunes", files=body).json()
    assert made["trained_at"] is None
    assert requests.get(f"{served.url}/tunes/{made['id']}").json()["trained_at"]
    (prompt,) = requests.get(f"{served.url}/tunes/{BASE}/prompts").json()
    assert prompt["text"] == "ohwx woman in {{hat}}"
    ended(served, prompt["id"])
    assert served.engine.drawn[0].text == f"<faceid:{made['id']}:1> woman in a red hat"
    later = requests.post(f"{served.url}/tunes/{made['id']}/prompts", data={"prompt[text]": "on a beach"}).json()
    ended(served, later["id"])
    assert served.engine.drawn[1].text == f"<faceid:{made['id']}:1> woman on a beach"


@pytest.mark.slow
def test_a_duplicate_of_a_trained_tunes_prompt_draws_its_person_too(served: Served) -> None:
    form = {"tune[title]": "me", "tune[name]": "woman"}
    made = requests.post(f"{served.url}/tunes", data=form, files={"tune[images][]": TINY}).json()
    first = requests.post(
        f"{served.url}/tunes/{made['id']}/prompts", json={"prompt": {"text": "ohwx woman at sea"}}
    ).json()
    for body in ({}, {"prompt[text]": "sks woman in a car"}):
        again = requests.post(f"{served.url}/prompts/{first['id']}/duplicate", data=body).json()
        ended(served, again["id"])
    assert [prompt.text for prompt in served.engine.drawn] == [
        f"<faceid:{made['id']}:1> woman {where}" for where in ("at sea", "at sea", "in a car")
    ]


def test_one_title_may_belong_to_several_tunes(served: Served) -> None:
    first, second = tune(served, "stem"), tune(served, "stem")
    assert first["id"] != second["id"] and first["title"] == second["title"] == "stem"
    found = requests.get(f"{served.url}/tunes", params={"title": "stem", "limit": "200"}).json()
    assert [each["id"] for each in found] == [second["id"], first["id"]]


@pytest.mark.slow
def test_two_servers_make_tunes_of_one_title_at_the_same_time(served: Served) -> None:
    wanted, desk = TuneRequest("stem", "man", model_type="faceid"), served.service.desk
    with ThreadPoolExecutor(6) as servers:
        tries = [servers.submit(desk.take_tune, wanted, [TINY], Poster(0, served.url)) for _ in range(6)]
        made = [each.result()[0] for each in tries]
    assert len({each.tune.id for each in made}) == 6 and {each.title for each in made} == {"stem"}


def test_a_title_may_be_the_number_of_another_tune(served: Served) -> None:
    first = tune(served, "x")
    second = tune(served, str(first["id"]))
    assert second["id"] != first["id"] and second["title"] == str(first["id"])


def test_unknown_people_are_refused_with_their_place(served: Served) -> None:
    answer = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "<faceid:99:1> man"}})
    assert answer.status_code == 422 and "99" in answer.json()["text"][0]


def test_a_base_model_that_is_not_here_is_drawn_with_the_default(served: Served) -> None:
    answer = requests.post(f"{served.url}/tunes/3618064/prompts", json={"prompt": {"text": "a lake"}})
    assert answer.status_code == 201 and answer.json()["tune_id"] == 3618064


@pytest.mark.slow
def test_a_prompt_is_liked_duplicated_and_deleted(served: Served) -> None:
    first = requests.post(
        f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "a lake", "num_images": 1}}
    ).json()
    address = f"{served.url}/prompts/{first['id']}"
    again = requests.post(f"{address}/duplicate", data={"image_index": 0, "prompt[seed]": 7}).json()
    assert (again["text"], again["seed"], again["num_images"]) == ("a lake", 7, 1) and again["id"] != first["id"]
    assert (
        requests.post(f"{address}/like").status_code == 201 and requests.delete(f"{address}/likes").status_code == 204
    )
    picture = ended(served, first["id"])["images"][0]
    assert requests.delete(address).json()["message"] and requests.get(address).status_code == 404
    assert requests.get(picture).status_code == 404


def test_pages_are_read_backwards(served: Served) -> None:
    ids = [
        requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"text": f"lake {n}"}).json()["id"] for n in range(5)
    ]
    page = requests.get(f"{served.url}/prompts", params={"limit": 2}).json()
    assert [each["id"] for each in page] == ids[:2:-1]
    page = requests.get(f"{served.url}/prompts", params={"before_id": ids[3], "limit": 200}).json()
    assert [each["id"] for each in page] == ids[2::-1]
    answer = requests.get(f"{served.url}/prompts", params={"offset": 10_001})
    assert answer.status_code == 400 and "before_id" in answer.json()["error"]


@pytest.mark.slow
def test_prompts_are_found_by_what_clients_ask_for(served: Served) -> None:
    person = tune(served, "Anna")["id"]
    texts = ("a Lake", f"<faceid:{person}:1> man", "<faceid:Anna:0.8> man 100%")
    lake, by_number, by_title = (
        requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"text": text, "num_images": 1}).json()["id"]
        for text in texts
    )
    requests.post(f"{served.url}/prompts/{lake}/like")
    copy = requests.post(f"{served.url}/prompts/{lake}/duplicate").json()["id"]
    for query, expected in (
        ("text=lake", [copy, lake]),
        ("text=100%25", [by_title]),
        ("liked=true", [lake]),
        ("liked=false", [copy, by_title, by_number]),
        (f"orig_prompt_id={lake}", [copy]),
        (f"tune_id={person}", [by_title, by_number]),
        ("tune_id=1234567", []),
        ("today=true&liked=1", [lake]),
        ("is_video=true", []),
        ("is_api=false", []),
        ("is_api=true&text=man", [by_title, by_number]),
        ("pack_id=3", []),
    ):
        found = requests.get(f"{served.url}/prompts?{query}").json()
        assert [each["id"] for each in found] == expected, query
    found = requests.get(f"{served.url}/tunes/{person}/prompts").json()
    assert [each["id"] for each in found] == [by_title, by_number]
    assert requests.get(f"{served.url}/prompts?tune_id=x").status_code == 400


def test_tunes_are_found_by_what_clients_ask_for(served: Served) -> None:
    anna, ben = tune(served, "Anna")["id"], tune(served, "Ben")["id"]
    for query, expected in (
        ("title=Ben", [ben]),
        ("name[]=man&name[]=woman", [ben, anna]),
        ("name[]=woman", []),
        ("model_type=faceid&title=Anna", [anna]),
        ("branch=sd15", [ben, anna]),
        ("branch=sdxl1", []),
        ("branch=", [ben, anna]),
    ):
        found = requests.get(f"{served.url}/tunes?{query}").json()
        assert [each["id"] for each in found] == expected, query


@pytest.mark.slow
def test_a_picture_has_all_that_browsers_ask_for(served: Served) -> None:
    prompt = requests.post(
        f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "a lake", "num_images": 1}}
    ).json()
    address = ended(served, prompt["id"])["images"][0]
    whole = requests.get(address, headers={"Origin": "https://app.example"})
    assert whole.headers["Access-Control-Allow-Origin"] == "*" and whole.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.get(address, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    part = requests.get(address, headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole.content[2:10])
    assert part.headers["Content-Range"] == f"bytes 2-9/{len(whole.content)}"
    assert requests.get(address, headers={"Range": "bytes=999999-"}).status_code == 416
    assert not address.endswith(".json") and served.url in address


def test_errors_are_json_of_two_sentences(served: Served) -> None:
    for answer in (
        requests.get(f"{served.url}/generate"),
        requests.put(f"{served.url}/tunes"),
        requests.get(f"{served.url}/tunes/77"),
    ):
        assert answer.status_code in (404, 405)
        assert json.loads(answer.text)["error"] == json.loads(answer.text)["message"]


@pytest.mark.parametrize("path", ["/generate", "/v1/generate", "/packs/260", "/tunes/1/generations", "/status/3"])
def test_a_route_that_there_is_not_is_not_found_with_any_method(served: Served, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert raw(served, method, path).status == 404
    assert raw(served, "PUT", "/tunes").status == 405


def test_a_prompt_is_known_by_its_own_id_as_the_official_command_line_asks(served: Served) -> None:
    made = requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "a lake"}}).json()
    for address in (f"/tunes/None/prompts/{made['id']}", f"/prompts/{made['id']}"):
        assert requests.get(served.url + address).json()["id"] == made["id"]
        changed = requests.patch(served.url + address, data={"prompt[pack_id]": 3, "prompt[text]": "a sea"})
        assert changed.json()["text"] == "a lake" and changed.headers["X-FaceID-Ignored"] == "pack_id, text"
    assert requests.delete(f"{served.url}/tunes/None/prompts/{made['id']}").ok


@pytest.mark.slow
def test_a_prompt_is_taken_while_many_photos_are_looked_at(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end, take = threading.Event(), threading.Event(), Desk.take_tune

    def slow(*arguments):
        begun.set()
        assert may_end.wait(60)
        return take(*arguments)

    monkeypatch.setattr(Desk, "take_tune", slow)
    with ThreadPoolExecutor(40) as clients:  # more than there are threads for requests
        tunes = [clients.submit(tune, served) for _ in range(40)]
        try:
            assert begun.wait(30)
            body = {"prompt": {"text": "a lake"}}
            answer = requests.post(f"{served.url}/tunes/{BASE}/prompts", json=body, timeout=20)
            assert answer.status_code == 201 and not any(each.done() for each in tunes)
        finally:
            monkeypatch.undo()
            may_end.set()
