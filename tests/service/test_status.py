"""The status page, health, metrics, and the document."""

from __future__ import annotations

import pytest
import requests

from .conftest import Served
from .test_page import BASE, PHOTO, ended, tune


@pytest.mark.slow
def test_the_status_names_people_pictures_and_what_was_ignored(served: Served) -> None:
    made = tune(served)
    prompt = requests.post(
        f"{served.url}/tunes/{BASE}/prompts", json={"prompt": {"text": "a lake", "model": "x"}}
    ).json()
    ended(served, prompt["id"])
    found = requests.get(f"{served.url}/status").json()
    assert found["tunes"][0]["id"] == made["id"] and found["ignored"] == ["prompt[model]"]
    assert found["queue"]["done"] == 1 and found["prompts"][0]["images"]
    assert "FaceID Tunes" in requests.get(served.url).text


@pytest.mark.slow
def test_metrics_count_what_waits(served: Served) -> None:
    served.engine.gate.clear()
    for _ in range(3):
        requests.post(f"{served.url}/tunes/{BASE}/prompts", json={"text": "a lake"})
    while 'state="running"} 1' not in (text := requests.get(f"{served.url}/metrics").text):
        pass
    assert 'faceid_prompts{state="queued"} 2' in text
    served.engine.gate.set()


def test_health_and_readiness_need_no_token(served: Served) -> None:
    assert requests.get(f"{served.url}/health").json() == {"status": "ok"}
    assert requests.get(f"{served.url}/ready").json() == {"status": "ready"}


def test_the_document_lists_every_route_with_its_schemas(served: Served) -> None:
    document = requests.get(f"{served.url}/openapi.json").json()
    assert document["openapi"].startswith("3.1") and "post" in document["paths"]["/tunes/{tune_id}/prompts"]
    new = document["components"]["schemas"]["NewPrompt"]["properties"]
    assert {"text", "num_images", "face_swap"} <= new.keys()


def test_a_photo_is_inspected(served: Served) -> None:
    answer = requests.post(f"{served.url}/images/inspect", files={"file": PHOTO.read_bytes()}, data={"name": "man"})
    assert answer.json()["faces"] == 1
    assert requests.post(f"{served.url}/images/inspect", files={"file": b"no photo"}).status_code == 422
