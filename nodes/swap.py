"""The node that paints people over the faces of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..faceid_core.errors import FaceIDError
from ..faceid_core.faces import FacePack, describe_doubts, find_pack, photos_from_tensor
from ..faceid_core.retouch import (
    CHOICES,
    POSITIONS,
    Retouched,
    Target,
    all_targets,
    load_swapper,
    parsing,
    reference_target,
    shape_note,
    swap_faces,
)
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .checks import within_schema
from .host import folders, progress
from .host.metadata import keep_notes
from .host.retouch import run_parser
from .host.said import output
from .inputs import preview
from .retouch import SWAP_PREVIEW, swap_model_input
from .retouch_batch import person_of, retouched
from .sockets import TuneSocket

_MORE = (2, 3)  # people beside the first


class FaceIDSwapFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDSwapFace",
            display_name="FaceID Swap Face",
            category="FaceID",
            description="Paints a tune's person over a face of each picture. Pictures without a face pass as they are.",
            search_aliases=["inswapper", "hyperswap", "reactor", "roop", "face swap"],
            inputs=[
                io.Image.Input("images", tooltip="The pictures to change."),
                TuneSocket.Input("tune", tooltip="Whom to paint, the mean of all photos."),
                swap_model_input(),
                io.Combo.Input(
                    "choice", options=list(CHOICES), default=CHOICES[0], tooltip="Which faces become the person."
                ),
                io.Int.Input(
                    "index", default=0, min=0, max=999, tooltip='For choice "index": the face, from left to right.'
                ),
                preview(SWAP_PREVIEW),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="Whose face becomes the person; a picture without this face is not changed.",
                ),
                io.String.Input(
                    "places",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip='The face of each person in their order, as in "0, largest": a number from 0, left to '
                    f"right, or {', '.join(POSITIONS)}. Empty: as choice says.",
                ),
                *(each for number in _MORE for each in _person_inputs(number)),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The pictures with the person's face.")],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema("swap_model")
    def execute(
        cls,
        images: Tensor,
        tune: Tune,
        swap_model: str,
        choice: str,
        index: int,
        preview: bool,
        reference: Tensor | None = None,
        places: str = "",
        **more: Any,
    ) -> io.NodeOutput:
        path = folders.swapper_path(swap_model)
        if path is None:
            raise FaceIDError(
                "swap_model: there is no swapper. Put inswapper_128.onnx into models/insightface, for example with "
                "`faceid weights fetch --for face-swap`."
            )
        pack = find_pack("auto", folders.insightface_roots())
        given = _people(tune, reference, more)
        references = [_reference(photo, name, pack) for _, photo, name in given]
        targets = all_targets(places, references)
        swapper, people = load_swapper(path), [person_of(one, pack) for one, _, _ in given]
        parse = parsing(folders.parser_path(), run_parser)
        step = progress.bar(len(images))

        def swap(picture: np.ndarray, number: int) -> Retouched:
            step(number, len(images))
            return swap_faces(
                picture,
                people,
                swapper,
                pack,
                choice=choice,
                index=index,
                targets=targets,
                preview=preview,
                parse=parse,
            )

        swapped, notes = retouched(images, swap)
        notes = [*(remark for target in references if target for remark in target.remarks), *notes]
        titles = " and ".join(one.title for one, _, _ in given)
        doubts = [doubt for person in people for doubt in describe_doubts(person)]
        keep_notes(cls, [*doubts, *notes, shape_note(parse)])
        lines = (f"{titles} with {swapper.name} ({swapper.licence})", shape_note(parse))
        return output(swapped, said=Said((*doubts, *notes), lines))


def _person_inputs(number: int) -> tuple[io.Input, io.Input]:
    return (
        TuneSocket.Input(f"tune_{number}", optional=True, tooltip=f"Person {number}, over another face."),
        io.Image.Input(f"reference_{number}", optional=True, tooltip=f"Whose face becomes person {number}."),
    )


def _people(tune: Tune, reference: Tensor | None, more: dict[str, Any]) -> list[tuple[Tune, Tensor | None, str]]:
    """Each person, their reference, and that input's name."""
    people = [(tune, reference, "reference")]
    for number in _MORE:
        other, photo = more.get(f"tune_{number}"), more.get(f"reference_{number}")
        if other is not None:
            people.append((other, photo, f"reference_{number}"))
        elif photo is not None:
            raise FaceIDError(f"reference_{number}: connect tune_{number}, too, the person to paint over that face.")
    return people


def _reference(photo: Tensor | None, name: str, pack: FacePack) -> Target | None:
    return None if photo is None else reference_target(photos_from_tensor(photo), pack, name)
