"""Every route keeps to the document at openapi.json, whatever is sent to it."""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
from faceid_tunes.service.openapi import document
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .conftest import Served
from .test_page import BASE, ended, tune

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("FACEID_TEST_EXAMPLES", "20"))  # for each route

schemathesis = pytest.importorskip("schemathesis")


def test_no_route_answers_with_5xx_or_a_status_that_the_document_does_not_have(served: Served) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    kept = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.response_headers_conformance,
    ]
    person = tune(served)["id"]
    body = {"prompt": {"text": f"<faceid:{person}:1> man", "num_images": 1}}
    prompt = requests.post(f"{served.url}/tunes/{BASE}/prompts", json=body).json()["id"]
    ended(served, prompt)
    served.engine.gate.clear()  # what is posted below is not drawn
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    told: dict[str, str] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.method.upper() == "DELETE" and operation.path == "/tunes/{tune_id}":
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), known=st.booleans())
        def keeps_to_it(case: Any, known: bool) -> None:
            if known:  # a person and a prompt that exist
                for name, value in (("tune_id", person), ("prompt_id", prompt)):
                    if name in (case.path_parameters or {}):
                        case.path_parameters[name] = value
            case.call_and_validate(checks=kept, timeout=30)

        try:
            keeps_to_it()
        except BaseException as error:  # schemathesis groups what it finds
            told[f"{operation.method} {operation.path}"] = str(error)[:700]
    assert not told, "\n\n".join(f"{name}: {text}" for name, text in told.items())
    assert not served.errors()


def test_the_document_names_every_parameter_of_the_address_that_a_list_reads() -> None:
    read = {"text", "tune_id", "orig_prompt_id", "liked", "today", "is_video", "is_api", "pack_id", "limit", "offset"}
    found = {
        path: {each["name"] for each in item["get"]["parameters"] if each["in"] == "query"}
        for path, item in document()["paths"].items()
        if "get" in item
    }
    assert read <= found["/prompts"] and {"title", "name", "name[]", "model_type", "branch"} <= found["/tunes"]
    assert found["/prompts"] - found["/tunes/{tune_id}/prompts"] == {"tune_id"}
    assert found["/prompts/{prompt_id}"] == set()
