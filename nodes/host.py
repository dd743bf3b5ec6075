"""The only module that touches ComfyUI's own modules (``comfy.*``, ``folder_paths``, ``server``)."""

from __future__ import annotations

import asyncio
import hashlib
import html
import inspect
import json
import logging
import os
import shutil
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import comfy.lora
import comfy.model_management as model_management
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from comfy_execution.progress import get_progress_state

from ..faceid_core.adapter.fit import check_fit, cross_attention
from ..faceid_core.adapter.lora import lora_pairs
from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.tokens import ClipFeatures
from ..faceid_core.astria.base_models import SHIPPED, BaseModel
from ..faceid_core.astria.base_models import base_models as read_base_models
from ..faceid_core.engines.lora_tags import is_lcm_lora
from ..faceid_core.errors import AdapterError, FaceIDError
from ..faceid_core.faces.face import Faces
from . import sampling
from .sampling import IDENTITIES, Identity

if TYPE_CHECKING:
    from ..faceid_core.astria.settings import AstriaSettings
    from ..faceid_core.engines.remote import Journal
    from ..faceid_core.tunes.store import TuneStore

T = TypeVar("T")

log = logging.getLogger(__name__)

_LOOK_FOR_INTERRUPT = 0.25  # seconds between two looks while waiting for the remote API

_WRAPPER_KEY = "faceid"
_ADAPTER_EXTENSIONS = frozenset({".bin", ".safetensors"})


def register_model_folders() -> None:
    """Make ``models/ipadapter`` and ``models/insightface`` known, keeping whatever the user's paths already say."""
    for name, extensions in (("ipadapter", _ADAPTER_EXTENSIONS), ("insightface", {".onnx"})):
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))
        paths, known = folder_paths.folder_names_and_paths[name]
        folder_paths.folder_names_and_paths[name] = (paths, set(known) | set(extensions))


def adapter_names() -> list[str]:
    """Adapter files below every ``ipadapter`` folder."""
    return [name for name in folder_paths.get_filename_list("ipadapter") if Path(name).suffix in _ADAPTER_EXTENSIONS]


def adapter_path(name: str) -> Path:
    path = folder_paths.get_full_path("ipadapter", name)
    if path is None:
        folders = " or ".join(folder_paths.get_folder_paths("ipadapter"))
        raise AdapterError(f"adapter_name: there is no {name!r} in {folders}. Choose another, or put the file there.")
    return Path(path)


def insightface_roots() -> list[Path]:
    """Folders in which face packs are looked for, the user's own first."""
    return [Path(folder) for folder in folder_paths.get_folder_paths("insightface")]


def progress(total: int) -> Callable[[int, int], None]:
    """A callback ``(done, total)`` that moves the node's progress bar and raises when the user interrupts."""
    bar = comfy.utils.ProgressBar(total)

    def update(done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return update


def status(node_id: str | None, text: str) -> None:
    """Show ``text`` under a node and in the log."""
    log.info("%s", text)
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)  # absent when nodes run without a server
    if server is not None and node_id is not None:
        server.send_progress_text(html.escape(text, quote=False), node_id)  # shown as HTML: a tag would vanish


def digest_of_what_follows(node_id: str) -> str:
    """A digest of the nodes that a node leads to in the prompt that is about to run, and of all that those need.

    The same in the next prompt unless one of them changes: a fingerprint for what has to happen anew with them.
    """
    prompt = get_progress_state().dynprompt
    nodes = {number: prompt.get_node(number) for number in prompt.all_node_ids()}
    needs = {
        number: {value[0] for value in node["inputs"].values() if isinstance(value, list) and value}
        for number, node in nodes.items()
    }
    follows, found = {node_id}, True
    while found:
        found = {number for number in nodes if needs[number] & follows} - follows
        follows |= found
    waiting, seen = list(follows), {}
    while waiting:
        number = waiting.pop()
        if number in nodes and number not in seen:
            seen[number] = (nodes[number]["class_type"], nodes[number]["inputs"])
            waiting += needs[number]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=repr).encode()).hexdigest()


def _user_folder() -> Path:
    # The system user directory: photos of people and keys must not be reachable through ComfyUI's /userdata route.
    return Path(folder_paths.get_system_user_directory("faceid_tunes"))


def _tunes_home() -> Path:
    home = os.environ.get("FACEID_TUNES_HOME")
    return Path(home).expanduser() if home else _user_folder()


@cache
def tune_store() -> TuneStore:
    """The store of tunes, in ComfyUI's user directory unless FACEID_TUNES_HOME says otherwise; opened once."""
    from ..faceid_core.tunes.store import open_store

    return open_store(_tunes_home())


def tune_titles() -> list[str]:
    """Titles for a combo, newest first. Opens no store where none was ever made: this runs when nodes register."""
    if not (_tunes_home() / "tunes.sqlite3").exists() and "FACEID_TUNES_DATABASE_URL" not in os.environ:
        return []
    return [title for _, title in tune_store().titles()]


def astria_settings() -> AstriaSettings:
    """Where the remote API is, and the key: from the environment, else from a file that no route serves."""
    from ..faceid_core.astria.settings import read_settings

    return read_settings(key_file=_user_folder() / "astria_key")


def remote_journal() -> Journal:
    """Prompts that are on their way to the remote API."""
    from ..faceid_core.engines.remote import Journal

    return Journal(_tunes_home() / "remote")


def base_models() -> tuple[BaseModel, ...]:
    """The table of base models; written out for the user to edit once something else made the folder."""
    table = _user_folder() / "base_models.toml"
    if not table.exists() and table.parent.is_dir():
        with suppress(OSError):
            shutil.copyfile(SHIPPED, table)
    return read_base_models(table)


def base_model_titles() -> list[str]:
    """Titles for a combo. A table that cannot be read is told of, not raised: this runs when nodes register."""
    try:
        return [model.title for model in base_models()]
    except FaceIDError as error:
        log.error("%s", error)
        return []


def checkpoint_names() -> list[str]:
    return folder_paths.get_filename_list("checkpoints")


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the user interrupts ComfyUI."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_FOR_INTERRUPT)
            model_management.throw_exception_if_processing_interrupted()
    finally:
        task.cancel()
        await asyncio.wait({task})
    return task.result()


def stage_progress(node_id: str | None) -> Callable[[str, int, int], None]:
    """A callback ``(stage, done, total)`` that moves the node's bar and shows the stage under it."""
    shown = ""

    def update(stage: str, done: int, total: int) -> None:
        nonlocal shown
        model_management.throw_exception_if_processing_interrupted()
        comfy.utils.ProgressBar(total).update_absolute(done, total)
        if stage != shown:
            shown = stage
            status(node_id, stage)

    return update


def images_from_files(files: Sequence[bytes]) -> torch.Tensor:
    """[B, H, W, 3] of image files; others are brought to the size of the first."""
    from ..faceid_core.engines.remote import pixels

    images = [torch.from_numpy(pixels(file)).float()[None] / 255 for file in files]
    height, width = images[0].shape[1:3]
    return torch.cat(
        [image if image.shape[1:3] == (height, width) else _resized(image, width, height) for image in images]
    )


def _resized(images: torch.Tensor, width: int, height: int) -> torch.Tensor:
    return comfy.utils.common_upscale(images.movedim(-1, 1), width, height, "lanczos", "disabled").movedim(1, -1)


def clip_key(clip_vision: Any) -> object:
    """Equal while a CLIP vision model stays loaded with the same weights."""
    return clip_vision.patcher.patches_uuid if clip_vision is not None else None


def clip_features(clip_vision: Any, faces: Faces) -> ClipFeatures:
    """Penultimate CLIP ViT-H states of the faces' crops, and of the blank picture.

    Raises:
        AdapterError: the model is not ViT-H/14.
    """
    config = clip_vision.config
    width, depth = config.get("hidden_size"), config.get("num_hidden_layers")
    if (width, depth) != (1280, 32):
        raise AdapterError(
            f"clip_vision: FaceID Plus models look through CLIP ViT-H/14 (width 1280, 32 layers); the connected "
            f"model has width {width} and {depth} layers. Load CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors."
        )
    crops = torch.stack([torch.from_numpy(face.crop) for face in faces.faces]).float() / 255.0
    seen = clip_vision.encode_image(crops, crop=False).penultimate_hidden_states
    size = clip_vision.image_size
    # Zero *normalised* pixels: encode_image would normalise, and round, a grey picture.
    blank = torch.zeros(1, 3, size, size, device=clip_vision.load_device)
    unseen = clip_vision.model(pixel_values=blank, intermediate_output=-2)[1]
    return ClipFeatures(seen.float().cpu(), unseen.float().cpu())


def attention_heads(model: Any, adapter: Adapter) -> list[int]:
    """Attention heads of each cross-attention layer, in adapter-key order.

    Raises:
        AdapterError: the model's UNet is not the one the adapter is for.
    """
    unet = model.model.diffusion_model
    return check_fit(adapter, unet, [cross_attention(unet, layer.ldm) for layer in adapter.layers])


def apply_identity(model: Any, adapter: Adapter, identity: Identity) -> Any:
    """A clone of ``model`` that shows the identity, on top of those it already shows.

    The adapter's LoRA belongs to the adapter, not to the person: however many people come from one adapter, it is
    merged once, at the highest strength asked for.
    """
    patched = model.clone()
    options = patched.model_options["transformer_options"]
    earlier: tuple[Identity, ...] = options.get(IDENTITIES, ())
    merged = max((other.lora_strength for other in earlier if other.adapter == identity.adapter), default=0.0)
    if identity.lora_strength > merged:
        _merge_lora(patched, adapter, identity.lora_strength - merged)
    options[IDENTITIES] = (*earlier, identity)
    for kind, wrapper in (
        (WrappersMP.OUTER_SAMPLE, partial(sampling.outer_sample, text_attention=_text_attention)),
        (WrappersMP.CALC_COND_BATCH, sampling.calc_cond_batch),
    ):
        patched.remove_wrappers_with_key(kind, _WRAPPER_KEY)
        patched.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)
    return patched


def _text_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: dict) -> torch.Tensor:
    return optimized_attention(
        query, key, value, options["n_heads"], attn_precision=options["attn_precision"], transformer_options=options
    )


def _merge_lora(model: Any, adapter: Adapter, strength: float) -> None:
    tensors, targets = {}, {}
    for pair in lora_pairs(adapter):
        tensors[f"{pair.ldm_weight}.lora_up.weight"] = pair.up
        tensors[f"{pair.ldm_weight}.lora_down.weight"] = pair.down
        targets[pair.ldm_weight] = f"diffusion_model.{pair.ldm_weight}.weight"
    merged = model.add_patches(comfy.lora.load_lora(tensors, targets), strength)
    if len(merged) != len(targets):
        raise AdapterError(
            f"{adapter.name}: its LoRA fits only {len(merged)} of {len(targets)} layers of this model. "
            "Set lora_strength to 0, or use a model with the plain architecture."
        )


def lora_names() -> list[str]:
    return folder_paths.get_filename_list("loras")


def add_lora(model: Any, clip: Any, name: str, strength: float) -> tuple[Any, Any]:
    """Model and CLIP with a LoRA of ``models/loras`` on both."""
    lora = comfy.utils.load_torch_file(folder_paths.get_full_path_or_raise("loras", name), safe_load=True)
    return comfy.sd.load_lora_for_models(model, clip, lora, strength, strength)


def add_lcm(model: Any, *, sdxl: bool) -> tuple[Any, str | None]:
    """The model in LCM's parametrisation, with its base's LCM LoRA where one is installed, and that file's name."""
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    lora = next((name for name in sorted(lora_names()) if is_lcm_lora(name, sdxl=sdxl)), None)
    if lora is not None:
        model, _ = add_lora(model, None, lora, 1.0)
    (patched,) = ModelSamplingDiscrete().patch(model, "lcm", False)
    return patched, lora


def encode_text(clip: Any, text: str) -> list:
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def cfg_guider(model: Any, positive: list, negative: list, cfg_scale: float) -> Any:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg_scale)
    return guider


def sigmas(model: Any, schedule: str, steps: int) -> torch.Tensor:
    """[steps + 1] noise levels, descending to 0."""
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), schedule, steps).cpu()


def empty_latent(model: Any, width: int, height: int, count: int) -> dict[str, torch.Tensor]:
    channels = model.get_model_object("latent_format").latent_channels
    device = model_management.intermediate_device()
    return {"samples": torch.zeros(count, channels, height // 8, width // 8, device=device)}


class ImageNoise:
    """ComfyUI's NOISE: image i is drawn from ``seeds[i]``, whatever else is in its batch."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self.seeds = seeds
        self.seed = seeds[0]

    def generate_noise(self, latent: dict) -> torch.Tensor:
        images = latent["samples"].split(1)
        seeds = _one_per_image(self.seeds, len(images))
        return torch.cat([comfy.sample.prepare_noise(image, seed) for image, seed in zip(images, seeds, strict=True)])


def sampler(name: str, seeds: tuple[int, ...]) -> Any:
    """A sampler whose own noise, where it draws any while sampling, also comes from each image's seed."""
    plain = comfy.samplers.ksampler(name)
    if "noise_sampler" not in inspect.signature(plain.sampler_function).parameters:
        return plain

    def sample(model: Any, noise: torch.Tensor, sigmas: torch.Tensor, **options: Any) -> torch.Tensor:
        noise_sampler = _step_noise(name, noise, sigmas, _one_per_image(seeds, len(noise)))
        return plain.sampler_function(model, noise, sigmas, noise_sampler=noise_sampler, **options)

    return comfy.samplers.KSAMPLER(sample)


def _step_noise(name: str, like: torch.Tensor, sigmas: torch.Tensor, seeds: list[int]) -> Callable[..., torch.Tensor]:
    if "sde" in name:  # these need increments of one Brownian path, not independent draws
        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        return BrownianTreeNoiseSampler(like, low, high, seed=seeds, cpu=True)
    # Beyond 2^32, where no image's initial noise is drawn from.
    generators = [torch.Generator().manual_seed(seed + 2**32) for seed in seeds]
    return lambda *_: torch.stack([torch.randn(like.shape[1:], generator=draw) for draw in generators]).to(like)


def _one_per_image(seeds: tuple[int, ...], count: int) -> list[int]:
    """The seeds, counted on where somebody connected a larger latent."""
    return [seeds[i] if i < len(seeds) else seeds[-1] + i - len(seeds) + 1 for i in range(count)]
