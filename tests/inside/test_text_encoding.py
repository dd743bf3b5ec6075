"""One text, two encoders with the same random weights: ComfyUI's own and the embedded engine's."""

from __future__ import annotations

import random

import pytest
import torch
from comfy import sd1_clip
from faceid_tunes.faceid_core.engines.embedded.pipeline import SD15
from faceid_tunes.faceid_core.engines.embedded.text_encoding import encode_text, weighted_chunks, weighted_words
from support.oracle import relative_l2
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TEXTS = {
    "words": "a photo of a woman trekking in the alps",
    "empty": "",
    "white space": "  a\tcat \n on   a mat ",
    "weight": "a (red:1.3) cat, (tail:0.4)",
    "negative weight": "a (red:-0.5) cat",
    "nesting": "((very (good)) photo:1.4) of a (((cat)))",
    "weight inside weight": "(a (red:1.5) cat:0.8)",
    "escapes": r"a cat \(sitting\) (on a mat \(red\):1.2)",
    "unmatched": "a (cat on a mat) :) (and ((more",
    "no number": "(a cat: on a mat) (:1.2) (dog:)",
    "long": "a cat and a dog, " * 40,
    "long and weighted": "a cat (and a dog:1.2), " * 30,
    "a long word": "antidisestablishmentarianism" * 20,
    "kept together": "cat " * 72 + "(a few words only:1.3) and more",
    "exactly 75 tokens": "cat " * 75,
    "76 tokens": "cat " * 76,
    "unicode": "日本の山 Grüße naïve ﬁ ½ ẞ İstanbul",
    "emoji": "👩‍🚀 in the 🏔️, (🎉🎉:1.2)",
    "special tokens": "a <|endoftext|> b <|startoftext|> c",
    "apostrophes": "it's the cat's, isn't it? we'll've",
    "numbers": "1920x1080, f/1.8, 35mm (50:1.1)",
    "inversion": "a cat embedding:bad on a mat",
}


@pytest.fixture(scope="module")
def encoders():
    """ComfyUI's SD 1.5 text encoder, and transformers' with its weights. Two of its 12 layers are enough."""
    options = {"clip_l_model_config": {"num_hidden_layers": 2}}
    comfyui = sd1_clip.SD1ClipModel(device="cpu", dtype=torch.float32, model_options=options)
    config = CLIPTextConfig.from_pretrained(SD15 / "text_encoder")
    config.num_hidden_layers = 2
    ours = CLIPTextModel(config).eval()
    draw = torch.Generator().manual_seed(0)
    state = {
        key: torch.ones(tensor.shape) if "norm" in key and key.endswith("weight")
        else torch.randn(tensor.shape, generator=draw) * (0.5 if "embedding" in key else 0.04)
        for key, tensor in ours.state_dict().items()
    }  # fmt: skip
    ours.load_state_dict(state)
    names = {key if key.startswith("text_model.") else f"text_model.{key}": tensor for key, tensor in state.items()}
    missing, unexpected = comfyui.load_sd(names)
    assert not unexpected and set(missing) <= {"text_projection.weight"}, (missing, unexpected)
    return comfyui, ours


@pytest.fixture(scope="module")
def tokenizers():
    return sd1_clip.SD1Tokenizer(), CLIPTokenizer.from_pretrained(SD15 / "tokenizer")


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_becomes_the_same_embeddings(encoders, tokenizers, name):
    (comfyui, ours), (their_tokens, our_tokens) = encoders, tokenizers
    with torch.no_grad():
        reference, _ = comfyui.encode_token_weights(their_tokens.tokenize_with_weights(TEXTS[name]))
        encoded = encode_text(ours, our_tokens, TEXTS[name])
    assert encoded.shape == reference.shape
    assert relative_l2(encoded, reference) < 1e-5
    assert (encoded - reference).abs().max() < 1e-5


def test_the_test_would_notice_a_weight(encoders, tokenizers):
    with torch.no_grad():
        plain, weighted = (encode_text(encoders[1], tokenizers[1], text) for text in ("a red cat", "a (red:1.01) cat"))
    assert relative_l2(weighted, plain) > 1e-4


def test_the_tokenizers_are_one(tokenizers):
    theirs, ours = tokenizers[0].clip_l.tokenizer, tokenizers[1]
    assert theirs.get_vocab() == ours.get_vocab()
    draw = random.Random(0)
    for _ in range(500):
        text = "".join(chr(draw.choice((draw.randrange(32, 127), draw.randrange(160, 0x2FFF)))) for _ in range(40))
        assert theirs(text)["input_ids"] == ours(text, verbose=False)["input_ids"], text


def test_any_muddle_of_parentheses_is_cut_alike():
    draw = random.Random(0)
    for _ in range(5000):
        text = "".join(draw.choices(["(", ")", "\\", ":", "a", " ", "1.2", "0", "-", "\\(", "\\)", "e1"], k=12))
        theirs = sd1_clip.token_weights(sd1_clip.escape_important(text), 1.0)
        expected = [(sd1_clip.unescape_important(words), weight) for words, weight in theirs if words]
        assert [(words, weight) for words, weight in weighted_words(text) if words] == expected, text


def test_any_text_is_cut_into_the_same_chunks(tokenizers):
    theirs, ours = tokenizers
    words = ["cat", "a", "(dog:1.3)", "(very nice (photo))", "antidisestablishmentarianism", "日本", "embedding:", "\n",
             "(a b c d e f g h i j:0.5)", "(six words that are kept together:1.2)"]  # fmt: skip
    draw = random.Random(0)
    for _ in range(200):
        text = " ".join(draw.choices(words, k=draw.randrange(100)))
        assert weighted_chunks(ours, text) == theirs.tokenize_with_weights(text)["l"], text
