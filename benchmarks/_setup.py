"""Makes ``tests/support`` importable for the benchmarks and, in ComfyUI's interpreter, ComfyUI and the plugin too."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))


def comfyui() -> None:
    """Import ComfyUI and the plugin the way the tests inside ComfyUI do."""
    sys.path.insert(0, str(TESTS / "inside"))
    import conftest  # noqa: F401
