"""The list of nodes ComfyUI registers."""

from __future__ import annotations

import logging

from comfy_api.latest import ComfyExtension, io

from .adapter import FaceIDApply, FaceIDLoadAdapter
from .faces import FaceIDExtractFace
from .mix import FaceIDMixPeople
from .prompt import FaceIDApplyPrompt, FaceIDPrompt
from .regions import FaceIDRegions
from .remote import FaceIDBaseModel, FaceIDRemotePrompt
from .retouch import FaceIDCorrectFace, FaceIDRetouch
from .similarity import FaceIDSimilarity
from .swap import FaceIDSwapFace
from .switch import FaceIDSwitch
from .tunes import FaceIDCreateTune, FaceIDLoadTune

log = logging.getLogger(__name__)


class FaceIDExtension(ComfyExtension):
    async def on_load(self) -> None:
        from .host import failures, folders, posted, service, storage

        # Each on its own: what one cannot do takes neither the other nor the nodes out of ComfyUI.
        steps = (
            folders.register_model_folders,
            storage.offer_example_photo,
            service.mount_service,
            failures.leave_our_tracebacks_out,
            posted.remember_posted_prompts,
        )
        for step in steps:
            try:
                step()
            except Exception:
                log.exception("FaceID Tunes goes on without %s", step.__name__)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            FaceIDExtractFace,
            FaceIDLoadAdapter,
            FaceIDApply,
            FaceIDCreateTune,
            FaceIDLoadTune,
            FaceIDPrompt,
            FaceIDApplyPrompt,
            FaceIDBaseModel,
            FaceIDRemotePrompt,
            FaceIDSwitch,
            FaceIDRetouch,
            FaceIDSwapFace,
            FaceIDCorrectFace,
            FaceIDSimilarity,
            FaceIDRegions,
            FaceIDMixPeople,
        ]
