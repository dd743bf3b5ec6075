"""Every engine is an ``Engine``: it can be called as the protocol says, whichever it is."""

from __future__ import annotations

import inspect

import pytest
from faceid_tunes.faceid_core.engines.comfyui import ComfyUIEngine
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine
from faceid_tunes.faceid_core.engines.engine import Engine
from faceid_tunes.faceid_core.engines.remote import AstriaEngine


@pytest.mark.parametrize("engine", [AstriaEngine, ComfyUIEngine, DiffusersEngine])
def test_an_engine_draws_by_the_protocols_signature(engine):
    assert inspect.signature(engine.draw) == inspect.signature(Engine.draw)
