"""How an error of ours looks in ComfyUI: a sentence, without a path of this machine or a traceback."""

from __future__ import annotations

import logging
import sys

from ...faceid_core.errors import FaceIDError


def readable(error: FaceIDError) -> FaceIDError:
    """The error under the name of its class and ours.

    ComfyUI shows module and name, and the module of an extension is a path of this machine.
    """
    error.__class__ = _plainly_named(type(error))
    return error


def _plainly_named(kind: type[FaceIDError]) -> type[FaceIDError]:
    return type(kind.__name__, (kind,), {"__module__": "FaceID Tunes", "__doc__": kind.__doc__})


class WithoutOurTracebacks(logging.Filter):
    """Keeps the traceback of an error that is meant for the user out of the log, unless it is a log for debugging.

    ComfyUI logs the message and then, as a record of its own, the traceback of whatever a node raises.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = isinstance(sys.exc_info()[1], FaceIDError) and str(record.msg).startswith("Traceback")
        return not is_ours or logging.getLogger().isEnabledFor(logging.DEBUG)


def leave_our_tracebacks_out() -> None:
    """From now on, in ComfyUI's log."""
    logging.getLogger().addFilter(WithoutOurTracebacks())
