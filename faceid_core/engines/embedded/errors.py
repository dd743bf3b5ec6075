"""What goes wrong with the files the embedded engine draws with, and how it reads them."""

from __future__ import annotations

from ...errors import FaceIDError
from ...model_files.reasons import Reader, Reason


class CheckpointError(FaceIDError):
    """A model file of the embedded engine (checkpoint, LoRA, image encoder) is missing, damaged or something else."""


class ReplacedError(CheckpointError):
    """A model file is not the one any more that was opened."""


READER = Reader(
    CheckpointError,
    replaced=ReplacedError,
    words={
        Reason.FOLDER: "{path} is a folder. The embedded engine reads a model as a single file (.safetensors), not as "
        "a folder of diffusers: download the file from the model's page.",
        Reason.UNKNOWN: "{name}: neither a safetensors nor a PyTorch file. Download it again.",
    },
)
