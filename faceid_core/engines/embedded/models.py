"""The files that the embedded engine draws with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...faces import FacePack


@dataclass(frozen=True)
class EmbeddedModels:
    """The files that the embedded engine draws with.

    Attributes:
        checkpoint: SD 1.5 in a single file, .safetensors or .ckpt.
        adapter: an IP-Adapter FaceID for SD 1.5.
        pack: finds the faces of tunes.
        image_encoder: CLIP ViT-H/14 in transformers' key layout; only FaceID Plus and PlusV2 look through it.
        loras: folders of LoRA files.
        swapper: for face_swap; without it, and without the two below, the flag leaves the picture as it is.
        restorer: for face_correct.
        upscaler: for super_resolution.
        parser: tells what is in front of a face, for face_swap and face_correct.
    """

    checkpoint: Path
    adapter: Path
    pack: FacePack
    image_encoder: Path | None = None
    loras: tuple[Path, ...] = ()
    swapper: Path | None = None
    restorer: Path | None = None
    upscaler: Path | None = None
    parser: Path | None = None
