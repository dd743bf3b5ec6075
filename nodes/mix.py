"""The node that mixes two people."""

from __future__ import annotations

from comfy_api.latest import io

from ..faceid_core.faces.face import Faces
from ..faceid_core.faces.mix import mix_people
from ..faceid_core.faces.packs import find_pack
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .checks import within_schema
from .host import folders
from .host.said import output
from .inputs import slider
from .retouch_batch import person_of
from .sockets import FacesSocket, TuneSocket


def _person(name: str, tooltip: str) -> io.Input:
    return io.MultiType.Input(name, types=[FacesSocket, TuneSocket], tooltip=tooltip)


def _faces(*people: Faces | Tune) -> list[Faces]:
    """The faces of both; a tune is read with the pack that the other person's faces were read with."""
    packs = [person.pack for person in people if isinstance(person, Faces)]

    def faces(person: Faces | Tune) -> Faces:
        if isinstance(person, Faces):
            return person
        return person_of(person, find_pack(packs[0] if packs else "auto", folders.insightface_roots()))

    return [faces(person) for person in people]


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
                _person("faces_1", "The first person, from FaceID Extract Face or a tune."),
                _person("faces_2", "The second person, read with the same face pack."),
                slider(
                    "share", "How much of the second person: 0 is the first alone, 1 the second alone.", default=0.5
                ),
            ],
            outputs=[FacesSocket.Output(display_name="faces", tooltip="The mixed person, for FaceID Apply.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @within_schema()
    def execute(cls, faces_1: Faces | Tune, faces_2: Faces | Tune, share: float) -> io.NodeOutput:
        first, second = _faces(faces_1, faces_2)
        mixed = mix_people(first, second, share)
        said = Said(lines=(f"{1 - share:.0%} of the first person, {share:.0%} of the second",))
        return output(mixed, said=said)
