"""A PyTorch file into the network that spandrel builds for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..model_files.model_file import ModelFile
from .errors import RetouchError

_REASON = 300  # characters
_INDEX = re.compile(r"(?<![^.])\d+(?![^.])")


def build_network(file: ModelFile, build: Callable[[dict[str, Any]], Any], published: str) -> Any:
    """What ``build`` makes of the file's tensors.

    Args:
        file: of a kind that ``build`` knows.
        build: spandrel's, which takes the sizes of the network from keys and shapes.
        published: whose tensors these should be, "GFPGAN as published".

    Raises:
        RetouchError: the tensors do not make such a network, or one of absurd size.
    """
    # spandrel makes as many blocks as the highest number in a key says, with one tensor in the file or a billion.
    highest = 4 * len(file.tensors) + 100
    strange = next((key for key in file.tensors if any(int(n[:9]) > highest for n in _INDEX.findall(key))), None)
    empty = next((key for key, shape in file.shapes.items() if 0 in shape), None)
    if strange or empty:
        raise RetouchError(f"{file.name}: its tensors are not those of {published} ({(strange or empty)!r}).")
    tensors = dict(file.read())
    try:
        return build(tensors)
    except (RuntimeError, LookupError, ValueError, AssertionError, TypeError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:_REASON]  # PyTorch names every tensor
        raise RetouchError(f"{file.name}: its tensors are not those of {published} ({reason}).") from error
