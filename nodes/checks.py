"""What the inputs of every node are held to.

Nothing that is wrong with a store, a table or a folder may keep a node from ComfyUI: the combo says it, and so does the
node when it runs. And what comes from another node is held to what ComfyUI holds a widget to.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from comfy_api.latest import io

from ..faceid_core.errors import FaceIDError, printable
from .host.failures import readable

log = logging.getLogger(__name__)

Execute = TypeVar("Execute", bound=Callable[..., Any])

_WIDGETS = (io.Combo.Input, io.Int.Input, io.Float.Input, io.String.Input)

_told: dict[str, str] = {}  # what -> the last sentence about it: the editor asks again with each page


def listed(what: str, read: Callable[[], Iterable[str]]) -> list[str]:
    """Names for a combo; where they cannot be read, one choice that says why.

    Args:
        what: with a plural verb after it: "The tunes".
        read: gives the names; it may raise anything.
    """
    try:
        names = list(read())
    except Exception as error:  # ComfyUI would leave this node out, and all that come after it
        sentence = f"{what} cannot be listed: {printable(' '.join(str(error).split()))}"
        if _told.get(what) != sentence:
            log.error("%s", sentence, exc_info=None if isinstance(error, FaceIDError) else error)
        _told[what] = sentence
        return [sentence]
    _told.pop(what, None)
    return names


def usable(check: Callable[..., object], *values: object) -> bool | str:
    """What ``validate_inputs`` answers: True, or the sentence of the error that ``check(*values)`` raises.

    A value that comes from another node is None before it is there; ``execute`` checks what arrives.
    """
    if None in values:
        return True
    try:
        check(*values)
    except FaceIDError as error:
        return str(error)
    return True


def within_schema(*names: str) -> Callable[[Execute], Execute]:
    """Decorates ``execute``: combos and numbers are those of the schema, also where another node gives them.

    An error of ours that it raises is ``readable`` in ComfyUI.

    Args:
        names: combos whose text ``execute`` looks up itself, with a sentence that says more; all that are ``listed``.
    """

    def decorate(execute: Execute) -> Execute:
        signature = inspect.signature(execute)
        known: list[Any] = []  # the inputs, asked for once: a schema lists folders and tunes, which no check looks at

        def check(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> None:
            values = signature.bind_partial(cls, *args, **inputs).arguments
            more = next((one.name for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD), "")
            if not known:
                known.extend(cls.define_schema().inputs)
            _check(known, values | values.get(more, {}), names)

        if inspect.iscoroutinefunction(execute):

            @wraps(execute)
            async def later(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> io.NodeOutput:
                try:
                    check(cls, *args, **inputs)
                    return await execute(cls, *args, **inputs)
                except FaceIDError as error:
                    readable(error)
                    raise

            return later  # type: ignore[return-value]

        @wraps(execute)
        def at_once(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> io.NodeOutput:
            try:
                check(cls, *args, **inputs)
                return execute(cls, *args, **inputs)
            except FaceIDError as error:
                readable(error)
                raise

        return at_once  # type: ignore[return-value]

    return decorate


def _check(inputs: Iterable[Any], values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for wanted in inputs:
        value = values.get(wanted.id)
        if value is None:
            if wanted.id in values and not wanted.optional and isinstance(wanted, _WIDGETS):
                raise FaceIDError(f"{wanted.id}: nothing comes over the link. Link a value, or remove the link.")
            continue
        if isinstance(wanted, io.Combo.Input):
            _check_choice(wanted, value, looked_up=wanted.id in names)
        elif isinstance(wanted, io.Int.Input):
            if not isinstance(value, int) or not wanted.min <= value <= wanted.max:
                raise FaceIDError(f"{wanted.id}: {_given(value)} is not a whole number {wanted.min} to {wanted.max}.")
        elif isinstance(wanted, io.Float.Input) and not isinstance(value, list):
            # Beyond the ends of a slider a number still says something; workflows may link one.
            if not isinstance(value, int | float) or not _is_finite(value):
                raise FaceIDError(f"{wanted.id}: {_given(value)} is not a number {wanted.min:g} to {wanted.max:g}.")
        elif isinstance(wanted, io.String.Input) and not isinstance(value, str):
            raise FaceIDError(f"{wanted.id}: a {type(value).__name__} is linked here. Link a text.")


def _given(value: object) -> str:
    """What came over the link, in 100 characters."""
    try:
        return f"{value!r:.100}"
    except ValueError:  # Python writes out no whole number of over 4,300 digits
        return "a number of thousands of digits"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _check_choice(wanted: io.Combo.Input, value: Any, *, looked_up: bool) -> None:
    if isinstance(value, str) and (looked_up or value in wanted.options):
        return
    given = _given(value) if isinstance(value, str) else f"a {type(value).__name__}"
    raise FaceIDError(f"{wanted.id}: {given} is linked here. Link one of {', '.join(wanted.options)}.")
