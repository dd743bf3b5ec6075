from typing import Any

import torch
from torch import Tensor

def optimized_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    *,
    attn_precision: torch.dtype | None = ...,
    transformer_options: dict[str, Any] = ...,
) -> Tensor: ...
