"""Which LoRA file a tag means: with or without folder, ending and case, on Windows and on Linux, and never a guess."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.adapter.layers import Base
from faceid_tunes.faceid_core.engines.lora_tags import lora_file
from faceid_tunes.faceid_core.engines.plan import PlannedLora, make_plan
from faceid_tunes.faceid_core.prompts import Prompt, PromptError

NAMES = (
    "a/detail.safetensors",
    "b/detail.safetensors",
    "b/deep/ink.safetensors",
    "Film.safetensors",
    "old/film.safetensors",
    "grain.v2.safetensors",
    "one/Cafe\u0301.pt",
    "Loud.CKPT",
    "sketch.pt",
    "sketch.safetensors",
)
WINDOWS = tuple(name.replace("/", "\\") for name in NAMES)


def found(ref: str, names=NAMES) -> str:
    prompt = Prompt(f"a cat <lora:{ref}:0.8>")
    return lora_file(prompt.parsed.loras[0], prompt, names)


@pytest.mark.parametrize("names", [NAMES, WINDOWS])
@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("a/detail", 0),
        ("a/detail.safetensors", 0),
        ("b\\detail", 1),
        ("b\\detail.safetensors", 1),
        ("B/Detail", 1),
        ("b/deep/ink", 2),
        ("deep/ink", 2),
        ("deep\\ink.safetensors", 2),
        ("ink", 2),
        ("INK", 2),
        ("Film", 3),
        ("film", 4),
        ("FILM.safetensors", 3),
        ("old/FILM", 4),
        ("grain.v2", 5),
        ("grain.v2.safetensors", 5),
        ("Caf\u00e9", 6),
        ("one/caf\u00e9.PT", 6),
        ("loud", 7),
        ("loud.ckpt", 7),
        ("sketch.pt", 8),
        ("sketch.SAFETENSORS", 9),
    ],
)
def test_a_tag_means_one_file_however_it_is_spelled(names, ref, number):
    assert found(ref, names) == names[number]


@pytest.mark.parametrize("names", [NAMES, WINDOWS])
@pytest.mark.parametrize(
    ("ref", "named"),
    [
        ("detail", "'a/detail.safetensors', 'b/detail.safetensors'"),
        ("DETAIL", "'a/detail.safetensors', 'b/detail.safetensors'"),
        ("detail.safetensors", "'a/detail.safetensors', 'b/detail.safetensors'"),
        ("sketch", "'sketch.pt', 'sketch.safetensors'"),
    ],
)
def test_a_name_of_two_files_is_an_error_that_names_both(names, ref, named):
    with pytest.raises(PromptError, match=f"2 LoRAs are called .*: {named}.\n(.*\n)+Write the full name") as raised:
        found(ref, names)
    assert raised.value.position == len("a cat ")


def test_of_two_files_that_differ_in_case_only_the_case_decides_and_nothing_is_guessed():
    names = ("x/Ink.safetensors", "y/ink.safetensors")
    assert found("ink", names) == "y/ink.safetensors"
    with pytest.raises(PromptError, match="2 LoRAs are called 'INK'"):
        found("INK", names)


@pytest.mark.parametrize(
    ("ref", "meant"), [("inc", "ink"), ("a/detial", "a/detail"), ("deep/inkk", "b/deep/ink"), ("grain", "grain.v2")]
)
def test_a_lora_that_is_not_there_is_pointed_at_with_the_nearest_name(ref, meant):
    with pytest.raises(PromptError, match=f"there is no LoRA '{ref}'.\n(.*\n)+.*Did you mean '{meant}") as raised:
        found(ref)
    assert raised.value.position == len("a cat ")


@pytest.mark.parametrize("ref", ["tail", "a", "b/deep", "detail.pt", "ink.safe", "k", "/"])
def test_a_part_of_a_name_is_no_name(ref):
    with pytest.raises(PromptError, match="there is no LoRA"):
        found(ref)


@pytest.mark.parametrize(
    ("strengths", "model", "text"),
    [("0.8", 0.8, 0.8), ("-0.5", -0.5, -0.5), ("0.5:0.7", 0.5, 0.7), ("1:0", 1, 0), ("0:-2.5", 0, -2.5)],
)
def test_both_strengths_of_a_tag_reach_the_plan(strengths, model, text):
    plan = make_plan(Prompt(f"a cat <lora:ink:{strengths}>"), Base.SD15, lambda: NAMES, list)
    assert plan.loras == (PlannedLora("b/deep/ink.safetensors", model, text),)
