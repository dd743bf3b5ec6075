"""What every test can rely on, and how tests that run side by side are shared out."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import numpy as np
    from faceid_tunes.faceid_core.faces import FacePack
    from xdist.scheduler import LoadGroupScheduling

# Tests of one mark run one after another: they share one ComfyUI, or memory for one model of full size. They take
# longest, so they start first.
TOGETHER = ("comfyui", "full_size")


def pytest_configure() -> None:
    # Started in a shell's background, as `pytest &` in a script, this process and those it starts would ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: torch's threads would wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        return next((turn for turn, mark in enumerate(TOGETHER) if item.get_closest_marker(mark)), len(TOGETHER))

    for item in items:
        if turn(item) < len(TOGETHER):
            item.add_marker(pytest.mark.xdist_group(TOGETHER[turn(item)]))
    items.sort(key=turn)


@pytest.fixture(scope="session")
def pack() -> FacePack:
    """The face pack that comes with the package."""
    from faceid_tunes.faceid_core.faces.packs import embedded_pack

    return embedded_pack()


@pytest.fixture(scope="session")
def t1() -> np.ndarray:
    """A photo of six people."""
    from support import photos

    return photos.t1()


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """A photo without a face."""
    from support import photos

    return photos.no_faces()["chelsea"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadGroupScheduling:
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        """A test of no group belongs to its file, whose fixtures are made once."""

        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).partition("::")[0]

    return ByFile(config, log)
