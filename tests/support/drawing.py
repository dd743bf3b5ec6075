"""An engine that draws test pictures: one colour for each person and seed."""

from __future__ import annotations

import threading
import zlib
from threading import Event

import numpy as np
from faceid_tunes.faceid_core.engines.engine import Cancelled, Drawn, OnProgress, Picture
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.refs import named_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore


class TestPictures:
    """``Engine``. ``gate``: nothing is finished while it is closed."""

    __test__ = False
    name = "test pictures"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.drawn: list[Prompt] = []

    def draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress | None = None, cancel: Event | None = None
    ) -> Drawn:
        people = [named_tune(store, tag, prompt.text).id for tag in prompt.parsed.faces]
        while not self.gate.wait(0.02):
            if cancel is not None and cancel.is_set():
                raise Cancelled("Stopped.")
        self.drawn.append(prompt)
        seed = prompt.seed or 0
        return Drawn(
            tuple(Picture(_picture(people, seed + number), seed + number) for number in range(prompt.num_images))
        )


def _picture(people: list[int], seed: int) -> np.ndarray:
    colour = zlib.crc32(repr((people, seed)).encode()).to_bytes(4, "big")[:3]
    return np.broadcast_to(np.frombuffer(colour, np.uint8), (16, 16, 3)).copy()
