from typing import Any

from torch import Tensor

def load_lora(lora: dict[str, Tensor], to_load: dict[str, str]) -> dict[str, Any]: ...
