"""Nodes that draw through the remote API."""

from __future__ import annotations

import json

from comfy_api.latest import io

from ..faceid_core.astria.base_models import BaseModel
from ..faceid_core.astria.secret import Secret, looks_like_key
from ..faceid_core.errors import FaceIDError
from ..faceid_core.prompts import Prompt
from ..faceid_core.said import Said
from .before import check_key
from .checks import listed, usable, within_schema
from .host import folders, graphs, progress, storage
from .host.images import images_from_files
from .host.metadata import keep_notes
from .host.said import output
from .sockets import PromptSocket


class FaceIDRemotePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDRemotePrompt",
            display_name="FaceID Remote Prompt",
            category="FaceID",
            description="Draws a prompt through the Astria API. People the text names are uploaded on first use. The "
            "key comes from the environment variable ASTRIA_API_KEY or a file, never from the graph.",
            search_aliases=["astria", "api", "cloud", "remote"],
            inputs=[
                PromptSocket.Input("prompt", tooltip="From FaceID Prompt."),
                io.Int.Input(
                    "base_tune_id",
                    default=690204,
                    min=1,
                    max=2**31 - 1,
                    tooltip="The base model on the remote side. 690204 is Realistic Vision v5.1.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The pictures that the API drew."),
                io.String.Output(display_name="response", tooltip="The API's answer, as JSON."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema()
    async def execute(cls, prompt: Prompt, base_tune_id: int) -> io.NodeOutput:
        from ..faceid_core.astria.client import AstriaClient
        from ..faceid_core.astria.wire.objects_json import prompt_text
        from ..faceid_core.engines.remote import draw_remotely, money_notes

        settings = storage.astria_settings()
        refuse_keys(settings.key, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        on_progress = progress.stage_bar(cls.hidden.unique_id)
        store, journal = storage.tune_store(), storage.remote_journal()
        graphs.settle()
        async with AstriaClient(settings) as client:

            async def work() -> io.NodeOutput:
                drawn = await draw_remotely(client, prompt, store, journal, base_tune_id, on_progress)
                lines = (f"remote prompt {drawn.prompt.id}", *await money_notes(client, drawn.prompt))
                keep_notes(cls, drawn.notes)
                values = images_from_files(drawn.images), prompt_text(drawn.prompt)
                delivered = output(*values, said=Said(tuple(drawn.notes), lines))
                graphs.when_done(drawn.forget)  # a kill before the pictures are saved: they are fetched again, not paid
                return delivered

            return await progress.interruptible(work())

    @classmethod
    def validate_inputs(cls, base_tune_id: int | None = None) -> bool | str:
        # Naming the input switches the built-in check of its range off; execute has it.
        return usable(check_key, cls.hidden.unique_id)


class FaceIDBaseModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDBaseModel",
            display_name="FaceID Base Model",
            category="FaceID",
            description="One choice for both sides of the switch: the base model of the remote API, and the checkpoint "
            "here that looks the same. A table that you can edit says which belong together.",
            search_aliases=["base tune", "astria gallery", "checkpoint"],
            inputs=[
                io.Combo.Input(
                    "base_model",
                    options=listed("The base models", storage.base_model_titles),
                    tooltip="Names in the table user/__faceid_tunes/base_models.toml.",
                )
            ],
            outputs=[
                io.Int.Output(display_name="base_tune_id", tooltip="For FaceID Remote Prompt."),
                io.AnyType.Output(display_name="ckpt_name", tooltip="For Load Checkpoint."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @within_schema("base_model")
    def execute(cls, base_model: str) -> io.NodeOutput:
        chosen, installed = _chosen(base_model)
        # Without the file the remote side still works; Load Checkpoint will say which one is missing.
        missing = f"not installed here: put {chosen.checkpoints[0]} into models/checkpoints"
        said = Said(() if installed else (missing,), (" · ".join(filter(None, [str(chosen.id), installed])),))
        return output(chosen.id, installed or chosen.checkpoints[0], said=said)

    @classmethod
    def fingerprint_inputs(cls, base_model: str | None) -> str:
        """The table may be edited, and a checkpoint installed, between two runs."""
        if base_model is None:  # linked: it may be any of them
            return repr((storage.base_models(), folders.checkpoint_names()))
        return repr(_chosen(base_model))


def _chosen(title: str) -> tuple[BaseModel, str | None]:
    """The base model of that title, and the checkpoint here that is the same model, if any."""
    models = storage.base_models()
    for model in models:
        if model.title == title:
            return model, model.installed(folders.checkpoint_names())
    titles = ", ".join(model.title for model in models)
    raise FaceIDError(f"base_model: {title!r} is not in the table of base models any more. There are: {titles}.")


def refuse_keys(key: Secret, *parts: object) -> None:
    """Raises FaceIDError when a graph holds a key: graphs are saved, shared and written into pictures."""
    if looks_like_key(json.dumps(parts, default=str), key):
        raise FaceIDError(
            "This graph holds something that looks like an API key, and graphs are saved into every picture. Remove it "
            "(and revoke it, if the graph was shared), and set the environment variable ASTRIA_API_KEY instead."
        )
