"""Reading prompt texts, as the manual shows them."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.prompts import Flag, PromptError, PromptText, Tag, format, parse, rewrite_refs, with_tag


def test_a_face_tag_names_a_tune_and_the_class_word_stays_in_the_text():
    text = parse("<faceid:12:1> woman trekking in the alps")
    assert text.tags == (Tag("faceid", "12", 1.0),)
    assert text.faces[0].tune_id == 12
    assert text.plain_text == "woman trekking in the alps"


def test_a_tag_remembers_its_place():
    source = "a photo of <faceid:12:0.8> woman"
    tag = parse(source).tags[0]
    assert source[tag.start : tag.end] == "<faceid:12:0.8>"


@pytest.mark.parametrize(
    ("written", "strength", "text_strength"),
    [("-0.5", -0.5, None), ("0.5:0.7", 0.5, 0.7), ("1:0", 1, 0), ("-1.5:-.25", -1.5, -0.25), ("-10:10", -10, 10)],
)
def test_a_lora_has_a_strength_on_the_model_and_perhaps_another_on_the_text(written, strength, text_strength):
    (tag,) = parse(f"a cat <lora:style\\x:{written}>").loras
    assert (tag.ref, tag.strength, tag.text_strength) == ("style\\x", strength, text_strength)


@pytest.mark.parametrize("strengths", [{"strength": -1}, {"text_strength": 1.0}])
def test_a_person_has_one_strength_from_zero_on(strengths):
    with pytest.raises(PromptError, match=r"outside 0 to 10|has one strength"):
        Tag("faceid", "12", **strengths)


def test_the_refs_of_a_lora_are_rewritten_with_both_its_strengths():
    assert rewrite_refs("a <lora:x:-0.5:.7> cat", lambda tag: "y") == "a <lora:y:-0.5:0.7> cat"


def test_a_tag_may_name_a_title_or_a_lora_file():
    text = parse("portrait of <faceid:John Doe - order 17:1> man <lora:people/film velvia_v2.safetensors:.5>")
    assert [(tag.kind, tag.ref, tag.strength, tag.tune_id) for tag in text.tags] == [
        ("faceid", "John Doe - order 17", 1.0, None),
        ("lora", "people/film velvia_v2.safetensors", 0.5, None),
    ]


def test_tags_may_follow_each_other_without_a_space():
    text = parse("living room <lora:epi_noiseoffset2:0.5><lora:FilmVelvia2:0.5><lora:add_detail:0.2>")
    assert [(tag.ref, tag.strength) for tag in text.loras] == [
        ("epi_noiseoffset2", 0.5),
        ("FilmVelvia2", 0.5),
        ("add_detail", 0.2),
    ]
    assert text.plain_text == "living room"


def test_several_people_each_have_their_own_strength():
    text = parse("<faceid:12:1> woman and <faceid:13:0.7> man at a table")
    assert [(tag.ref, tag.strength) for tag in text.faces] == [("12", 1.0), ("13", 0.7)]
    assert text.plain_text == "woman and man at a table"


@pytest.mark.parametrize(
    "words",
    [
        "woman, (smiling facial expression:1.1), ((sharp)), [blurry], {{garment}}",
        "I <3 the alps, 2 < 3 > 1, <1> and <b>bold</b>, < unknown:1:1>",
        "it's a man's hat, \"HELLO\" said the sign, the '90s",
        "wide -- very wide -- view, --------, well--known, 50-50, a -5 b, x --5",
        "land-fill key-fill mid-century -multi",
        "écharpe, 山の女性, 👩‍🚀, \u2014 dash \u2013 dash \u2014like this",
        "BREAK\nsecond line\ttabbed",
    ],
)
def test_words_stay_as_they_are(words: str):
    assert parse(words) == PromptText((words,))
    assert parse(words).plain_text == " ".join(words.split())


def test_a_tag_between_two_words_leaves_a_space_and_none_before_punctuation():
    assert parse("ohwx<lora:style:1>man, hat<lora:b:1>, (<lora:c:1>sun:1.2)").plain_text == "ohwx man, hat, (sun:1.2)"


def test_flags_are_taken_out_of_the_text_with_their_values():
    text = parse(
        "digital painting --mask_prompt foreground --mask_negative clothes hat --mask_invert --mask_dilate -20% "
        "--hires_denoising_strength 0.1"
    )
    assert text.plain_text == "digital painting"
    assert {flag.name: flag.value for flag in text.flags} == {
        "mask_prompt": ("foreground",),
        "mask_negative": ("clothes", "hat"),
        "mask_invert": True,
        "mask_dilate": "-20%",
        "hires_denoising_strength": 0.1,
    }
    assert text.flag("mask_invert") is True
    assert text.flag("fix_bindi", False) is False


def test_double_quotes_group_words_and_backslashes_escape_in_them():
    text = parse(r'beach --outpaint top-center --outpaint_width 1792 --outpaint_prompt "a \"blue\" \\ sky" --multi')
    assert text.flag("outpaint") == "top-center"
    assert text.flag("outpaint_width") == 1792
    assert text.flag("outpaint_prompt") == (r'a "blue" \ sky',)


def test_an_apostrophe_is_a_letter_in_a_flag_too():
    assert parse("don't --mask_prompt man's hat").flag("mask_prompt") == ("man's", "hat")


def test_a_flag_that_takes_many_words_ends_at_a_tag_or_another_flag():
    text = parse("room --mask_prompt windows door <lora:add_detail:1> bright --controlnets mlsd segroom --fill")
    assert text.flag("mask_prompt") == ("windows", "door")
    assert text.flag("controlnets") == ("mlsd", "segroom")
    assert text.plain_text == "room bright"


def test_the_scale_of_input_faceid_may_be_left_out():
    assert parse("--input_faceid woman").flag("input_faceid") == 1.0
    assert parse("--input_faceid 0.4 woman").flag("input_faceid") == 0.4
    assert parse("--input_faceid=0.4 woman").flag("input_faceid") == 0.4
    assert parse("--input_faceid 0.4 woman").plain_text == "woman"


def test_a_flag_value_may_follow_an_equals_sign():
    assert parse("cave --tiled_upscale_v2 --resemblance=0.65").flag("resemblance") == 0.65


def test_format_writes_one_spelling():
    assert format(parse("<faceid:7:1.0> man --resemblance=.650")) == "<faceid:7:1> man --resemblance 0.65"


def test_format_refuses_pieces_that_would_read_back_as_others():
    for pieces in [
        ("a <faceid:1:1> b",),
        ("woman", Flag("mask_invert")),
        ("a", "b"),
        ("",),
        (Flag("mask_prompt", ("hat",)), " a woman"),
        (Flag("mask_invert"), " ", Flag("mask_invert")),
        (Flag("resemblance", "much"),),
    ]:
        with pytest.raises(PromptError):
            format(PromptText(pieces))


def test_rewriting_references_changes_nothing_else():
    text = "a  photo of <faceid:Ann:1.0>  woman <lora:x:0.50> --mask_dilate=5"
    remote = {"Ann": "2000501"}
    assert (
        rewrite_refs(text, lambda tag: remote.get(tag.ref, tag.ref))
        == "a  photo of <faceid:2000501:1>  woman <lora:x:0.50> --mask_dilate=5"
    )


def test_a_tag_is_added_in_front_unless_its_tune_is_named_already():
    tag = Tag("faceid", "12", 1.0)
    assert with_tag("woman in the alps", tag) == "<faceid:12:1> woman in the alps"
    assert with_tag("woman <faceid:12:0.5>", tag) == "woman <faceid:12:0.5>"
    assert with_tag("<lora:12:1> woman", tag) == "<faceid:12:1> <lora:12:1> woman"


@pytest.mark.parametrize("strength", [0, 1, 0.1, 1e-7, 0.30000000000000004, 10, -0.0])
def test_a_strength_is_written_without_an_exponent_and_reads_back_the_same(strength: float):
    tag = Tag("faceid", "12", strength)
    assert "e" not in str(tag).removeprefix("<faceid")
    assert parse(str(tag)).tags == (tag,)


@pytest.mark.parametrize("ref", ["", " 12", "12 ", "a:b", "a<b", "a>b", "a\nb", "a\0b"])
def test_a_tag_that_could_not_be_written_cannot_be_made(ref: str):
    with pytest.raises(PromptError):
        Tag("faceid", ref, 1.0)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -0.1, 10.5, 1e9])
def test_a_tag_with_a_strength_out_of_range_cannot_be_made(strength: float):
    with pytest.raises(PromptError, match="outside 0 to 10"):
        Tag("faceid", "12", strength)


def test_a_reference_too_long_for_an_id_is_a_title():
    assert Tag("faceid", "9" * 5000).tune_id is None
    assert Tag("faceid", "٣").tune_id is None
