r"""A prompt's words to what the UNet of SD 1.5 reads, by ComfyUI's rules, so that one text means the same on both.

Weights: ``(words)`` count 1.1 times what is around them, ``(words:1.3)`` exactly 1.3 whatever is around them; ``\(``
and ``\)`` are parentheses of the text itself. A parenthesis without its other half is a character like any other.

Chunks: CLIP reads 77 tokens, 75 of them words, so a longer text is read in chunks whose results are laid end to end.
Words of one weight are kept together: fewer than 8 tokens that do not fit any more begin the next chunk.

A weighted token is ``empty + weight * (token - empty)``, where ``empty`` is what the text encoder makes of no words at
the same place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ...prompts.errors import error_in

PARENTHESES_WEIGHT = 1.1

_CHUNK = 75  # tokens of words, between the start and the end token
_KEPT_TOGETHER = 8  # tokens of one weight from which they may be divided between two chunks
_DEEPEST = 100

_ESCAPED = {"\\(": "\x02", "\\)": "\x03"}  # stand-ins for parentheses that are no weights
_TEXTUAL_INVERSION = re.compile(r"(?<!\S)embedding:\S+")
_BEFORE_INVERSION = re.compile(r"(?<=\s)(?=embedding:)")  # the name of a textual inversion starts a group

Weighted = tuple[int, float]  # token id, weight


def weighted_words(text: str, field: str = "text") -> list[tuple[str, float]]:
    """The text cut where its weight changes: (words, weight), in order.

    Raises:
        PromptError: parentheses are nested more than 100 deep; names ``field``.
    """
    for written, stand_in in _ESCAPED.items():
        text = text.replace(written, stand_in)
    cut = []
    for words, weight in _cut(text, 1.0, 0, field):
        for written, stand_in in _ESCAPED.items():
            words = words.replace(stand_in, written[1])
        cut.append((words, weight))
    return cut


def weighted_chunks(tokenizer: Any, text: str, field: str = "text") -> list[list[Weighted]]:
    """A text as chunks of 77 tokens with their weights, at least one chunk. ``tokenizer``: transformers' CLIPTokenizer.

    Raises:
        PromptError: as ``weighted_words``.
    """
    groups = [
        [(token, weight) for token in tokenizer(group, verbose=False)["input_ids"][1:-1]]
        for words, weight in weighted_words(text, field)
        for group in _BEFORE_INVERSION.split(words)
    ]
    return [_framed(chunk, tokenizer) for chunk in _chunks(groups)]


def encode_text(text_encoder: Any, tokenizer: Any, text: str, field: str = "text") -> Tensor:
    """What the UNet reads of a text: [1, 77 * chunks, 768] float32, on the text encoder's device.

    Args:
        text_encoder, tokenizer: transformers' CLIPTextModel and CLIPTokenizer.
        field: the prompt's field that the text is, for messages.

    Raises:
        PromptError: as ``weighted_words``.
    """
    chunks = weighted_chunks(tokenizer, text, field)
    weights = torch.tensor([[weight for _, weight in chunk] for chunk in chunks])
    is_weighted = bool((weights != 1.0).any())
    ids = [[token for token, _ in chunk] for chunk in (*chunks, *([_framed([], tokenizer)] if is_weighted else []))]
    states = text_encoder(torch.tensor(ids, device=text_encoder.device)).last_hidden_state.float()
    if is_weighted:
        states, empty = states[:-1], states[-1:]
        weights = weights.to(states).unsqueeze(-1)
        states = torch.where(weights == 1.0, states, empty + weights * (states - empty))
    return states.flatten(0, 1).unsqueeze(0)


def as_long(*encoded: Tensor) -> list[Tensor]:
    """The same embeddings, [1, N, 768] each, at one length: repeated whole, which changes nothing for an attention."""
    length = math.lcm(*(one.shape[1] for one in encoded))
    return [one.repeat(1, length // one.shape[1], 1) for one in encoded]


def textual_inversions(text: str) -> list[str]:
    """The ``embedding:name`` words, which ComfyUI replaces by files."""
    return _TEXTUAL_INVERSION.findall(text)


def _cut(text: str, weight: float, depth: int, field: str) -> Iterator[tuple[str, float]]:
    if depth > _DEEPEST:
        problem = f"has parentheses nested more than {_DEEPEST} deep"
        raise error_in(field, problem, "Write a weight as a number, as in (word:1.5).")
    for piece in _outer_pieces(text):
        if len(piece) > 1 and piece[0] == "(" and piece[-1] == ")":
            words, own_weight = _weight_at_end(piece[1:-1])
            yield from _cut(words, weight * PARENTHESES_WEIGHT if own_weight is None else own_weight, depth + 1, field)
        else:
            yield piece, weight


def _outer_pieces(text: str) -> Iterator[str]:
    """The outermost pairs of parentheses with what is in them, and what is between them; nothing is left out."""
    start = depth = 0
    for mark in re.finditer(r"[()]", text):
        opens = mark.group() == "("
        if opens and depth == 0 and mark.start() > start:
            yield text[start : mark.start()]
            start = mark.start()
        depth += 1 if opens else -1
        if not opens and depth == 0:
            yield text[start : mark.end()]
            start = mark.end()
    if start < len(text):
        yield text[start:]


def _weight_at_end(words: str) -> tuple[str, float | None]:
    """``words:1.3`` as words and number; None when there is no number after the last colon, or nothing before it."""
    before, _, number = words.rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        return words, None
    return (before, weight) if before and math.isfinite(weight) else (words, None)


def _chunks(groups: Sequence[Sequence[Weighted]]) -> list[list[Weighted]]:
    """At least one, each of at most 75 tokens."""
    chunks: list[list[Weighted]] = [[]]
    for group in groups:
        rest = list(group)
        while len(rest) > _CHUNK - len(chunks[-1]):
            if len(group) >= _KEPT_TOGETHER:
                room = _CHUNK - len(chunks[-1])
                chunks[-1] += rest[:room]
                rest = rest[room:]
            chunks.append([])
        chunks[-1] += rest
    return chunks


def _framed(chunk: Sequence[Weighted], tokenizer: Any) -> list[Weighted]:
    """77 tokens: the start, the words, and the end for the rest."""
    ends = _CHUNK + 1 - len(chunk)
    return [(tokenizer.bos_token_id, 1.0), *chunk, *[(tokenizer.eos_token_id, 1.0)] * ends]
