"""Weights and chunks of a prompt's words; tests/inside/test_text_encoding.py holds them against ComfyUI."""

from __future__ import annotations

import copy

import pytest
import torch
from faceid_tunes.faceid_core.engines.embedded.text_encoding import (
    as_long,
    encode_text,
    textual_inversions,
    weighted_chunks,
    weighted_words,
)
from faceid_tunes.faceid_core.prompts import PromptError
from support.embedded import small_pipeline

pytestmark = pytest.mark.xdist_group("diffusers")  # one worker loads it

START, END = 49406, 49407


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


def words(text: str) -> list[tuple[str, float]]:
    return [(word, round(weight, 6)) for word, weight in weighted_words(text)]


def test_parentheses_weigh_1_1_and_a_number_weighs_itself():
    assert words("a (red) cat") == [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]
    assert words("a (red:1.5) cat") == [("a ", 1.0), ("red", 1.5), (" cat", 1.0)]


def test_nested_parentheses_multiply_and_a_number_takes_the_place_of_what_is_around_it():
    assert words("((red))") == [("red", 1.21)]
    assert words("(a (red:0.5) cat:2)") == [("a ", 2.0), ("red", 0.5), (" cat", 2.0)]


def test_escaped_and_unmatched_parentheses_are_text():
    assert words(r"a \(red\) cat") == [("a (red) cat", 1.0)]
    assert words("a red) cat") == [("a red) cat", 1.0)]
    assert words("a (red cat") == [("a ", 1.0), ("(red cat", 1.0)]


@pytest.mark.parametrize("text", ["(red:)", "(red:much)", "(red:nan)", "(red:inf)", "(:1.5)"])
def test_a_number_that_is_not_a_weight_is_text(text):
    assert words(text) == [(text[1:-1], 1.1)]


def test_parentheses_without_end_are_an_error_with_the_fields_name():
    with pytest.raises(PromptError, match=r"prompt\[negative_prompt\]: has parentheses nested more than 100 deep"):
        weighted_words("(" * 101 + "x" + ")" * 101, "negative_prompt")
    assert words("(" * 99 + "(x:2)" + ")" * 99) == [("x", 2.0)], "100 deep will do"


@pytest.mark.slow
def test_a_text_that_cannot_be_encoded_is_named_by_its_field(pipeline):
    with pytest.raises(PromptError, match=r"prompt\[negative_prompt\]: has parentheses"):
        encode_text(pipeline.text_encoder, pipeline.tokenizer, "(" * 101 + ")" * 101, "negative_prompt")


@pytest.mark.slow
def test_chunks_have_77_tokens(pipeline):
    (empty,) = weighted_chunks(pipeline.tokenizer, "")
    assert [token for token, _ in empty] == [START] + [END] * 76
    assert len(weighted_chunks(pipeline.tokenizer, "cat " * 75)) == 1
    full = weighted_chunks(pipeline.tokenizer, "cat " * 76)
    assert [len(chunk) for chunk in full] == [77, 77]
    assert [token for token, _ in full[0]][-2:] == [2368, END]
    assert [token for token, _ in full[1]][:3] == [START, 2368, END]


@pytest.mark.slow
def test_a_few_words_of_one_weight_are_not_divided_between_chunks(pipeline):
    first, second = weighted_chunks(pipeline.tokenizer, "cat " * 72 + "(six words that stay together now:1.2)")
    assert {weight for _, weight in first} == {1.0}
    assert [weight for _, weight in second[1:7]] == [1.2] * 6


@pytest.mark.slow
def test_seven_tokens_of_one_weight_stay_together_and_eight_are_divided(pipeline):
    texts = ("cat " * 70 + f"({'dog ' * count}:1.2)" for count in (7, 8))
    firsts = [weighted_chunks(pipeline.tokenizer, text)[0] for text in texts]
    assert [sum(weight == 1.2 for _, weight in chunk) for chunk in firsts] == [0, 5]


@pytest.mark.slow
def test_the_name_of_a_textual_inversion_is_not_divided_between_chunks(pipeline):
    first, second = weighted_chunks(pipeline.tokenizer, "cat " * 73 + "embedding:bad")
    assert [token for token, _ in first[1:]] == [2368] * 73 + [END] * 3
    assert second[1][0] != END


@pytest.mark.slow
def test_no_weight_changes_nothing_and_weights_move_tokens_away_from_no_words(pipeline):
    with torch.no_grad():
        plain, none, halved, away = (
            encode_text(pipeline.text_encoder, pipeline.tokenizer, text)
            for text in ("red cat", "", "(red:0.5) cat", "(red cat:0)")
        )
    torch.testing.assert_close(halved[:, 1], none[:, 1] + 0.5 * (plain[:, 1] - none[:, 1]))
    assert torch.equal(halved[:, 2:], plain[:, 2:])
    torch.testing.assert_close(away[:, 1:3], none[:, 1:3])


@pytest.mark.slow
def test_a_text_encoder_in_half_precision_is_read_in_float32(pipeline):
    half = torch.nn.Module.to(copy.deepcopy(pipeline.text_encoder), torch.bfloat16)
    with torch.no_grad():
        texts = [encode_text(half, pipeline.tokenizer, text) for text in ("red cat", "(red:0.5) cat")]
    assert {text.dtype for text in texts} == {torch.float32}


@pytest.mark.slow
def test_texts_of_different_length_are_repeated_to_one_length(pipeline):
    short, long = torch.randn(1, 2 * 77, 8), torch.randn(1, 3 * 77, 8)
    one, other = as_long(short, long)
    assert one.shape == other.shape == (1, 6 * 77, 8)
    query = torch.randn(1, 5, 8)
    attention = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(attention(query, one, one), attention(query, short, short))


def test_textual_inversions_are_found():
    assert textual_inversions("embedding:bad, a cat embedding:easynegative notembedding:x") == [
        "embedding:bad,",
        "embedding:easynegative",
    ]
