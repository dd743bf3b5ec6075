"""A checkpoint in memory that draws orders, one after the other, each as if it were the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import StableDiffusionPipeline

from ...adapter.attention import IdentityAttention, identity_kv
from ...adapter.model import Adapter
from ...adapter.tokens import IdentityTokens
from ...prompts import Prompt, Settings
from ...prompts.styles import styled
from ..engine import Picture
from .loras import AdapterLora, Lora, with_loras
from .model_file import ModelFile
from .pipeline import OnTensor, load_pipeline
from .sampling import Conditioning, decode, draw_latent
from .text_encoding import as_long, encode_text
from .unet import UNetBatch, attention_heads, bind_identities

Step = Callable[[str, int, int], None]  # OnProgress that looks at the cancel event first, and raises if it is set


@dataclass(frozen=True, eq=False)
class Order:
    """What to draw, and with what.

    Attributes:
        adapter: what projected the people; None when there are none.
        people: tokens and strength of each.
        lora_strength: of the adapter's LoRA.
        loras: LoRA files.
    """

    prompt: Prompt
    settings: Settings
    adapter: Adapter | None
    people: tuple[tuple[IdentityTokens, float], ...]
    lora_strength: float
    loras: tuple[Lora, ...]


class LoadedModel:
    """A checkpoint in memory, and whether an adapter's LoRA is merged into it."""

    def __init__(self, checkpoint: ModelFile, device: torch.device, dtype: torch.dtype, on_tensor: OnTensor) -> None:
        self.pipeline: StableDiffusionPipeline = load_pipeline(checkpoint, device, dtype, on_tensor)
        self._adapter_lora = AdapterLora(self.pipeline.unet, checkpoint)

    def draw(self, order: Order, step: Step) -> tuple[Picture, ...]:
        """The pictures of an order, in the order of their seeds.

        Raises:
            AdapterError: the adapter does not fit the UNet.
            CheckpointError: a LoRA file cannot be used.
            ReplacedError: the checkpoint is another file by now, and its weights are needed.
        """
        parts = self.pipeline
        with self._showing(order) as batch, with_loras(parts.unet, parts.text_encoder, order.loras):
            conditioning = self._conditioning(order.prompt)
            return tuple(
                self._picture(batch, conditioning, order.settings, number, step)
                for number in range(len(order.settings.seeds))
            )

    @contextmanager
    def _showing(self, order: Order) -> Iterator[UNetBatch]:
        """The UNet showing the people of an order."""
        unet = self.pipeline.unet
        if order.adapter is None:
            self._adapter_lora.remove()
            yield UNetBatch()
            return
        heads = attention_heads(unet, order.adapter)
        identities = [
            IdentityAttention(identity_kv(order.adapter, tokens, heads), strength) for tokens, strength in order.people
        ]
        self._adapter_lora.merge(order.adapter, order.lora_strength)
        plain = dict(unet.attn_processors)
        try:
            yield bind_identities(unet, order.adapter, identities)
        finally:
            unet.set_attn_processor(plain)

    def _conditioning(self, prompt: Prompt) -> Conditioning:
        texts = styled(prompt.parsed.plain_text, prompt.negative_prompt, prompt.style)
        fields = ("text", "negative_prompt")
        encoder, tokenizer = self.pipeline.text_encoder, self.pipeline.tokenizer
        encoded = (encode_text(encoder, tokenizer, text, field) for text, field in zip(texts, fields, strict=True))
        return Conditioning(*as_long(*encoded))

    def _picture(
        self, batch: UNetBatch, conditioning: Conditioning, settings: Settings, number: int, step: Step
    ) -> Picture:
        seed, count = settings.seeds[number], len(settings.seeds)
        parts = self.pipeline

        def on_step(done: int, total: int) -> None:
            step("drawing", number * total + done, count * total)

        latent = draw_latent(parts.unet, batch, conditioning, settings, seed, parts.scheduler.config, on_step)
        return Picture(decode(parts.vae, latent).numpy(), seed)
