"""FaceID Tunes: keeps a person's identity from one photo in every picture that ComfyUI draws.

ComfyUI looks for ``comfy_entrypoint`` and ``WEB_DIRECTORY`` here. Outside ComfyUI the folder is the package
``faceid_tunes``, whose core needs no ComfyUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

__version__ = "0.1.0"

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    """ComfyUI calls this once; nothing of ComfyUI is imported before."""
    try:
        from comfy_api.latest import io  # noqa: F401
    except ImportError as error:
        raise ImportError("FaceID Tunes needs ComfyUI 0.20.0 or newer: update ComfyUI.") from error
    from .nodes.extension import FaceIDExtension

    return FaceIDExtension()
