"""What every test can rely on, and how tests that run side by side are shared out."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import numpy as np
    from faceid_tunes.faceid_core.faces import FacePack
    from support.comfyui import ComfyUIServer, Installation
    from support.fake_astria import FakeAstria
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
        if turn(item) < len(TOGETHER) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(TOGETHER[turn(item)]))
    # Then the files with most slow tests, so that at the end no worker is left alone with one.
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (turn(item), -slow[item.path]))


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


@pytest.fixture(scope="session")
def installation() -> Installation:
    from support.running_comfyui import installed_comfyui

    return installed_comfyui()


@pytest.fixture(scope="session")
def api_of_comfyui() -> Iterator[FakeAstria]:
    """The remote API that the nodes in ``the_comfyui`` talk to."""
    from support.fake_astria import FakeAstria

    with FakeAstria() as running:
        yield running


@pytest.fixture(scope="session")
def the_comfyui(
    installation: Installation, api_of_comfyui: FakeAstria, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyUIServer]:
    """The one real ComfyUI of a test run, with random models under the names that the workflows ask for.

    It starts with a broken table of base models, as a user may have edited it.
    """
    from support import running_comfyui as models
    from support.comfyui import ComfyUIServer

    base = tmp_path_factory.mktemp("comfyui")
    models.link_models(base, models.CHECKPOINT, models.CLIP_VISION, models.FACEID, models.PLUSV2, models.SDXL_FACEID)
    user = base / "user" / "__faceid_tunes"
    user.mkdir(parents=True)
    (user / "base_models.toml").write_text("[[base_models]\n")
    with models.running(ComfyUIServer(installation, base, {"ASTRIA_BASE_URL": api_of_comfyui.url})) as server:
        yield server


@pytest.fixture(scope="module")
def comfyui(the_comfyui: ComfyUIServer) -> Iterator[ComfyUIServer]:
    """``the_comfyui``; what a module puts into its folders goes with the module."""
    from support.running_comfyui import folders_as_they_were

    with folders_as_they_were(the_comfyui.base):
        yield the_comfyui


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    server = getattr(item, "funcargs", {}).get("comfyui")
    if report.failed and hasattr(server, "log"):
        report.sections.append(("end of ComfyUI's log", server.log()[-6000:]))
    return report
