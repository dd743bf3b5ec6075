"""Advice on prompts that can be drawn, but probably not as meant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from faceid_tunes.faceid_core.prompts import Prompt, lint
from faceid_tunes.faceid_core.tunes.tune import Tune

FACE = "<faceid:12:1> woman trekking in the alps"


def codes(text: str = FACE, tunes=None, **fields) -> list[str]:
    return [found.code for found in lint(Prompt(text, **fields), tunes or {})]


def test_the_recommended_prompt_has_nothing_to_say():
    tune = Tune(title="Ann", name="woman")
    assert codes(cfg_scale=3, face_swap=True, face_correct=True, super_resolution=True, tunes={"12": tune}) == []
    assert codes(scheduler="lcm", steps=6) == []
    assert codes("a lake in the alps", cfg_scale=7) == []


# fields, the one code they bring
ADVICE = [
    ({"cfg_scale": 7.5}, "cfg-scale"),
    ({"cfg_scale": 5, "scheduler": "lcm"}, "lcm-cfg-scale"),
    ({"text": "a lake", "cfg_scale": 7.5, "scheduler": "lcm"}, "lcm-cfg-scale"),
    ({"scheduler": "lcm", "steps": 30}, "lcm-steps"),
    ({"scheduler": "tcd"}, "remote-scheduler"),
    ({"face_swap": True, "style": "Animated"}, "face-swap-animation"),
    ({"face_swap": True, "style": "Comic book"}, "face-swap-animation"),
    ({"face_swap": True, "text": "<faceid:1:1> woman, pixar style"}, "face-swap-animation"),
    ({"face_swap": True, "text": "<faceid:1:1> woman, Anime"}, "face-swap-animation"),
    ({"face_swap": True, "text": "<faceid:1:1> woman, watercolor illustration"}, "face-swap-animation"),
    ({"face_swap": True, "text": "a woman in the alps"}, "face-swap-without-tag"),
    ({"hires_fix": True}, "needs-super-resolution"),
    ({"inpaint_faces": True}, "needs-super-resolution"),
    ({"text": "<faceid:1:1> woman, (smiling:1.1)"}, "weights-without-lpw"),
    ({"controlnet": "pose"}, "controlnet-without-image"),
    ({"mask_image": b"png"}, "mask-without-image"),
    ({"w": 512, "h": 512, "aspect_ratio": "16:9"}, "size-given-twice"),
    ({"resolution": "2K"}, "remote-field"),
    ({"negative_prompt": "<lora:bad:1>"}, "tag-in-negative-prompt"),
    ({"backend_version": 1, "text": FACE + " --fix_bindi"}, "flag-needs-backend-0"),
    ({"text": "<faceid:1:1> woman and <faceid:2:1> man"}, "several-people"),
    ({"text": "<faceid:1:0> woman"}, "zero-strength"),
    ({"text": "<faceid:1:1> woman <lora:film:0>"}, "zero-strength"),
    ({"text": "<faceid:1:1> woman <lora:film:0.5:0.7>"}, "two-strengths"),
    ({"text": "<faceid:1:1> woman <lora:film:0:1>"}, "two-strengths"),
    ({"text": "<faceid:1:1> woman <lora:age:-2>"}, "negative-strength"),
    ({"text": "<faceid:1:1> trekking in the alps"}, "class-word"),
    ({"text": "<faceid:1:1> woman, faceid:2"}, "looks-like-a-tag"),
    ({"text": "<faceid:1:1> woman BREAK lake"}, "break"),
    ({"text": "<faceid:1:1> woman in the alps\nBREAK\nlake"}, "break"),
    ({"text": "a cat AND a dog"}, "and"),
    ({"text": "a cat AND a dog :1.2 AND a bird"}, "and"),
    ({"text": "a {red|blue} cat"}, "choices"),
    ({"text": "a {red|{dark|light} blue} cat"}, "choices"),
    ({"text": "a __colour__ cat"}, "wildcard"),
    ({"text": "a __animals/cat*__"}, "wildcard"),
    ({"text": "a [cat:dog:0.5]"}, "prompt-editing"),
    ({"text": "a [cat|dog]"}, "prompt-editing"),
    ({"text": "a cat [in a hat:12]"}, "prompt-editing"),
]


@pytest.mark.parametrize(("fields", "code"), ADVICE)
def test_each_note_of_the_api_is_one_advice(fields: dict, code: str):
    assert codes(**fields) == [code]


QUIET = [
    {"cfg_scale": 3},
    {"cfg_scale": 1.5, "scheduler": "lcm"},
    {"face_swap": True, "style": "Cinematic"},
    {"face_swap": True, "text": "<faceid:1:1> woman reading a commission"},
    {"style": "Animated"},
    {"hires_fix": True, "inpaint_faces": True, "super_resolution": True},
    {"text": "<faceid:1:1> woman, (smiling:1.1)", "use_lpw": True},
    {"text": "<faceid:1:1> woman (shot in 16:9)"},
    {"controlnet": "pose", "input_image": b"png"},
    {"w": 512, "aspect_ratio": "16:9"},
    {"text": FACE + " --fix_bindi", "backend_version": 0},
    {"text": "<faceid:1:1> a man"},
    {"text": "<faceid:1:1><lora:film:0.5> Woman"},
    {"text": "closeup of a woman <faceid:1:1>"},
    {"text": "a sign that says SALT AND PEPPER"},
    {"text": "a sign: LUNCH BREAK ROOM"},
    {"text": "coffee break and cake"},
    {"text": "a {template}, {{key}}, [soft] light"},
    {"text": "snake_case__name, __init"},
    {"text": "a cat [16:9]"},
]


@pytest.mark.parametrize("fields", QUIET)
def test_near_misses_are_left_alone(fields: dict):
    assert codes(**fields) == []


def test_the_class_word_is_the_one_of_the_tune():
    tunes = {"12": Tune(title="Ann", name="woman"), "Bo": Tune(title="Bo", name="baby boy")}
    (advice,) = lint(Prompt("<faceid:12:1> man in the alps"), tunes)
    assert (advice.code, advice.start, advice.end) == ("class-word", 0, 13)
    assert "<faceid:12:1> woman" in advice.message
    assert codes("<faceid:Bo:1> baby boy in a chair", tunes=tunes) == []
    assert codes("<faceid:Bo:1> boy in a chair", tunes=tunes) == ["class-word"]
    assert codes("portrait of a woman <faceid:12:1>", tunes=tunes) == []
    assert codes("portrait of a man <faceid:12:1>", tunes=tunes) == ["class-word"]


def test_training_fields_of_a_tune_are_said_to_have_no_effect():
    tunes = {"12": Tune(title="Ann", name="woman", steps=1500, training_face_correct=True)}
    found = lint(Prompt(FACE), tunes)
    assert [advice.code for advice in found] == ["tune-not-trained", "tune-not-trained"]
    assert "tune[steps]" in found[0].message
    assert "tune[training_face_correct]" in found[1].message
    assert codes(tunes={"12": Tune(title="Ann", name="woman", training_face_correct=False)}) == []


def test_tunes_are_known_by_three_facts_only():
    @dataclass(frozen=True)
    class RemoteTune:
        name: str = "woman"
        steps: int | None = 300
        training_face_correct: bool | None = None

    assert codes(tunes={"12": RemoteTune()}) == ["tune-not-trained"]


def test_advice_on_a_field_names_the_field_and_says_what_to_do():
    (advice,) = lint(Prompt(FACE, cfg_scale=7.5))
    assert advice.field == "cfg_scale"
    assert advice.start is None
    assert advice.message == "FaceID keeps a face best at cfg_scale 3; this prompt has 7.5."
