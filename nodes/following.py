"""Which row of the UNet's call each row of one attention layer came from, where another extension repeats rows.

Attention couple and its kin run a layer with more rows than the UNet has: the positive rows once per region, each with
that region's text. They do it in an ``attn2_patch``, which gets the layer's input and gives it back. Such a patch is
asked twice: with the input, and with a probe of the same shape that holds the number of each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..faceid_core.errors import AdapterError

_ORDER = "faceid_order"
_DIGIT = 128

Options = dict[str, Any]
InputPatch = Callable[[Tensor, Tensor, Tensor, Options], tuple[Tensor, Tensor, Tensor]]


def order_of(options: Options) -> Tensor | None:
    """[B] the UNet's row of each row of the layer; None where they are the same rows in the same order."""
    return options.get(_ORDER)


def follow_rows(patch: InputPatch) -> InputPatch:
    """The same patch, which leaves the order of rows it made in the layer's options."""

    def followed(x: Tensor, context: Tensor, value: Tensor, options: Options) -> tuple[Tensor, Tensor, Tensor]:
        # A copy of the options: what the patch notes there must come from the real call, which is the last.
        numbered, _, _ = patch(_probe(x), context, value, dict(options))
        result = patch(x, context, value, options)
        order = numbered[:, 0, 0].long()
        if len(x) > _DIGIT:
            order = order + _DIGIT * numbered[:, 0, 1].long()
        if len(numbered) != len(result[0]):
            raise AdapterError(
                "FaceID cannot tell which rows belong to the positive prompt: an attention patch of another extension "
                "answers with another number of rows each time. Remove it, or FaceID."
            )
        earlier = options.get(_ORDER)
        options[_ORDER] = order if earlier is None else earlier[order]
        return result

    return followed


def _probe(x: Tensor) -> Tensor:
    """Like ``x`` [B, N, C], with each row's number in it; past what half precision holds, as digits in two channels."""
    if len(x) <= _DIGIT:
        return torch.arange(len(x), device=x.device, dtype=x.dtype).view(-1, 1, 1).expand_as(x)
    numbers = torch.zeros(len(x), 1, x.shape[2], device=x.device, dtype=x.dtype)
    counted = torch.arange(len(x), device=x.device)
    numbers[:, 0, 0], numbers[:, 0, 1] = counted % _DIGIT, counted // _DIGIT
    return numbers.expand_as(x)
