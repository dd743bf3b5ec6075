"""Every refusal of the grammar points at its place and says what to do."""

from __future__ import annotations

import pickle

import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.prompts import PromptError, parse

BAD_TAGS = [
    # text, what the caret points at, the problem, the remedy
    ("a <faceid:12:1 woman", "<faceid:12", "no closing '>'", "Close it"),
    ("a <faceid:12:1 woman <lora:a:1>", "<faceid:12", "no closing '>'", "Close it"),
    ("a <faceid:12:1\n> woman", "<faceid:12", "no closing '>'", "Close it"),
    ("<faceid:", "<faceid", "no closing '>'", "Close it"),
    ("<faceid:1>", ">", "no strength", "<faceid:1:1>"),
    ("<faceid:1:>", ">", "no strength", "<faceid:1:1>"),
    ("<faceid::1>", ":1>", "no reference", "id"),
    ("<faceid>", ">", "must follow 'faceid'", "<faceid:12:1>"),
    ("<faceid 12:1>", " 12", "must follow 'faceid'", "<faceid:12:1>"),
    ("<faceid\uff1a12\uff1a1>", "\uff1a12", "must follow 'faceid'", "<faceid:12:1>"),
    ("<FaceID:1:1> woman", "FaceID", "lower case", "<faceid:...>"),
    ("< faceid:1:1> woman", " faceid", "a space inside", "<faceid:...>"),
    ("<face_id:1:1>", "face_id", "unknown tag 'face_id'", "Did you mean 'faceid'?"),
    ("<lyco:1:1>", "lyco", "unknown tag 'lyco'", "put a space after '<'"),
    ("<faceid: John:1>", " John", "starts with a space", "Remove"),
    ("<faceid:John :1>", " :1", "ends with a space", "Remove"),
    ("<faceid:Jo\thn:1>", "\thn", "cannot contain '\\t'", "id"),
    ("<faceid:John: 2:1>", ":1>", "more than three parts", "id"),
    ("<faceid:1:1:0.5>", ":0.5", "more than three parts", "<faceid:REF:STRENGTH>"),
    ("<lora:a:1:0.5:2>", ":2", "more than four parts", "<lora:REF:STRENGTH> or <lora:REF:MODEL:TEXT>"),
    ("<lora:a:1:>", ">", "'' is not a plain decimal", "from -10 to 10"),
    ("<lora:a:1:te=0.5>", "te", "'te=0.5' is not a plain decimal", "from -10 to 10"),
    ("<lora:a:-11>", "-11", "-11 is outside -10 to 10", "full strength"),
    ("<lora:a:1:10.5>", "10.5", "10.5 is outside -10 to 10", "full strength"),
    ("<lora:a:+1>", "+1", "not a plain decimal", "without exponent"),
    ("<lora:a:--1>", "--1", "not a plain decimal", "from -10 to 10"),
    ("<faceid:1:nan>", "nan", "'nan' is not a plain decimal", "from 0 to 10"),
    ("<faceid:1:inf>", "inf", "not a plain decimal", "from 0 to 10"),
    ("<faceid:1:-1>", "-1", "not a plain decimal", "without sign"),
    ("<faceid:1:+1>", "+1", "not a plain decimal", "without sign"),
    ("<faceid:1:1e9>", "1e9", "not a plain decimal", "exponent"),
    ("<faceid:1:0,8>", "0,8", "not a plain decimal", "0.8"),
    ("<faceid:1: 1>", " 1", "not a plain decimal", "spaces"),
    ("<faceid:1:1.2.3>", "1.2.3", "not a plain decimal", "0.8"),
    ("<faceid:1:.>", ".", "not a plain decimal", "0.8"),
    ("<faceid:1:\u0661>", "\u0661", "not a plain decimal", "0.8"),
    ("<faceid:1:1000000000>", "1000000000", "1000000000 is outside 0 to 10", "full strength"),
    ("<faceid:1:10.01>", "10.01", "10.01 is outside 0 to 10", "full strength"),
    ("<faceid:1:" + "9" * 400 + ">", "999", "outside 0 to 10", "full strength"),
]

BAD_FLAGS = [
    ("x --mask_promt hat", "--mask_promt", "unknown flag '--mask_promt'", "Did you mean 'mask_prompt'?"),
    ("x --mask-prompt hat", "--mask-prompt", "unknown flag '--mask-prompt'", "Did you mean 'mask_prompt'?"),
    ("x --zzz", "--zzz", "unknown flag '--zzz'", "Known flags: --"),
    ("x --Multi", "--Multi", "unknown flag '--Multi'", "Did you mean 'multi'?"),
    ("x --seed 5", "--seed", "--seed is not a flag", "prompt[seed]"),
    ("x --ar 16:9", "--ar", "--ar is not a flag", "prompt[ar]"),
    ("x --no hands", "--no", "--no is not a flag", "prompt[negative_prompt]"),
    ("x --video --duration 5", "--video", "makes a video", "remove the flag"),
    ("x \u2014mask_invert", "\u2014mask_invert", "looks like the flag --mask_invert", "two hyphens"),
    ("x---mask_invert", "---mask_invert", "looks like the flag --mask_invert", "two hyphens"),
    ("woman--mask_invert", "--mask_invert", "looks like the flag --mask_invert", "a space before"),
    ("x --mask_invert, y", ", y", "is joined to ','", "Put a space"),
    ("x --mask_invert<lora:a:1>", "<lora", "is joined to '<'", "Put a space"),
    ("x --mask_invert=1", "=1", "takes no value", "Write --mask_invert."),
    ("x --mask_dilate", "", "has no value", "-20 or 5%"),
    ("x --mask_prompt --fill", " --fill", "has no value", "the words to look for"),
    ("x --mask_prompt <lora:a:1>", " <lora", "has no value", "the words to look for"),
    ("x --mask_dilate= 5", " 5", "has no value", "pixels"),
    ("x --mask_dilate wide", "wide", "cannot be 'wide'", "pixels"),
    ("x --mask_dilate 5<lora:a:1>", "<lora", "is joined to '<'", "double quotes"),
    ("x --hires_denoising_strength 1.5", "1.5", "cannot be '1.5'", "from 0 to 1"),
    ("x --hires_denoising_strength nan", "nan", "cannot be 'nan'", "from 0 to 1"),
    ("x --input_faceid=much", "much", "cannot be 'much'", "from 0 to 10"),
    ("x --outpaint middle", "middle", "cannot be 'middle'", "top-left"),
    ("x --outpaint_width 1e3", "1e3", "cannot be '1e3'", "whole number"),
    ("x --background_color red", "red", "cannot be 'red'", "#fff"),
    ("x --controlnets pose lamp", "lamp", "cannot be 'lamp'", "canny"),
    ("x --mask_prompt 'a b'", "'a b'", "starts with an apostrophe", "double quotes"),
    ('x --mask_prompt "a b', '"a b', "the quote is not closed", "Close it"),
    ('x --mask_prompt "a"b', "b", "is joined to 'b'", "Put a space"),
    ('x --mask_prompt ""', '""', "cannot be ''", "the words to look for"),
    ("--fill x --fill", "--fill", "given twice", "Keep one"),
    ("x\0y", "\0y", "U+0000", "Remove"),
    ("x\udc80y", "\udc80y", "U+DC80", "Remove"),
]


@pytest.mark.parametrize(("text", "place", "problem", "remedy"), BAD_TAGS + BAD_FLAGS)
def test_bad_text_is_refused_at_its_place_with_a_remedy(text: str, place: str, problem: str, remedy: str):
    with pytest.raises(PromptError) as caught:
        parse(text)
    error = caught.value
    assert text[error.position :].startswith(place) if place else error.position == len(text)
    headline, _, caret, last_line = str(error).split("\n")
    assert problem in headline
    assert remedy in last_line
    assert caret.endswith("^")
    if "\n" not in text:
        assert headline.startswith(f"prompt[text], column {error.position + 1}: ")


def test_the_caret_stands_under_the_place():
    with pytest.raises(PromptError) as caught:
        parse("a photo of <faceid:12> woman")
    assert str(caught.value).splitlines() == [
        "prompt[text], column 22: the tag has no strength.",
        "    a photo of <faceid:12> woman",
        "                         ^",
        "Write it last: <faceid:12:1>.",
    ]


def test_in_a_text_of_several_lines_the_line_is_named_and_only_it_is_shown():
    with pytest.raises(PromptError) as caught:
        parse("woman in the alps\nBREAK\nnear <faceid:12> lake\nsunset")
    error = caught.value
    assert (error.line, error.column) == (3, 16)
    assert str(error).splitlines()[:3] == [
        "prompt[text], line 3, column 16: the tag has no strength.",
        "    near <faceid:12> lake",
        "                   ^",
    ]


def test_a_long_text_is_shown_around_the_place_only():
    with pytest.raises(PromptError) as caught:
        parse("word " * 1000 + "<faceid:12>" + " word" * 1000)
    assert caught.value.column == 5011
    assert max(map(len, str(caught.value).splitlines())) < 120


def test_the_second_of_two_equal_flags_is_pointed_at():
    with pytest.raises(PromptError) as caught:
        parse("a --fill b --fill")
    assert caught.value.position == 11


def test_the_error_is_one_of_the_package_and_survives_a_process_boundary():
    with pytest.raises(FaceIDError) as caught:
        parse("<faceid:12>")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert (copy.field, copy.position, copy.line, copy.column) == ("text", 10, 1, 11)
