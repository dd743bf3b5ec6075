"""A full-size Stable Diffusion 1.5 checkpoint and a full-size CLIP ViT-H image encoder with random weights.

They cost 2.1 GB and 1.3 GB of disk in the test cache and some 15 s each, once.
"""

from __future__ import annotations

from pathlib import Path

from faceid_tunes.faceid_core.weights.placeholder import write_random_fp16
from faceid_tunes.faceid_core.weights.published_shapes import clip_vision_h_shapes, sd15_shapes

from .cached_files import cached

VERSION = 1  # part of the cache's file names: raise it when keys, shapes or values change


def sd15_checkpoint() -> Path:
    """The cached checkpoint, a single-file fp16 safetensors as ``v1-5-pruned-emaonly.safetensors`` is."""
    return cached(f"random_sd15_v{VERSION}.safetensors", lambda path: write_random_fp16(path, sd15_shapes()))


def clip_vision_h() -> Path:
    """The cached image encoder, laid out as h94/IP-Adapter's ``models/image_encoder/model.safetensors``."""
    return cached(f"random_clip_vision_h_v{VERSION}.safetensors", write_clip_vision_h)


def write_clip_vision_h(path: Path) -> Path:
    return write_random_fp16(path, clip_vision_h_shapes())
