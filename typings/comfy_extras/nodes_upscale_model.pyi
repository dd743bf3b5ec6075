from typing import Any

from comfy_api.latest import io
from torch import Tensor

class ImageUpscaleWithModel(io.ComfyNode):
    @classmethod
    def execute(cls, upscale_model: Any, image: Tensor) -> io.NodeOutput: ...
