"""The error of a prompt that cannot be used: what is wrong, where, and what to do.

One class, two forms. An error in the text points at its place:

    prompt[text], column 13: the tag has no closing '>'.
        a photo of <faceid:12:1 woman
                   ^
    Close it: <faceid:12:1>.

An error in another field names the field: ``prompt[w]: 500 is not a multiple of 8. Use 496 or 504.``
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from ..errors import FaceIDError

_BEFORE, _AFTER = 30, 40  # characters of the line shown either side of the place
_LONGEST_QUOTE = 40


class PromptError(FaceIDError):
    """A prompt cannot be used.

    ``field`` is the API's name of the parameter (``text``, ``w``). ``position`` is the 0-based offset into the text,
    ``line`` and ``column`` are its 1-based coordinates in code points; all three are None for an error without a place.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        position: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.position = position
        self.line = line
        self.column = column


def error_at(text: str, position: int, problem: str, remedy: str) -> PromptError:
    """An error at ``text[position]`` of ``prompt[text]``; ``problem`` has no full stop, ``remedy`` is a sentence."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    where = f"line {line}, column {column}" if "\n" in text else f"column {column}"
    message = f"prompt[text], {where}: {problem}.\n{_pointer(text, position)}\n{remedy}"
    return PromptError(message, field="text", position=position, line=line, column=column)


def error_in(field: str, problem: str, remedy: str) -> PromptError:
    """An error of the parameter ``prompt[field]``."""
    return PromptError(f"prompt[{field}]: {problem}. {remedy}", field=field)


def quoted(value: str) -> str:
    """``value`` in quotes, shortened for a message."""
    return repr(value if len(value) <= _LONGEST_QUOTE else value[: _LONGEST_QUOTE - 1] + "…")


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?``, or "" when no known name is similar to ``name``."""
    by_lower = {option.lower(): option for option in known}
    close = difflib.get_close_matches(name[:_LONGEST_QUOTE].lower(), by_lower, n=1)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def _pointer(text: str, position: int) -> str:
    """The line around ``position``, and a caret below it."""
    line_start = text.rfind("\n", 0, position) + 1
    line_end = text.find("\n", position)
    start = max(line_start, position - _BEFORE)
    end = min(line_end if line_end >= 0 else len(text), position + _AFTER)
    before, after = _visible(text[start:position]), _visible(text[position:end])
    if start > line_start:
        before = "…" + before
    # A wide character fills two cells, and so does the ideographic space.
    indent = "".join("\u3000" if unicodedata.east_asian_width(c) in "WF" else " " for c in before)
    return f"    {before}{after}\n    {indent}^"


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
