from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, find_pack
from support import photos


@pytest.fixture(scope="session")
def pack():
    return find_pack(EMBEDDED_PACK, [])


@pytest.fixture(scope="session")
def t1():
    return photos.t1()


@pytest.fixture(scope="session")
def astronaut():
    return photos.single_faces()["astronaut"]


@pytest.fixture(scope="session")
def cat():
    return photos.no_faces()["chelsea"]
