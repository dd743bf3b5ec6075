"""One real ComfyUI for all tests of this folder, with random models under the names the workflows ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.comfyui import ComfyUIServer, Installation
from support.running_comfyui import (
    CHECKPOINT,
    CLIP_VISION,
    FACEID,
    PLUSV2,
    SDXL_FACEID,
    installed_comfyui,
    link_models,
    running,
)


@pytest.fixture(scope="session")
def installation() -> Installation:
    return installed_comfyui()


@pytest.fixture(scope="session")
def comfyui(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIServer]:
    base = tmp_path_factory.mktemp("comfyui")
    link_models(base, CHECKPOINT, CLIP_VISION, FACEID, PLUSV2, SDXL_FACEID)
    with running(ComfyUIServer(installation, base)) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    server = getattr(item, "funcargs", {}).get("comfyui")
    if report.failed and server is not None:
        report.sections.append(("end of ComfyUI's log", server.log()[-6000:]))
    return report
