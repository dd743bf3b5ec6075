"""What goes wrong in retouching."""

from __future__ import annotations

from ..errors import FaceIDError


class RetouchError(FaceIDError):
    """A swapper or restorer file cannot be used, or is used with the wrong faces, pictures or numbers."""
