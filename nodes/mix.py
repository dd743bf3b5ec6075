"""The node that mixes two people."""

from __future__ import annotations

from comfy_api.latest import io

from ..faceid_core.faces.face import Faces
from ..faceid_core.faces.mix import mix_people
from .host import progress
from .inputs import slider
from .sockets import FacesSocket


class FaceIDMixPeople(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDMixPeople",
            display_name="FaceID Mix People",
            category="FaceID",
            description="Somebody between two people, as a child is between its parents.",
            search_aliases=["parents", "blend faces", "merge faces", "average face", "morph"],
            inputs=[
                FacesSocket.Input("faces_1", tooltip="The first person, from FaceID Extract Face."),
                FacesSocket.Input("faces_2", tooltip="The second person, read with the same face pack."),
                slider(
                    "share", "How much of the second person: 0 is the first alone, 1 the second alone.", default=0.5
                ),
            ],
            outputs=[FacesSocket.Output(display_name="faces", tooltip="The mixed person, for FaceID Apply.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, faces_1: Faces, faces_2: Faces, share: float) -> io.NodeOutput:
        mixed = mix_people(faces_1, faces_2, share)
        progress.status(cls.hidden.unique_id, f"{1 - share:.0%} of the first person, {share:.0%} of the second")
        return io.NodeOutput(mixed)
