"""For the tests of the ComfyUI engine: a ComfyUI with an upscaler, people to draw, and two pictures of one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import skimage.data
from faceid_tunes.faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine
from faceid_tunes.faceid_core.engines.engine import Drawn
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from support import photos
from support.comfyui import ComfyUIServer
from support.drawing_in_comfyui import Told, small
from support.retouch_models import write_upscaler
from support.running_comfyui import SDXL_FACEID


@pytest.fixture(scope="module")
def comfyui(comfyui: ComfyUIServer) -> Iterator[ComfyUIServer]:
    """With an upscaler, without the adapter of another base, and with nothing loaded or remembered."""
    models = comfyui.base / "models"
    write_upscaler(models / "upscale_models" / "repeat_x4.safetensors")
    of_another_base = models / SDXL_FACEID
    aside = of_another_base.rename(comfyui.base / of_another_base.name)
    comfyui.free()
    yield comfyui
    aside.rename(of_another_base)


@pytest.fixture(scope="session")
def actor() -> bytes:
    return (photos.INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, actor: bytes) -> Iterator[TuneStore]:
    """Anna and Ben, as a user keeps them on the own machine."""
    astronaut = photos.encoded(skimage.data.astronaut(), "JPEG", quality=95)
    with open_store(tmp_path_factory.mktemp("tunes")) as opened:
        create_tune(opened, [astronaut], "Anna", "woman", embedded_pack())
        create_tune(opened, [actor], "Ben", "man", embedded_pack())
        yield opened


@pytest.fixture(scope="module")
def engine(comfyui: ComfyUIServer) -> ComfyUIEngine:
    return ComfyUIEngine(comfyui.url, ComfyModels(adapter="ip-adapter-faceid_sd15"), preview=True)


@pytest.fixture(scope="module")
def two_of_anna(engine: ComfyUIEngine, store: TuneStore) -> tuple[Drawn, Told]:
    """Two pictures of Anna, of seeds 7 and 8, and what was told of the progress."""
    told: Told = []
    drawn = engine.draw(small("<faceid:Anna:1> woman", num_images=2), store, lambda *now: told.append(now))
    return drawn, told
