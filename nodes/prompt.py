"""Nodes that write a prompt and draw it."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..faceid_core.adapter.model import Adapter
from ..faceid_core.adapter.strengths import strengths_of
from ..faceid_core.prompts import SWITCHES, Prompt, lint
from ..faceid_core.prompts.prompt import (
    ASPECT_RATIOS,
    COLOR_GRADINGS,
    MAX_IMAGES,
    MAX_SEED,
    MAX_SIDE,
    MAX_STEPS,
    STYLES,
)
from ..faceid_core.prompts.schedulers import SCHEDULERS
from ..faceid_core.said import Said
from ..faceid_core.tunes.refs import double_meanings, tunes_by_ref, with_tune
from ..faceid_core.tunes.tune import Tune
from .before import check_apply, check_prompt
from .checks import usable, within_schema
from .drawing import draw_settings
from .host import graph, storage
from .host.metadata import keep_notes
from .host.said import output
from .inputs import clip_vision, lora_strength, preview, slider, structure
from .sockets import AdapterSocket, FloatsSocket, PromptSocket, TuneSocket

AUTO, NONE = "auto", "none"

# In the order of the inputs, which is final.
_SWITCHES = (
    "face_swap",
    "face_correct",
    "super_resolution",
    "hires_fix",
    "inpaint_faces",
    "use_lpw",
    "film_grain",
)


class FaceIDPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDPrompt",
            display_name="FaceID Prompt",
            category="FaceID",
            description="What to draw, in one text: <faceid:TUNE:STRENGTH> puts a person in, <lora:FILE:STRENGTH> "
            "a LoRA.",
            search_aliases=["astria prompt", "faceid tag", "text prompt"],
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="woman trekking in the alps",
                    tooltip="Tags name a tune by id or title: <faceid:12:1> or <faceid:Anna 2026:0.8>. The class word "
                    "(woman, man) stays in the text.",
                ),
                io.String.Input(
                    "negative_prompt", multiline=True, default="", tooltip="What the picture must not show."
                ),
                io.Int.Input("num_images", default=1, min=1, max=MAX_IMAGES, tooltip="How many pictures to draw."),
                io.Int.Input(
                    "seed",
                    default=42,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="Image i of the batch is drawn with seed + i.",
                ),
                io.Int.Input("steps", default=0, min=0, max=MAX_STEPS, tooltip="0: 30, or 6 with lcm."),
                slider("cfg_scale", "3 keeps a face best; 1 to 2 with lcm.", default=3.0, most=15.0, step=0.1),
                io.Combo.Input("scheduler", options=[AUTO, *SCHEDULERS], default=AUTO, tooltip="auto: dpm++2m_karras."),
                io.Int.Input(
                    "w",
                    display_name="width",
                    default=0,
                    min=0,
                    max=MAX_SIDE,
                    step=8,
                    tooltip="Pixels. 0: from the aspect ratio.",
                ),
                io.Int.Input(
                    "h",
                    display_name="height",
                    default=0,
                    min=0,
                    max=MAX_SIDE,
                    step=8,
                    tooltip="Pixels. 0: from the aspect ratio.",
                ),
                io.Combo.Input(
                    "aspect_ratio",
                    options=list(ASPECT_RATIOS),
                    default="1:1",
                    tooltip="Width to height, where w or h is 0.",
                ),
                *(io.Boolean.Input(name, default=False, advanced=True, tooltip=SWITCHES[name]) for name in _SWITCHES),
                io.Combo.Input(
                    "style",
                    options=[NONE, *STYLES],
                    default=NONE,
                    advanced=True,
                    tooltip="Adds the words of a style to the text.",
                ),
                io.Combo.Input(
                    "color_grading",
                    options=[NONE, *COLOR_GRADINGS],
                    default=NONE,
                    advanced=True,
                    tooltip="Gives the picture the colours of a film stock.",
                ),
                TuneSocket.Input(
                    "tune", optional=True, tooltip="Puts this person in front if the text does not name them."
                ),
            ],
            outputs=[
                PromptSocket.Output(
                    display_name="prompt", tooltip="For FaceID Apply Prompt, FaceID Retouch and FaceID Remote Prompt."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @within_schema()
    def execute(cls, text: str, tune: Tune | None = None, **fields: Any) -> io.NodeOutput:
        with_person = text if tune is None else with_tune(text, tune)
        prompt = Prompt(text=with_person, **_as_api(fields))
        is_remote = graph.leads_to(cls.hidden.unique_id, "FaceIDRemotePrompt")
        advice = [found.message for found in lint(prompt, _named(prompt)) if is_remote or not found.is_remote]
        if prompt.parsed.faces:
            advice += double_meanings(storage.tune_store(), prompt.parsed)
        lines = () if with_person == text else (with_person,)
        return output(prompt, said=Said(tuple(advice), lines))

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        return usable(check_prompt, text, cls.hidden.unique_id)

    @classmethod
    def fingerprint_inputs(cls, text: str | None, **_fields: object) -> str:
        """A tune deleted and made again under the same title is another person."""
        side = "remote " if graph.leads_to(cls.hidden.unique_id, "FaceIDRemotePrompt") else ""  # there is more to say
        if text is None:  # linked: it may name any of them
            return side + storage.tune_store().state()
        named = _named(Prompt(text))
        return side + " ".join(f"{ref}={tune.id}@{tune.updated_at}" for ref, tune in sorted(named.items()))


def _named(prompt: Prompt) -> dict[str, Tune]:
    """The tunes that the text names. A text that names nobody is drawn whatever the store says."""
    return tunes_by_ref(storage.tune_store(), prompt.parsed) if prompt.parsed.faces else {}


def _as_api(fields: dict[str, Any]) -> dict[str, Any]:
    """The widgets' "auto", "none" and 0 as the API's null, and "1:1", which is what its null means."""
    nothing: dict[str, object] = {"style": NONE, "color_grading": NONE}
    unset = {"steps": 0, "w": 0, "h": 0, "scheduler": AUTO, "aspect_ratio": "1:1"} | nothing
    return {name: None if name in unset and value == unset[name] else value for name, value in fields.items()}


class FaceIDApplyPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDApplyPrompt",
            display_name="FaceID Apply Prompt",
            category="FaceID",
            description="Everything SamplerCustomAdvanced needs to draw a FaceID Prompt: people, LoRAs, text, sampler, "
            "size and seeds.",
            search_aliases=["draw prompt", "faceid sampler", "faceid guider"],
            inputs=[
                io.Model.Input("model", tooltip="The model of a checkpoint, with the same base model as the adapter."),
                io.Clip.Input("clip", tooltip="The CLIP of the checkpoint, which reads the text."),
                PromptSocket.Input("prompt", tooltip="From FaceID Prompt."),
                AdapterSocket.Input("adapter", tooltip="From FaceID Load Adapter."),
                lora_strength(advanced=True),
                structure(advanced=True),
                preview("Allow faces of another face pack than the adapter was trained on; shows somebody else."),
                clip_vision(),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="Where each person may appear: one mask per faceid tag, in the order of the text. Or, with "
                    "several pictures, a mask of the first person for each picture, then those of the second.",
                ),
                io.MultiType.Input(
                    "strengths",
                    types=[FloatsSocket, io.Float],
                    optional=True,
                    tooltip="A list of numbers: a factor on the strengths of the tags for each picture.",
                ),
            ],
            outputs=[
                io.Noise.Output(tooltip="Image i of the batch has the noise of seed + i."),
                io.Guider.Output(tooltip="The model with the people, the text and cfg_scale. For FaceID Retouch, too."),
                io.Sampler.Output(tooltip="The sampler of the prompt's scheduler."),
                io.Sigmas.Output(tooltip="The noise levels of the prompt's scheduler and steps."),
                io.Latent.Output(tooltip="Empty latents of the prompt's size, one for each picture."),
                PromptSocket.Output(display_name="prompt", tooltip="The same prompt, for FaceID Retouch."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema()
    def execute(
        cls, model: Any, clip: Any, prompt: Prompt, adapter: Adapter, strengths: object = None, **settings: Any
    ) -> io.NodeOutput:
        drawn = draw_settings(model, clip, prompt, adapter, strengths=strengths_of(strengths), **settings)
        keep_notes(cls, drawn.doubts)
        values = drawn.noise, drawn.guider, drawn.sampler, drawn.sigmas, drawn.latent, prompt
        return output(*values, said=drawn.said)

    @classmethod
    def validate_inputs(cls, preview: bool | None = None) -> bool | str:
        return usable(lambda node: check_apply(node, of_tunes=True), cls.hidden.unique_id)
