"""The embedded engine on random weights of full size, a small pipeline of its kind, and diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import skimage.data
import torch
from faceid_tunes.faceid_core.adapter.model import load_adapter
from faceid_tunes.faceid_core.adapter.tokens import ClipFeatures
from faceid_tunes.faceid_core.adapter.variants import Variant
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine, EmbeddedModels
from faceid_tunes.faceid_core.faces import Faces
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.store import TuneStore
from torch import Tensor

from .adapters import cached_adapter
from .checkpoint import clip_vision_h, sd15_checkpoint
from .oracle import relative_l2
from .photos import INSIGHTFACE, encoded
from .unet import SD15_REDUCED, sd15_unet

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

PEOPLE = ("astronaut", "actor")


def sd15_adapter(variant: str) -> Path:
    """A cached adapter of full size."""
    return cached_adapter(variant, "sd15")


def embedded_models(variant: str = "faceid", loras: tuple[Path, ...] = ()) -> EmbeddedModels:
    """Files of full size with random weights, and the embedded face pack."""
    encoder = clip_vision_h() if variant.startswith("plus") else None
    return EmbeddedModels(sd15_checkpoint(), sd15_adapter(variant), embedded_pack(), encoder, loras)


def with_adapter(engine: DiffusersEngine, variant: str) -> DiffusersEngine:
    """An engine with another adapter over the checkpoint that ``engine`` has loaded: it need not be read twice."""
    return _over_the_checkpoint_of(engine, embedded_models(variant))


def with_files(engine: DiffusersEngine, **files: Path) -> DiffusersEngine:
    """An engine with other files of ``EmbeddedModels`` over the checkpoint that ``engine`` has loaded."""
    return _over_the_checkpoint_of(engine, replace(engine.models, **files))


def _over_the_checkpoint_of(engine: DiffusersEngine, models: EmbeddedModels) -> DiffusersEngine:
    other = DiffusersEngine(models, device="cpu", preview=True)
    other._checkpoint, other._model = engine._checkpoint, engine._model
    return other


def pipeline_of(engine: DiffusersEngine) -> StableDiffusionPipeline:
    return engine._model.pipeline


def keep_people(store: TuneStore) -> None:
    """Two tunes, ``astronaut`` and ``actor``."""
    photos = encoded(skimage.data.astronaut(), "PNG"), (INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes()
    for title, photo in zip(PEOPLE, photos, strict=True):
        create_tune(store, [photo], title, "person", embedded_pack())


def small_pipeline(seed: int = 0) -> StableDiffusionPipeline:
    """The topology of SD 1.5 at a tenth of its width, reading text of its real width, with its real tokenizer."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline
    from faceid_tunes.faceid_core.engines.embedded.pipeline import SD15
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    unet = sd15_unet(SD15_REDUCED, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"hidden_size": 768, "intermediate_size": 64, "num_attention_heads": 12, "num_hidden_layers": 2}
        text_encoder = CLIPTextModel(CLIPTextConfig(vocab_size=49408, eos_token_id=49407, **sizes))
        vae = AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
                            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4)  # fmt: skip
    for part in (text_encoder, vae):
        part.requires_grad_(False).eval()
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(SD15 / "tokenizer"),
        unet=unet,
        scheduler=PNDMScheduler.from_pretrained(SD15 / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@dataclass
class Seen:
    """What went through a pipeline: (arguments, output) of each UNet call, and each latent that was decoded."""

    unet_calls: list[tuple[dict, Tensor]] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)


@contextmanager
def watched(pipeline: StableDiffusionPipeline) -> Iterator[Seen]:
    seen = Seen()

    def on_unet(module, args, kwargs, output) -> None:
        call = dict(zip(("sample", "timestep"), args, strict=False)) | kwargs
        seen.unet_calls.append((call, output.sample))

    def on_vae(module, args) -> None:
        seen.latents.append(args[0] * pipeline.vae.config.scaling_factor)

    hooks = (
        pipeline.unet.register_forward_hook(on_unet, with_kwargs=True),
        pipeline.vae.post_quant_conv.register_forward_pre_hook(on_vae),
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


class DiffusersIPAdapter:
    """diffusers' own pipeline with its own IP-Adapter, over the weights of an engine whose last picture had nobody."""

    def __init__(self, engine: DiffusersEngine, variant: str, store: TuneStore, title: str) -> None:
        self._parts = pipeline_of(engine)
        path = sd15_adapter(variant)
        self._adapter, self._sections = load_adapter(path), torch.load(path, weights_only=True)
        self._faces = faces_of(store.get_by_title(title), store, embedded_pack())

    @contextmanager
    def loaded(self) -> Iterator[DiffusersIPAdapter]:
        from diffusers import StableDiffusionPipeline

        unet = self._parts.unet
        before, config_type = dict(unet.attn_processors), unet.config.encoder_hid_dim_type
        self.pipeline = StableDiffusionPipeline(**self._parts.components, requires_safety_checker=False)
        self.pipeline.set_progress_bar_config(disable=True)
        options = {"subfolder": None, "weight_name": None, "image_encoder_folder": None, "low_cpu_mem_usage": False}
        self.pipeline.load_ip_adapter([self._sections], **options)
        self._give_clip_features()
        try:
            yield self
        finally:
            self.pipeline.unload_lora_weights()
            unet.encoder_hid_proj = None
            unet.config.encoder_hid_dim_type = config_type
            unet.set_attn_processor(before)

    def latent(self, text: str, negative: str, *, steps: int, cfg: float, seed: int, size: int, strength: float):
        """The final latent of one picture by diffusers' ``__call__``, with the scheduler of ``dpm++2m_karras``."""
        from diffusers import DPMSolverMultistepScheduler

        self.pipeline.set_ip_adapter_scale(strength)
        self.pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
            self._parts.scheduler.config, timestep_spacing="linspace", use_karras_sigmas=True
        )
        return self.pipeline(
            text,
            negative_prompt=negative,
            height=size,
            width=size,
            num_inference_steps=steps,
            guidance_scale=cfg,
            generator=torch.Generator().manual_seed(seed),
            ip_adapter_image_embeds=self._embeds(),
            output_type="latent",
        ).images

    def unet_output(self, call: dict) -> Tensor:
        """Of the UNet, called as the engine called its own."""
        return self.pipeline.unet(**call, added_cond_kwargs={"image_embeds": self._embeds()}).sample

    def _embeds(self) -> list[Tensor]:
        """[2, 1, 512]: nobody for the negative row, the person for the positive."""
        positive = torch.from_numpy(self._faces.mean_embedding()).view(1, 1, 512)
        return [torch.cat([torch.zeros_like(positive), positive])]

    def _give_clip_features(self) -> None:
        if self._adapter.spec.variant.uses_clip:
            clip = transformers_clip_features(self._faces)
            projection = self.pipeline.unet.encoder_hid_proj.image_projection_layers[0]
            projection.clip_embeds = torch.stack([clip.blank, clip.crops.mean(0, keepdim=True)])
            projection.shortcut = self._adapter.spec.variant is Variant.PLUS_V2


@dataclass(frozen=True)
class EngineErrors:
    """Relative L2 of the engine against diffusers' own IP-Adapter.

    ``unet``: the worse of the first and the last UNet call, with the engine's inputs. ``latent``: the finished latent,
    against one that diffusers' pipeline drew all by itself.
    """

    unet: float
    latent: float


def engine_errors(engine: DiffusersEngine, variant: str, store: TuneStore, *, size: int, steps: int) -> EngineErrors:
    """One picture by the engine and by diffusers' own pipeline: same weights, scheduler, seed and guidance (3)."""
    title, strength, seed, cfg = PEOPLE[0], 0.8, 11, 3.0
    text, negative = "a woman trekking in the alps, in winter", "a blurry photo"
    parameters = {"w": size, "h": size, "scheduler": "dpm++2m_karras", "cfg_scale": cfg, "seed": seed}
    prompt = Prompt(f"<faceid:{title}:{strength}> {text}", negative_prompt=negative, steps=steps, **parameters)
    with watched(pipeline_of(engine)) as seen:
        with_adapter(engine, variant).draw(prompt, store)
        engine.draw(Prompt("nobody", steps=1, w=64, h=64), store)
    own_calls, (own_latent, _) = seen.unet_calls[:steps], seen.latents
    with torch.no_grad(), DiffusersIPAdapter(engine, variant, store, title).loaded() as reference:
        options = {"steps": steps, "cfg": cfg, "seed": seed, "size": size, "strength": strength}
        latent = reference.latent(text, negative, **options)
        unet = max(relative_l2(own, reference.unet_output(call)) for call, own in (own_calls[0], own_calls[-1]))
    return EngineErrors(unet, relative_l2(own_latent, latent))


def transformers_clip_features(faces: Faces) -> ClipFeatures:
    """As IP-Adapter's own code has them: CLIPImageProcessor, hidden_states[-2], and zeros for nobody's pixels."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    processor = CLIPImageProcessor(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224})
    pixels = processor([face.crop for face in faces.faces], return_tensors="pt").pixel_values
    sizes = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16, "num_hidden_layers": 32}
    config = CLIPVisionConfig(patch_size=14, projection_dim=1024, hidden_act="gelu", **sizes)
    encoder = CLIPVisionModelWithProjection.from_pretrained(
        None, config=config, state_dict=_float32(clip_vision_h()), dtype=torch.float32
    ).eval()
    with torch.no_grad():
        seen, blank = (encoder(x, output_hidden_states=True).hidden_states[-2] for x in (pixels, 0 * pixels[:1]))
    return ClipFeatures(seen, blank)


def _float32(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return {key: tensor.float() for key, tensor in load_file(path).items() if tensor.is_floating_point()}


def kohya_lora(
    modules: dict[str, torch.nn.Module], rank: int = 4, seed: int = 0, alpha: float = 2.0
) -> dict[str, Tensor]:
    """A LoRA as kohya's scripts write it: key -> tensor, for modules by their kohya name."""
    draw = torch.Generator().manual_seed(seed)
    found = {}
    for name, module in modules.items():
        out, inner, *kernel = module.weight.shape
        scale = 0.5 / (inner * torch.tensor(kernel or [1]).prod()) ** 0.5
        found[f"{name}.lora_down.weight"] = torch.randn(rank, inner, *kernel, generator=draw) * scale
        found[f"{name}.lora_up.weight"] = torch.randn(out, rank, *[1] * len(kernel), generator=draw) * 0.5
        found[f"{name}.alpha"] = torch.tensor(alpha)
    return found
