"""The photo that comes with this package: of a woman of public life, in the public domain."""

from __future__ import annotations

from pathlib import Path

EXAMPLE_PHOTO = Path(__file__).parents[1] / "weights" / "embedded" / "demo_photo" / "eileen_collins.jpg"
