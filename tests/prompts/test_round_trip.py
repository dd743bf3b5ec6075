"""parse and format are inverses, and whatever comes in, only PromptError comes out."""

from __future__ import annotations

import random

import pytest
from faceid_tunes.faceid_core.prompts import Flag, PromptError, PromptText, Tag, format, parse
from faceid_tunes.faceid_core.prompts.flags import ANCHORS, CONTROLNETS, FLAGS
from hypothesis import given, settings
from hypothesis import strategies as st

RANDOM_STRINGS = 100_000

FRAGMENTS = [
    *("<", ">", ":", "<faceid:", "<lora:", "<faceid:12:1>", "<lora:a b:0.5>", "<FaceID:1:1>", "<faceid:1>", "<3"),
    *("--", "-", "\u2014", "\u2013", "--fill", "--mask_prompt ", "--mask_dilate ", "--input_faceid", "--nothing", "="),
    *('"', "'", "\\", "(", ")", "(word:1.2)", "{{x}}", " ", "\n", "\t", "\u3000", "woman", "0.5", "-20%", "nan", "1e9"),
    *(
        "\0",
        "\x1f",
        "\x85",
        "\u2028",
        "\ud800",
        "\udfff",
        "٣",
        "é",
        "e\u0301",
        "山",
        "👩‍🚀",
        "\ufeff",
        "#fff",
        "9" * 30,
    ),
]

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
references = any_text.map(lambda ref: "".join(c for c in ref if c not in "<>:" and c >= " " and c != "\x7f").strip())
faces = st.builds(Tag, st.just("faceid"), references.filter(bool), st.floats(0, 10))
lora_strengths = st.floats(-10, 10)
loras = st.builds(
    Tag, st.just("lora"), references.filter(bool), lora_strengths, text_strength=st.none() | lora_strengths
)
tags = faces | loras

some_words = st.lists(any_text.filter(str.strip), min_size=1, max_size=3).map(tuple)
flag_values = {
    "mask_prompt": some_words,
    "mask_negative": some_words,
    "outpaint_prompt": some_words,
    "mask_dilate": st.from_regex(r"\A-?[0-9]{1,4}%?\Z"),
    "background_color": st.from_regex(r"\A#[0-9a-f]{6}\Z"),
    "controlnets": st.lists(st.sampled_from(CONTROLNETS), min_size=1, max_size=3).map(tuple),
    "outpaint": st.sampled_from(ANCHORS),
    "mask_blur": st.integers(0, 1024),
    "outpaint_width": st.integers(8, 16384),
    "outpaint_height": st.integers(8, 16384),
    "face_swap_indexes": st.lists(st.integers(0, 99), min_size=1, max_size=3).map(tuple),
    "controlnet_weights": st.lists(st.floats(0, 10), min_size=1, max_size=3).map(tuple),
}


def flags_named(name: str) -> st.SearchStrategy[Flag]:
    fallback = st.just(True) if FLAGS[name].takes == "nothing" else st.floats(0, 1)
    return st.builds(Flag, st.just(name), flag_values.get(name, fallback))


flags = st.sampled_from(sorted(FLAGS)).flatmap(flags_named)


def is_only_words(text: str) -> bool:
    try:
        return parse(text) == PromptText((text,))
    except PromptError:
        return False


words = any_text.filter(is_only_words)


@st.composite
def prompt_texts(draw: st.DrawFn) -> PromptText:
    """Any sequence of words, tags and flags that has a spelling: spaces are put where two pieces would run together."""
    pieces: list[str | Tag | Flag] = []
    for piece in draw(st.lists(words | tags | flags, max_size=8)):
        last = pieces[-1] if pieces else None
        if isinstance(piece, Flag) and any(isinstance(p, Flag) and p.name == piece.name for p in pieces):
            continue
        if isinstance(piece, str) and isinstance(last, (str, Flag)):
            continue
        if isinstance(last, Flag):
            pieces.append(" ")
        elif isinstance(piece, Flag) and isinstance(last, str):
            pieces[-1] = last + " "
        pieces.append(piece)
    return PromptText(tuple(pieces))


@pytest.mark.slow
@settings(max_examples=300, deadline=None, database=None)
@given(prompt_texts())
def test_what_is_written_reads_back_as_itself(prompt_text: PromptText):
    text = format(prompt_text)
    assert parse(text) == prompt_text
    assert format(parse(text)) == text


@pytest.mark.slow
@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | any_text, max_size=12).map("".join))
def test_a_text_that_reads_at_all_has_one_spelling(text: str):
    try:
        parsed = parse(text)
    except PromptError:
        return
    canonical = format(parsed)
    assert parse(canonical) == parsed
    assert format(parse(canonical)) == canonical
    assert parse(canonical).plain_text == parsed.plain_text


@pytest.mark.slow
@settings(max_examples=100, deadline=None, database=None)
@given(prompt_texts())
def test_every_tag_and_flag_lies_where_it_says(prompt_text: PromptText):
    text = format(prompt_text)
    for piece in (*parse(text).tags, *parse(text).flags):
        assert text[piece.start : piece.end] == str(piece)


def random_string(chance: random.Random) -> str:
    parts = []
    for _ in range(chance.randrange(12)):
        if chance.random() < 0.8:
            parts.append(chance.choice(FRAGMENTS))
        else:
            parts.append(chr(chance.randrange(0x110000)))
    return "".join(parts)


@pytest.mark.slow
def test_random_strings_raise_nothing_but_the_grammars_own_error():
    chance = random.Random(3)
    refused = 0
    for _ in range(RANDOM_STRINGS):
        text = random_string(chance)
        try:
            prompt_text = parse(text)
            prompt_text.plain_text.encode()
        except PromptError as error:
            refused += 1
            assert 0 <= error.position <= len(text)
    # Both branches have to be well trodden for this to say anything.
    assert RANDOM_STRINGS * 0.1 < refused < RANDOM_STRINGS * 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["<", "(", "-", "--", "a-", "a--", "<a", "< ", "<faceid:1:1>", "\u2014a", '"', "\\", ": "]
)
def test_a_megabyte_of_one_thing_is_read_or_refused(unit: str):
    text = unit * (1_000_000 // len(unit))
    try:
        assert format(parse(text)) == text
    except PromptError as error:
        assert len(str(error)) < 1000
