"""Callbacks and workers in threads of their own, as a host starts and ends them."""

from __future__ import annotations

from pathlib import Path

from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.queue import Jobs
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.service.background import Background
from faceid_tunes.service.state import Service


def test_a_host_ends_it_at_any_moment_without_an_error(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        service = Service(store, Jobs(store), embedded_pack(), base_models(SHIPPED))
        for _ in range(20):
            background = Background(service, [])
            background.start()
            background.stop()
            assert not background._thread.is_alive()
