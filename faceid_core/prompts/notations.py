"""Notations of other programs that no engine here knows, and what becomes of each, in a sentence.

Source: docs/facts/comfyui.md 4.8; docs/facts/astria.md 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NOTATIONS = (
    (
        "break",
        re.compile(r"(?<![A-Z] )\bBREAK\b(?! [A-Z]{2})"),
        "BREAK is a plain word to ComfyUI and to diffusers, and the remote API no longer documents it: leave it out, "
        "and give each of several people a region with masks.",
    ),
    (
        "and",
        re.compile(r"(?<![A-Z]{2} )\bAND\b(?! [A-Z]{2})"),
        "AND is a plain word to ComfyUI and to diffusers, and the remote API does not document it: for several people, "
        "use masks; for words, write 'and'.",
    ),
    (
        "choices",
        re.compile(r"\{[^{}\r\n]{0,200}?\|[^{}\r\n]{0,200}\}"),
        "{a|b} is drawn as it stands by ComfyUI and by diffusers, and the remote API does not document it (the page "
        "of ComfyUI chooses one in the text boxes of its own nodes only): write the one you want.",
    ),
    (
        "wildcard",
        re.compile(r"__[A-Za-z0-9][\w/*.\-]{0,80}?__"),
        "__name__ is drawn as it stands by ComfyUI and by diffusers, and the remote API does not document it: put the "
        "words in, or connect the text of a wildcard node.",
    ),
    (
        "prompt-editing",
        re.compile(r"\[(?![0-9.]+:)[^\[\]\r\n]{0,200}?(?:\||:[^\[\]:\r\n]{0,200}:\s*[0-9.]+\s*\]|:\s*[0-9.]+\s*\])"),
        "[a:b:0.5] and [a|b] are drawn as they stand by ComfyUI and by diffusers, and the remote API does not document "
        "them: write the words you want.",
    ),
)


def notations(text: str) -> Iterator[tuple[str, str, int, int]]:
    """The first of each kind in ``text``: code, advice, start, end."""
    for code, pattern, advice in _NOTATIONS:
        if found := pattern.search(text):
            yield code, advice, *found.span()
