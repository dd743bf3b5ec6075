"""The node that says whether the pictures show the person."""

from __future__ import annotations

from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..faceid_core.faces import find_pack, list_packs, photos_from_tensor, tensor_from_photos
from ..faceid_core.faces.likeness import Likeness, describe_likeness, likeness_matrix, measure_likeness, measuring_pack
from ..faceid_core.pictures.contact_sheet import Frame
from ..faceid_core.pictures.similarity_plot import similarity_plot
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .checks import within_schema
from .host import folders, graph, progress, storage
from .host.said import output
from .retouch_batch import person_of, photos_of
from .sockets import TuneSocket

METADATA_KEY = "faceid_similarity"


class FaceIDSimilarity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDSimilarity",
            display_name="FaceID Similarity",
            category="FaceID",
            description="How much the pictures look like a tune's person, measured with another recogniser than the "
            "one that drew them when there is one.",
            search_aliases=["face similarity", "likeness", "cosine", "face match", "identity score"],
            inputs=[
                io.Image.Input("images", tooltip="The pictures to measure."),
                TuneSocket.Input("tune", tooltip="The person they should show."),
            ],
            outputs=[
                io.Float.Output(
                    display_name="score", tooltip="Mean cosine, -1 to 1; a picture without a face counts as 0."
                ),
                io.Image.Output(display_name="plot", tooltip="The tune's photos against the pictures."),
                io.Image.Output(
                    display_name="images", tooltip="The pictures. Saved from here, their PNG says the score."
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def fingerprint_inputs(cls, images: Tensor | None, tune: Tune | None) -> str:
        # The score reaches a PNG through the prompt that saves it: a prompt that saves again has to measure again.
        return graph.digest_of_what_follows(cls.hidden.unique_id)

    @classmethod
    @within_schema()
    def execute(cls, images: Tensor, tune: Tune) -> io.NodeOutput:
        roots = folders.insightface_roots()
        conditioned_space = find_pack("auto", roots).space
        pack = measuring_pack(conditioned_space, list_packs(roots))
        photos, pictures = photos_of(tune), photos_from_tensor(images)
        person = person_of(tune, pack)
        matrix = likeness_matrix(photos, pictures, pack, progress.bar(len(photos) + len(pictures)))
        found = [measure_likeness(picture, person, pack) for picture in pictures]
        score = float(np.mean([one.cosine or 0.0 for one in found]))
        is_flattering = pack.space == conditioned_space
        plot = similarity_plot(
            [Frame(photo, f"photo {number}", is_photo=True) for number, photo in enumerate(_shown(photos), 1)],
            [Frame(picture, f"image {number}") for number, picture in enumerate(pictures, 1)],
            matrix,
            f"Likeness to {tune.title}",
            describe_likeness(found),
        )
        flattered = f"measured by {pack.name}, which pictures are drawn with here, too: the number may flatter"
        said = Said(
            (flattered,) if is_flattering else (),
            (describe_likeness(found), f"{score:.3f} by {pack.name}", *map(_line, range(1, len(found) + 1), found)),
        )
        measured = {
            "tune": tune.title,
            "node": cls.hidden.unique_id,
            "score": round(score, 4),
            "images": [None if one.cosine is None else round(one.cosine, 4) for one in found],
            "verdicts": [one.verdict.value for one in found],
            "face_pack": pack.name,
            "embedding_space": pack.space,
            "conditioned_too": is_flattering,
        }
        _keep(cls.hidden.extra_pnginfo, measured)
        return output(score, tensor_from_photos([plot]), images, said=said, pictures=[plot])


def _shown(photos: list[np.ndarray]) -> list[np.ndarray]:
    """The photos as the plot shows them: where they are private, grey."""
    return [np.full_like(photo, 128) for photo in photos] if storage.is_private() else photos


def _line(number: int, one: Likeness) -> str:
    cosine = "" if one.cosine is None else f"{one.cosine:.3f}, "
    return f"image {number}: {cosine}{one.verdict.value}"


def _keep(extra_pnginfo: dict[str, Any] | None, measured: dict[str, object]) -> None:
    """Add to what Save Image writes into PNGs; absent when a script posted the prompt without it.

    A list, for a prompt may measure several times: the PNG's own ``prompt`` tells which node its picture came from.
    """
    if extra_pnginfo is not None:
        extra_pnginfo.setdefault(METADATA_KEY, []).append(measured)
