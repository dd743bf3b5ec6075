"""Draws a prompt in a running ComfyUI, through its queue, with the nodes of this package that are installed there.

engine.py  ComfyUIEngine: photos and prompt over there, pictures back
client.py  the requests it makes
models.py  which model files of that ComfyUI
photos.py  photos as ComfyUI's IMAGE batches can take them
graph.py   the two graphs: keep a person, draw a prompt
job.py     a graph in the queue, from its posting to its record
"""

from .client import ComfyUIError
from .engine import ComfyUIEngine, find_comfyui
from .models import ComfyModels

__all__ = ["ComfyModels", "ComfyUIEngine", "ComfyUIError", "find_comfyui"]
