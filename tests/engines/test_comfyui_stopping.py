"""The end of the ComfyUI of a test run: no file that sorts after this one uses it."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.engines.comfyui import ComfyUIEngine, ComfyUIError
from faceid_tunes.faceid_core.tunes.store import TuneStore
from support.comfyui import ComfyUIServer
from support.drawing_in_comfyui import LONG, small

pytestmark = pytest.mark.comfyui


def test_a_comfyui_that_dies_while_drawing_is_given_up(comfyui: ComfyUIServer, engine: ComfyUIEngine, store: TuneStore):
    """The last test: nothing runs afterwards."""

    def on_progress(stage: str, *_: int) -> None:
        if stage == "drawing":
            comfyui.stop()

    with pytest.raises(ComfyUIError, match="stopped answering while drawing"):
        engine.draw(small("woman", steps=LONG), store, on_progress)
