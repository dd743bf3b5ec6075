"""What is queued in ComfyUI: graphs in API form, and the stage each of their nodes belongs to.

Pure functions: nothing here talks to ComfyUI.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...prompts import SWITCHES, Prompt, Tag, resolve_cfg_scale, resolve_seeds, rewrite_refs
from ...prompts.defaults import LEGACY_RATIOS
from ...tunes.tune import Tune
from .client import Graph

FINDING, LOADING, DRAWING, RETOUCHING = "finding faces", "loading models", "drawing", "retouching"

_LARGEST_BATCH = 50  # inputs of BatchImagesNode
_LONGEST_TITLE = 200  # characters kept of a tune's title; the digest comes on top
_NOT_IN_REF = re.compile(r"[\x00-\x1f\x7f<>:]")
# Fields that FaceIDPrompt has under the same name, with what its widget shows for the API's null.
_WIDGETS = {"steps": 0, "w": 0, "h": 0, "scheduler": "auto", "style": "none", "color_grading": "none"}


@dataclass(frozen=True)
class Stage:
    """A part of a job that people are told of by its name.

    Attributes:
        nodes: several count as they are done; a single one has its own progress.
        total: how far that goes: photos, steps; None where the node alone knows.
    """

    name: str
    nodes: tuple[str, ...]
    total: int | None = None


@dataclass(frozen=True)
class Job:
    """A graph to queue.

    Attributes:
        result: the output node whose record is wanted.
        stages: in the order they run; the last is a single node's.
        speakers: the nodes of which it is wanted what they say.
    """

    graph: Graph
    result: str
    stages: tuple[Stage, ...]
    speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFiles:
    """Model files as this ComfyUI lists them."""

    checkpoint: str
    adapter: str
    clip_vision: str | None = None
    upscaler: str | None = None


@dataclass(frozen=True)
class DrawSettings:
    """The settings of FaceIDApplyPrompt, and of FaceIDRetouch as far as it has them."""

    files: ModelFiles
    preview: bool = False
    lora_strength: float = 1.0
    structure: float = 1.0


@dataclass(frozen=True)
class RetouchSettings:
    """The settings of FaceIDRetouch alone."""

    upscaler: str | None = None
    preview: bool = False


@dataclass(frozen=True)
class StartFiles:
    """What is drawn on, as LoadImage and LoadImageMask call it; ``denoise`` is the part of the schedule that is run."""

    picture: str
    mask: str | None
    denoise: float


def title_there(tune: Tune) -> str:
    """What a tune is called in ComfyUI's own store: its title here, and a digest of its photos.

    Another person of that title is another tune there, the same photos are the same. Fit for a tag.
    """
    photos = "".join(photo.sha256 + (repr(photo.face_at) if photo.face_at else "") for photo in tune.used_photos)
    title = " ".join(_NOT_IN_REF.sub(" ", tune.title).split())[:_LONGEST_TITLE]
    return f"{title} {hashlib.sha256(photos.encode()).hexdigest()[:12]}".strip()


def text_there(prompt: Prompt, people: Mapping[str, Tune]) -> str:
    """The prompt's text with each person called as ComfyUI's store has them; ``people`` is by ref."""

    def ref_there(tag: Tag) -> str:
        return title_there(people[tag.ref]) if tag.kind == "faceid" else tag.ref

    return rewrite_refs(prompt.text, ref_there)


def tune_job(photos: Sequence[str], title: str, name: str, unique: str) -> Job:
    """Keeps a person. ``photos`` are of one size, as LoadImage calls them.

    ``unique`` makes ComfyUI run the job even if it remembers an equal one: the tune may have been deleted since.
    """
    graph: Graph = {f"photo{number}": _node("LoadImage", image=photo) for number, photo in enumerate(photos, 1)}
    images, level = list(graph), 0
    while len(images) > 1:
        level += 1
        starts = range(0, len(images), _LARGEST_BATCH)
        batches = {f"batch{level}_{start}": images[start : start + _LARGEST_BATCH] for start in starts}
        graph |= {batch: _batch(members) for batch, members in batches.items()}
        images = list(batches)
    graph["tune"] = _node("FaceIDCreateTune", images=[images[0], 0], title=title, name=name, **_once(unique))
    graph["tag"] = _node("PreviewAny", source=["tune", 2])
    return Job(graph, "tag", (Stage(FINDING, ("tune",), total=len(photos)),))


def draw_job(
    prompt: Prompt, text: str, steps: int, settings: DrawSettings, unique: str, start: StartFiles | None = None
) -> Job:
    """Draws a prompt, and retouches the pictures where it asks for that.

    ``text`` is the prompt's as ComfyUI is to read it. The node that draws speaks first, then the one that retouches.
    ``start`` is what it draws on; ``steps`` are those that are run then.

    ``unique`` makes ComfyUI draw even if it remembers an equal job, whose pictures and status line may be gone.
    """
    apply = f"apply_{unique}"  # status lines come with a node's id alone, whoever queued it
    graph: Graph = {
        "checkpoint": _node("CheckpointLoaderSimple", ckpt_name=settings.files.checkpoint),
        "adapter": _node("FaceIDLoadAdapter", adapter_name=settings.files.adapter, variant="auto"),
        "prompt": _node("FaceIDPrompt", **prompt_inputs(prompt, text)),
        apply: _node(
            "FaceIDApplyPrompt",
            model=["checkpoint", 0],
            clip=["checkpoint", 1],
            prompt=["prompt", 0],
            adapter=["adapter", 0],
            lora_strength=settings.lora_strength,
            structure=settings.structure,
            preview=settings.preview,
            **_once(unique),
        ),
        "sampler": _node(
            "SamplerCustomAdvanced",
            **{name: [apply, output] for output, name in enumerate(("noise", "guider", "sampler", "sigmas"))},
            latent_image=[apply, 4],
        ),
        "decode": _node("VAEDecode", samples=["sampler", 0], vae=["checkpoint", 2]),
        "pictures": _node("PreviewImage", images=["decode", 0]),
    }
    if start is not None:
        graph |= _drawing_on(start, prompt.num_images, apply)
        graph["sampler"]["inputs"] |= {"sigmas": ["last_sigmas", 1], "latent_image": ["start", 0]}
        graph["pictures"]["inputs"]["images"] = [_last(start), 0]
    if settings.files.clip_vision is not None:
        graph["clip_vision"] = _node("CLIPVisionLoader", clip_name=settings.files.clip_vision)
        graph[apply]["inputs"]["clip_vision"] = ["clip_vision", 0]
    loading = tuple(node for node in ("checkpoint", "adapter", "prompt", apply, "clip_vision") if node in graph)
    stages = (Stage(LOADING, loading), Stage(DRAWING, ("sampler",), total=steps))
    if not prompt.retouch_flags:
        return Job(graph, "pictures", stages, (apply,))
    retouch = f"retouch_{unique}"
    how = RetouchSettings(settings.files.upscaler, settings.preview)
    graph |= _retouching(prompt, how, retouch, images="decode" if start is None else _last(start))
    graph[retouch]["inputs"] |= {"guider": [apply, 1], "vae": ["checkpoint", 2]}
    graph["pictures"]["inputs"]["images"] = [retouch, 0]
    return Job(graph, "pictures", (*stages, Stage(RETOUCHING, (retouch,))), (apply, retouch))


def retouch_job(prompt: Prompt, text: str, picture: str, settings: RetouchSettings, unique: str) -> Job:
    """Retouches a picture, which LoadImage calls ``picture``, without drawing anything."""
    retouch = f"retouch_{unique}"
    graph: Graph = {
        "picture": _node("LoadImage", image=picture),
        # The node takes no empty text; what is not a tag means nothing to the one that retouches.
        "prompt": _node("FaceIDPrompt", **prompt_inputs(prompt, text.strip() or "a picture")),
        **_retouching(prompt, settings, retouch, images="picture"),
        "pictures": _node("PreviewImage", images=[retouch, 0]),
    }
    graph[retouch]["inputs"] |= _once(unique)
    return Job(graph, "pictures", (Stage(LOADING, ("picture", "prompt")), Stage(RETOUCHING, (retouch,))), (retouch,))


def _drawing_on(start: StartFiles, count: int, apply: str) -> Graph:
    """The nodes that make latents of a picture, and the noise levels of the end of the schedule."""
    graph: Graph = {
        "picture": _node("LoadImage", image=start.picture),
        "copies": _node("RepeatImageBatch", image=["picture", 0], amount=count),
        "start": _node("VAEEncode", pixels=["copies", 0], vae=["checkpoint", 2]),
        "last_sigmas": _node("SplitSigmasDenoise", sigmas=[apply, 3], denoise=start.denoise),
    }
    if start.mask is None:
        return graph
    graph["mask"] = _node("LoadImageMask", image=start.mask, channel="red")
    graph["encoded"] = graph["start"]
    graph["start"] = _node("SetLatentNoiseMask", samples=["encoded", 0], mask=["mask", 0])
    graph["composite"] = _node(
        "ImageCompositeMasked",
        destination=["copies", 0],
        source=["decode", 0],
        x=0,
        y=0,
        resize_source=False,
        mask=["mask", 0],
    )
    return graph


def _last(start: StartFiles) -> str:
    """The node whose pictures are finished but for the retouching."""
    return "decode" if start.mask is None else "composite"


def _retouching(prompt: Prompt, settings: RetouchSettings, retouch: str, images: str) -> Graph:
    """The nodes between a finished picture and the retouched one."""
    node = _node(
        "FaceIDRetouch",
        images=[images, 0],
        prompt=["prompt", 0],
        swap_model="auto",
        restore_model="auto",
        preview=settings.preview,
    )
    if not prompt.super_resolution or settings.upscaler is None:
        return {retouch: node}
    node["inputs"]["upscale_model"] = ["upscaler", 0]
    return {"upscaler": _node("UpscaleModelLoader", model_name=settings.upscaler), retouch: node}


def prompt_inputs(prompt: Prompt, text: str) -> dict[str, Any]:
    """Every input of FaceIDPrompt."""
    return {
        "text": text,
        "negative_prompt": prompt.negative_prompt,
        "num_images": prompt.num_images,
        "seed": resolve_seeds(prompt)[0],
        "cfg_scale": resolve_cfg_scale(prompt),
        "aspect_ratio": prompt.aspect_ratio or LEGACY_RATIOS.get(prompt.ar, prompt.ar),
        **{name: shown if getattr(prompt, name) is None else getattr(prompt, name) for name, shown in _WIDGETS.items()},
        **{name: getattr(prompt, name) for name in SWITCHES},
    }


def _batch(members: Sequence[str]) -> dict[str, Any]:
    return _node("BatchImagesNode", **{f"images.image{number}": [node, 0] for number, node in enumerate(members)})


def _once(unique: str) -> dict[str, str]:
    """An input that the node does not have. ComfyUI ignores it, but takes the node for a new one because of it."""
    return {"job": unique}


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}
