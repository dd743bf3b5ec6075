"""The one switch between this machine and the remote API."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..faceid_core.errors import FaceIDError
from .checks import within_schema

LOCAL, REMOTE = "local", "remote"


class FaceIDSwitch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDSwitch",
            display_name="FaceID Switch",
            category="FaceID",
            description="Draws here or through the remote API. The side that is not chosen never runs: no model is "
            "loaded for it, nothing is uploaded for it.",
            search_aliases=["local remote", "astria switch", "backend"],
            inputs=[
                io.Combo.Input(
                    "backend",
                    options=[LOCAL, REMOTE],
                    default=LOCAL,
                    tooltip="local: draw on this machine. remote: draw through the Astria API.",
                ),
                io.Image.Input(LOCAL, lazy=True, optional=True, tooltip="Pictures drawn on this machine."),
                io.Image.Input(REMOTE, lazy=True, optional=True, tooltip="Pictures from FaceID Remote Prompt."),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The pictures of the chosen side.")],
        )

    @classmethod
    def check_lazy_status(cls, backend: str, **sides: torch.Tensor | None) -> list[str]:
        # A side that is connected and not evaluated yet is None; one that is not connected is absent.
        return [backend] if backend in sides and sides[backend] is None else []

    @classmethod
    @within_schema()
    def execute(cls, backend: str, **sides: torch.Tensor | None) -> io.NodeOutput:
        if sides.get(backend) is None:
            raise FaceIDError(f"{backend}: nothing is connected. Connect pictures, or choose the other backend.")
        return io.NodeOutput(sides[backend])
