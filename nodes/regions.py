"""The node that gives each of several people a place in the picture."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..faceid_core.adapter.regions import LAYOUTS, around, feathered, stripes
from ..faceid_core.errors import AdapterError, NoFaceError
from ..faceid_core.faces import find_faces, find_pack, photos_from_tensor
from ..faceid_core.said import Said
from .checks import usable, within_schema
from .host import folders
from .host.said import output


class FaceIDRegions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDRegions",
            display_name="FaceID Regions",
            category="FaceID",
            description="Masks that give each of several people a place in the picture, without painting.",
            search_aliases=["several people", "two people", "regional", "attention mask", "couple"],
            inputs=[
                io.Combo.Input(
                    "layout",
                    options=list(LAYOUTS),
                    default=LAYOUTS[0],
                    tooltip="Columns from left to right, rows from the top, or the neighbourhood of each face in "
                    "image, from left to right.",
                ),
                io.Int.Input("people", default=2, min=1, max=16, tooltip="How many people."),
                io.Int.Input("width", default=512, min=16, max=16384, step=8, tooltip="Of the picture, in pixels."),
                io.Int.Input("height", default=512, min=16, max=16384, step=8, tooltip="Of the picture, in pixels."),
                io.Int.Input(
                    "feather", default=0, min=0, max=1024, tooltip="Over how many pixels a region fades into the next."
                ),
                io.Int.Input(
                    "person",
                    default=0,
                    min=0,
                    max=16,
                    tooltip="0: the masks of all people, for FaceID Apply Prompt. 1, 2, ...: one person's mask alone, "
                    "for FaceID Apply.",
                ),
                io.Image.Input("image", optional=True, tooltip="A picture with as many faces; for layout faces only."),
            ],
            outputs=[io.Mask.Output(display_name="masks", tooltip="A mask for each person, in order.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @within_schema()
    def execute(
        cls,
        layout: str,
        people: int,
        width: int,
        height: int,
        feather: int,
        person: int,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        _check_person(people, person)
        if layout == "faces":
            masks = around(_faces(image, people), width, height)
        else:
            masks = stripes(people, width, height, rows=layout == "rows")
        masks = feathered(masks, feather)
        said = Said(lines=(f"{people} regions of {width}x{height}, {layout}",))
        return output(torch.from_numpy(masks if person == 0 else masks[person - 1 : person]), said=said)

    @classmethod
    def validate_inputs(cls, people: int | None = None, person: int | None = None) -> bool | str:
        return usable(_check_person, people, person)


def _check_person(people: int, person: int) -> None:
    if not 0 <= person <= people:
        raise AdapterError(f"person: there is no person {person} of {people}. Use 0 to {people}.")


def _faces(image: torch.Tensor | None, people: int) -> list[tuple[float, float]]:
    """Centres of the largest faces of a picture, from left to right."""
    if image is None:
        raise NoFaceError("image: layout faces needs a picture. Connect one, or choose columns or rows.")
    photo = photos_from_tensor(image[:1])[0]
    found = find_faces([photo], find_pack("auto", folders.insightface_roots())).photos[0].faces
    if len(found) < people:
        raise NoFaceError(f"image: shows {len(found)} of {people} faces. Use another picture.")
    largest = sorted(found, key=lambda face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))[:people]
    height, width = photo.shape[:2]
    centres = [((f.box[0] + f.box[2]) / 2 / width, (f.box[1] + f.box[3]) / 2 / height) for f in largest]
    return sorted((float(x), float(y)) for x, y in centres)
