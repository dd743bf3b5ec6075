"""What the client encodes, the service decodes to the same value: all three encodings, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing

import aiohttp
import pytest
from faceid_tunes.faceid_core.astria.wire.brackets import Pairs
from faceid_tunes.faceid_core.astria.wire.file import File
from faceid_tunes.faceid_core.astria.wire.forms import json_body, multipart, urlencoded
from faceid_tunes.faceid_core.astria.wire.prompt_request import prompt_params, read_prompt
from faceid_tunes.faceid_core.astria.wire.tune_request import TuneRequest, read_tune, tune_params
from faceid_tunes.faceid_core.prompts import SCHEDULERS, Prompt
from faceid_tunes.faceid_core.prompts.prompt import ASPECT_RATIOS, MAX_SEED, STYLES
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_astria import FakeAstria

Post = Callable[[str, Pairs], dict]

ENCODINGS = {
    "multipart": lambda pairs: {"data": multipart(pairs)},
    "urlencoded": lambda pairs: {
        "data": urlencoded(pairs),
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "json": lambda pairs: {"data": json_body(pairs), "headers": {"Content-Type": "application/json"}},
}

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0<>-\u2013\u2014")
any_text = st.text(letters, min_size=1, max_size=30).filter(str.strip)
addresses = st.sampled_from(["https://example.com/a?b=c&d=é", "http://127.0.0.1/x;y"])
sides = st.none() | st.integers(8, 512).map(lambda n: n * 8)


def prompts_with(image: st.SearchStrategy) -> st.SearchStrategy[Prompt]:
    return st.builds(
        Prompt,
        text=any_text.map(lambda words: f"<faceid:12:0.5> {words} --fill"),
        negative_prompt=st.just("") | any_text,
        num_images=st.integers(1, 8),
        seed=st.none() | st.integers(0, MAX_SEED),
        steps=st.none() | st.integers(0, 50),
        cfg_scale=st.none() | st.floats(0, 15),
        scheduler=st.none() | st.sampled_from(sorted(SCHEDULERS)),
        w=sides,
        h=sides,
        aspect_ratio=st.none() | st.sampled_from(ASPECT_RATIOS),
        ar=st.sampled_from(["1:1", "portrait"]),
        face_swap=st.booleans(),
        film_grain=st.booleans(),
        style=st.none() | st.sampled_from(STYLES),
        input_image=image,
        mask_image=st.none() | addresses,
        denoising_strength=st.none() | st.floats(0, 1),
        backend_version=st.sampled_from([None, 0, 1]),
        callback=st.none() | addresses,
    )


pictures = st.none() | addresses | st.just("data:image/png;base64,iVBORw0=")
files = st.builds(
    File,
    st.binary(min_size=1, max_size=200),
    st.sampled_from(["a.jpg", 'qu"ote.png', "é\\.webp"]),
    st.sampled_from(["image/jpeg", "image/png"]),
)


def tunes_with(images: st.SearchStrategy, image: st.SearchStrategy) -> st.SearchStrategy[TuneRequest]:
    return st.builds(
        TuneRequest,
        any_text,
        any_text,
        images,
        st.lists(addresses, max_size=3).map(tuple),
        st.sampled_from([None, "faceid"]),
        base_tune_id=st.none() | st.integers(0, 2**40),
        token=st.none() | any_text,
        steps=st.none() | st.integers(0, 10_000),
        face_crop=st.sampled_from([None, True, False]),
        characteristics=st.dictionaries(st.from_regex(r"\A[a-z_]{1,9}\Z"), any_text, max_size=3).map(
            lambda given: tuple(given.items())
        ),
        prompts=st.lists(prompts_with(image), max_size=3).map(tuple),
    )


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    """Sends parameters in an encoding; returns those that arrived."""
    loop = asyncio.new_event_loop()
    with FakeAstria(remember=1) as api, closing(loop):

        async def send(body: dict) -> dict:
            async with aiohttp.ClientSession() as session, session.post(f"{api.url}/tunes", **body) as answer:
                assert answer.status == 401, await answer.text()  # read, and not answered: no key was sent
            return api.seen[-1].params

        yield lambda encoding, pairs: loop.run_until_complete(send(ENCODINGS[encoding](pairs)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=60, deadline=None, database=None)
@given(prompt=prompts_with(pictures))
def test_a_prompt_arrives_as_it_was_sent(post: Post, encoding: str, prompt: Prompt):
    assert read_prompt(post(encoding, prompt_params(prompt))) == prompt


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=40, deadline=None, database=None)
@given(tune=tunes_with(st.just(()), pictures))
def test_a_tune_arrives_as_it_was_sent(post: Post, encoding: str, tune: TuneRequest):
    assert read_tune(post(encoding, tune_params(tune))) == tune


@pytest.mark.slow
@settings(max_examples=40, deadline=None, database=None)
@given(
    tune=tunes_with(st.lists(files, max_size=3).map(tuple), pictures | st.binary(min_size=1, max_size=50)),
)
def test_files_arrive_as_they_were_sent(post: Post, tune: TuneRequest):
    assert read_tune(post("multipart", tune_params(tune))) == tune


def test_a_file_goes_into_json_as_a_data_url(post: Post):
    arrived = read_prompt(post("json", prompt_params(Prompt("a lake", input_image=b"\x89PNG\r\n\x1a\n."))))
    assert arrived.input_image == "data:image/png;base64,iVBORw0KGgou"
