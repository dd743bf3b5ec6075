"""Draws a prompt in this process, with diffusers, over a single-file SD 1.5 checkpoint.

engine.py         DiffusersEngine: what is drawn with what, and the notes on it
errors.py         what goes wrong with a model file
models.py         EmbeddedModels: the files that are drawn with
checkpoint.py     whether it is a whole SD 1.5 checkpoint
pipeline.py       the checkpoint as a diffusers pipeline
loaded_model.py   the model in memory, one order after the other
clip_vision.py    what CLIP ViT-H sees, for FaceID Plus and PlusV2
text_encoding.py  words to embeddings, by ComfyUI's rules
unet.py           identities on the UNet
loras.py          LoRA files, and the adapter's own LoRA
sampling.py       denoising
retouch_tools.py  what finished pictures are retouched with
"""

from .engine import DiffusersEngine
from .errors import CheckpointError
from .models import EmbeddedModels

__all__ = ["CheckpointError", "DiffusersEngine", "EmbeddedModels"]
