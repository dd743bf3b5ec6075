"""A checkpoint in memory that draws orders, one after the other, each as if it were the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from ...adapter.attention import IdentityAttention, identity_kv
from ...adapter.model import Adapter
from ...adapter.tokens import IdentityTokens
from ...model_files.model_file import ModelFile
from ..plan import Plan
from ..start import StartPicture
from .loras import AdapterLora, Lora, with_loras
from .pipeline import OnTensor, load_pipeline, load_vae_encoder
from .sampling import Conditioning, Start, decode, draw_latent, encode, latent_mask
from .text_encoding import as_long, encode_text
from .unet import UNetBatch, attention_heads, bind_identities


@dataclass(frozen=True, eq=False)
class Order:
    """What to draw, and with what.

    Attributes:
        plan: the prompt, read.
        adapter: what projected the people; None when there are none.
        tokens: of each of the plan's people.
        lora_strength: of the adapter's LoRA.
        loras: LoRA files.
        start: the picture to draw on; None draws from nothing.
    """

    plan: Plan
    adapter: Adapter | None
    tokens: tuple[IdentityTokens, ...]
    lora_strength: float
    loras: tuple[Lora, ...]
    start: StartPicture | None = None


class LoadedModel:
    """A checkpoint in memory, and whether an adapter's LoRA is merged into it."""

    def __init__(self, checkpoint: ModelFile, device: torch.device, dtype: torch.dtype, on_tensor: OnTensor) -> None:
        self.pipeline: StableDiffusionPipeline = load_pipeline(checkpoint, device, dtype, on_tensor)
        self._checkpoint = checkpoint
        self._adapter_lora = AdapterLora(self.pipeline.unet, checkpoint)

    @contextmanager
    def drawing(self, order: Order) -> Iterator[Drawing]:
        """The model set up for an order, until the end of the block.

        Raises:
            AdapterError: the adapter does not fit the UNet.
            CheckpointError: a LoRA file cannot be used.
            ReplacedError: the checkpoint is another file by now, and its weights are needed.
        """
        parts = self.pipeline
        with self._with_adapter(order) as identities, with_loras(parts.unet, parts.text_encoder, order.loras):
            yield Drawing(self, order, identities)

    def with_encoder(self) -> StableDiffusionPipeline:
        """The pipeline with the encoder of its VAE, which is read when a picture is drawn again for the first time.

        Raises:
            ReplacedError: the checkpoint is another file by now.
        """
        vae = self.pipeline.vae
        if isinstance(vae.encoder, nn.Identity):
            vae.encoder = load_vae_encoder(self._checkpoint, vae.device)
        return self.pipeline

    @contextmanager
    def _with_adapter(self, order: Order) -> Iterator[tuple[IdentityAttention, ...]]:
        """The identities of an order's people, ready to be bound; the UNet is plain again afterwards."""
        unet = self.pipeline.unet
        if order.adapter is None:
            self._adapter_lora.remove()
            yield ()
            return
        heads = attention_heads(unet, order.adapter)
        identities = tuple(
            IdentityAttention(identity_kv(order.adapter, tokens, heads), person.tag.strength)
            for tokens, person in zip(order.tokens, order.plan.people, strict=True)
        )
        self._adapter_lora.merge(order.adapter, order.lora_strength)
        plain = dict(unet.attn_processors)
        try:
            yield identities
        finally:
            unet.set_attn_processor(plain)


class Drawing:
    """An order being drawn, by a model that is set up for it."""

    def __init__(self, model: LoadedModel, order: Order, identities: Sequence[IdentityAttention]) -> None:
        self._model, self._order, self._identities = model, order, identities
        self._conditioning = _conditioning(model.pipeline, order.plan)

    def picture(self, seed: int, on_step: Callable[[int, int], None]) -> np.ndarray:
        """[H, W, 3] uint8 RGB. ``on_step`` is called (done, total) after each call of the UNet."""
        latent = self._latent(self._identities, seed, on_step, self._start)
        drawn = decode(self._model.pipeline.vae, latent).numpy()
        return drawn if self._order.start is None else self._order.start.kept_around(drawn)

    @cached_property
    def _start(self) -> Start | None:
        """What every picture of the order begins with."""
        given = self._order.start
        if given is None:
            return None
        vae = self._model.with_encoder().vae
        mask = None if given.mask is None else latent_mask(torch.from_numpy(given.mask))
        return Start(encode(vae, torch.from_numpy(given.pixels)), given.denoise, mask)

    def again(
        self,
        picture: np.ndarray,
        denoise: float,
        seed: int,
        shown: tuple[int, ...] | None,
        on_step: Callable[[int, int], None],
    ) -> np.ndarray:
        """A picture drawn again, as ``retouch.Resample`` says.

        Raises:
            ReplacedError: the checkpoint is another file by now, and its weights are needed.
        """
        vae = self._model.with_encoder().vae
        start = Start(encode(vae, torch.from_numpy(picture)), denoise)
        identities = self._identities
        if shown is not None:
            identities = [identity for number, identity in enumerate(identities) if number in shown]
        return decode(vae, self._latent(identities, seed, on_step, start)).numpy()

    def _latent(
        self,
        identities: Sequence[IdentityAttention],
        seed: int,
        on_step: Callable[[int, int], None],
        start: Start | None = None,
    ) -> torch.Tensor:
        parts, adapter, settings = self._model.pipeline, self._order.adapter, self._order.plan.settings
        batch = UNetBatch() if adapter is None else bind_identities(parts.unet, adapter, identities)
        config = parts.scheduler.config
        return draw_latent(parts.unet, batch, self._conditioning, settings, seed, config, on_step, start)


def _conditioning(pipeline: StableDiffusionPipeline, plan: Plan) -> Conditioning:
    texts = (plan.positive, plan.negative)
    fields = ("text", "negative_prompt")
    encoder, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    encoded = (encode_text(encoder, tokenizer, text, field) for text, field in zip(texts, fields, strict=True))
    return Conditioning(*as_long(*encoded))
