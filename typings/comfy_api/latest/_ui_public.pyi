from typing import Any

from torch import Tensor

class PreviewImage:
    def __init__(self, image: Tensor) -> None: ...
    def as_dict(self) -> dict[str, Any]: ...
