"""Nodes that finish pictures: everything a prompt asks for, and sharp faces. Swapping alone: ``swap.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..faceid_core.errors import FaceIDError
from ..faceid_core.faces import find_faces, find_pack
from ..faceid_core.prompts import Prompt
from ..faceid_core.retouch import (
    FLAGS,
    Retouched,
    load_restorer,
    parsing,
    restore_faces,
    shape_note,
)
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .checks import listed, within_schema
from .host import folders, progress
from .host.folders import AUTO, NONE
from .host.metadata import keep_notes
from .host.retouch import run_parser, run_restorer
from .host.said import output
from .inputs import preview, slider
from .retouch_batch import person_of, retouch_images, retouched
from .sockets import PromptSocket, TuneSocket

SWAP_PREVIEW = "Allow faces of another face pack than the swapper was trained on; shows somebody else."


def swap_model_input(*more: str) -> io.Combo.Input:
    return io.Combo.Input(
        "swap_model",
        options=[AUTO, *more, *listed("The swappers", folders.swapper_names)],
        default=AUTO,
        tooltip="From models/insightface, models/hyperswap or models/reswapper.",
    )


def _restore_model(*more: str) -> io.Combo.Input:
    return io.Combo.Input(
        "restore_model",
        options=[AUTO, *more, *listed("The restorers", folders.restorer_names)],
        default=AUTO,
        tooltip="From models/facerestore_models.",
    )


class FaceIDRetouch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDRetouch",
            display_name="FaceID Retouch",
            category="FaceID",
            description="Everything a FaceID Prompt asks for once its picture is drawn: "
            f"{', '.join(FLAGS)}. Without such a flag the pictures pass as they are.",
            search_aliases=[
                "face swap",
                "face restore",
                "super resolution",
                "hires fix",
                "face detailer",
                "film grain",
            ],
            inputs=[
                io.Image.Input("images", tooltip="Pictures drawn from the prompt."),
                PromptSocket.Input("prompt", tooltip="The prompt that drew the pictures. Its flags say what is done."),
                swap_model_input(NONE),
                _restore_model(NONE),
                preview(SWAP_PREVIEW),
                io.UpscaleModel.Input("upscale_model", optional=True, tooltip="For super_resolution."),
                io.Guider.Input("guider", optional=True, tooltip="For hires_fix and inpaint_faces."),
                io.Vae.Input("vae", optional=True, tooltip="For hires_fix and inpaint_faces."),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The pictures after everything the prompt asks for.")
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema("swap_model", "restore_model")
    def execute(
        cls,
        images: Tensor,
        prompt: Prompt,
        swap_model: str,
        restore_model: str,
        preview: bool,
        upscale_model: Any = None,
        guider: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        finished, said = retouch_images(
            images,
            prompt,
            swap_model=swap_model,
            restore_model=restore_model,
            preview=preview,
            upscale_model=upscale_model,
            guider=guider,
            vae=vae,
            on_step=progress.stage_bar(cls.hidden.unique_id),
        )
        keep_notes(cls, [*said.warnings, *said.lines])
        size = f"{finished.shape[2]}x{finished.shape[1]}"
        return output(finished, said=Said(said.warnings, (size, *said.lines)))


class FaceIDCorrectFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDCorrectFace",
            display_name="FaceID Correct Face",
            category="FaceID",
            description="Makes the faces of pictures sharp again, as far as the person stays the same person.",
            search_aliases=["gfpgan", "codeformer", "restoreformer", "gpen", "face restore"],
            inputs=[
                io.Image.Input("images", tooltip="The pictures to change."),
                _restore_model(),
                slider("fidelity", "0: beautiful, 1: faithful. Only CodeFormer listens to it.", default=0.8),
                slider(
                    "visibility",
                    "How much of the restored face is shown; lowered where it would cost the likeness.",
                    default=0.8,
                ),
                TuneSocket.Input("tune", optional=True, tooltip="The person that the faces must keep showing."),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The pictures with sharp faces.")],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema("restore_model")
    def execute(
        cls, images: Tensor, restore_model: str, fidelity: float, visibility: float, tune: Tune | None = None
    ) -> io.NodeOutput:
        path = folders.restorer_path(restore_model)
        if path is None:
            raise FaceIDError(
                "restore_model: there is no restorer. Put GFPGANv1.4.pth into models/facerestore_models, for example "
                "with `faceid weights fetch --for face-correct`."
            )
        pack = find_pack("auto", folders.insightface_roots())
        restorer = load_restorer(path)
        settings: dict[str, Any] = {
            "fidelity": fidelity,
            "visibility": visibility,
            "people": [] if tune is None else [person_of(tune, pack)],
            "pack": pack,
            "run": run_restorer(restorer),
            "parse": parsing(folders.parser_path(), run_parser),
        }
        step = progress.bar(len(images))

        def restore(picture: np.ndarray, number: int) -> Retouched:
            step(number, len(images))
            return restore_faces(picture, find_faces([picture], pack).photos[0].faces, restorer, **settings)

        corrected, notes = retouched(images, restore)
        keep_notes(cls, notes)
        lines = (f"{restorer.name} ({restorer.licence})", shape_note(settings["parse"]))
        return output(corrected, said=Said(tuple(notes), lines))
