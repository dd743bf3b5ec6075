"""Styles: words around a prompt's own."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.prompts import Prompt, parse
from faceid_tunes.faceid_core.prompts.prompt import STYLES
from faceid_tunes.faceid_core.prompts.styles import styled

TEXT = "(ohwx:1.2) woman trekking in the alps, [red|blue] jacket"


def test_without_a_style_both_texts_stay_as_they_are():
    assert styled(TEXT, "hat", None) == (TEXT, "hat")


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_the_api_stands_around_the_text_and_changes_nothing_in_it(style):
    text, negative = styled(TEXT, "(hat:1.3)", style)
    assert TEXT in text and len(text) > len(TEXT) + 40
    assert negative.startswith("(hat:1.3), ")


@pytest.mark.parametrize("style", STYLES)
def test_a_style_brings_no_tags_no_flags_and_no_weights(style):
    for added in styled("", "", style):
        assert parse(added).pieces == (added,)
        assert not set("()[]{}<>|:\\") & set(added)


def test_no_two_styles_ask_for_the_same():
    assert len({styled(TEXT, "", style) for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_the_words_of_a_prompt_are_among_the_first_ten_of_the_text_encoder(style):
    text, _ = styled("woman", "", style)
    assert len(text.split("woman")[0].split()) < 10


@pytest.mark.parametrize("style", STYLES)
def test_a_style_leaves_most_of_the_75_tokens_to_the_prompt(style):
    positive, negative = (text.replace(",", " , ").split() for text in styled("", "", style))
    assert len(positive) < 30 and len(negative) < 25


def test_a_style_is_about_the_picture_and_never_about_the_person():
    person = {"woman", "man", "girl", "boy", "beautiful", "handsome", "young", "old", "hair", "makeup", "skin", "eyes"}
    for style in STYLES:
        assert not person & set(styled("", "", style)[0].replace(",", "").split())


def test_a_prompt_goes_to_the_text_encoder_with_its_style_and_without_its_tags_and_flags():
    prompt = Prompt("<faceid:12:1> woman at sea --improve_similarity 0.5", "hat", style="Comic book")
    text, negative = styled(prompt.parsed.plain_text, prompt.negative_prompt, prompt.style)
    assert text.startswith("comic book panel of woman at sea, bold ink outlines")
    assert "faceid" not in text and "improve" not in text
    assert negative == "hat, photograph, photorealistic, camera noise"


def test_a_text_that_ends_with_a_comma_or_not_at_all_gets_no_second_comma():
    assert "alps, film" not in styled("alps,", "", "Cinematic")[0]
    assert ",," not in styled("alps,", "", "Cinematic")[0].replace(" ", "")
    assert styled("", "", "Enhance")[0].startswith("crisp")
    assert styled(" ", "", "Cinematic")[0].startswith("widescreen")
