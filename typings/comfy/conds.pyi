from typing import Any

from torch import Tensor

class CONDRegular:
    cond: Tensor

    def __init__(self, cond: Tensor) -> None: ...
    def concat(self, others: list[Any]) -> Tensor: ...

class CONDNoiseShape(CONDRegular): ...
