from typing import Any

from torch import Tensor

def load_lora_for_models(
    model: Any, clip: Any, lora: dict[str, Tensor], strength_model: float, strength_clip: float
) -> tuple[Any, Any]: ...
