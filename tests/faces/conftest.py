from __future__ import annotations

import pytest
from support import photos


@pytest.fixture(scope="session")
def astronaut():
    return photos.single_faces()["astronaut"]
