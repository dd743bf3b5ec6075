from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fake_astria import FakeAstria


@pytest.fixture
def api() -> Iterator[FakeAstria]:
    with FakeAstria() as running:
        yield running
