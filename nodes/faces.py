"""The node that finds the person in the photos."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..faceid_core.adapter.variants import adapter_packs
from ..faceid_core.faces import (
    ON_MISSING,
    PICKS,
    DetectorSettings,
    annotated_photos,
    describe_doubts,
    describe_faces,
    find_faces,
    find_pack,
    list_packs,
    one_person,
    photos_from_tensor,
    tensor_from_photos,
)
from ..faceid_core.faces.detection import SIZE, SIZE_RANGE, STRIDE, THRESHOLD, THRESHOLD_RANGE
from ..faceid_core.pictures.candidates import candidates_shown
from .checks import listed, usable, within_schema
from .host import folders, progress
from .host.metadata import keep_notes
from .host.said import MOST_PICTURES, output
from .sockets import FacesSocket


class FaceIDExtractFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        packs = listed("The face packs", lambda: (pack.name for pack in list_packs(folders.insightface_roots())))
        return io.Schema(
            node_id="FaceIDExtractFace",
            display_name="FaceID Extract Face",
            category="FaceID",
            description="Finds one face in each photo and reads the identity out of it.",
            search_aliases=["insightface", "face analysis", "face detection", "face crop", "arcface"],
            inputs=[
                io.Image.Input("images", tooltip="One photo or several of the same person."),
                io.Combo.Input(
                    "face_pack",
                    options=["auto", *packs],
                    default="auto",
                    tooltip="Detector and recogniser. FaceID adapters were trained on buffalo_l; auto takes it when it "
                    "is in models/insightface, else the embedded pack.",
                ),
                io.Combo.Input(
                    "pick",
                    options=list(PICKS),
                    default="largest",
                    tooltip="Which face of each photo. Of several photos, largest "
                    "takes the face that is the same person in most of them.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=999,
                    tooltip='For pick "index": the number of the face in the preview, from left to right.',
                ),
                io.Combo.Input(
                    "on_missing",
                    options=list(ON_MISSING),
                    default="error",
                    tooltip="What to do with a photo that shows no face.",
                ),
                io.Int.Input(
                    "detector_size",
                    default=SIZE,
                    min=SIZE_RANGE[0],
                    max=SIZE_RANGE[1],
                    step=STRIDE,
                    optional=True,
                    advanced=True,
                    tooltip="Pixels of the detector's first input. Larger finds smaller faces, smaller finds close-ups "
                    "at once; other sizes are tried where nothing is found.",
                ),
                io.Float.Input(
                    "detector_threshold",
                    default=THRESHOLD,
                    min=THRESHOLD_RANGE[0],
                    max=THRESHOLD_RANGE[1],
                    step=0.05,
                    optional=True,
                    advanced=True,
                    tooltip="The score that a face needs. Higher leaves doubtful faces out.",
                ),
            ],
            outputs=[
                FacesSocket.Output(display_name="faces", tooltip="The person's identity, for FaceID Apply."),
                io.Image.Output(display_name="crops", tooltip="The chosen faces, aligned, 224 x 224 pixels."),
                io.Image.Output(display_name="preview", tooltip="The photos, with the faces that were found."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema("face_pack")
    def execute(
        cls,
        images: torch.Tensor,
        face_pack: str,
        pick: str,
        index: int,
        on_missing: str,
        detector_size: int = SIZE,
        detector_threshold: float = THRESHOLD,
    ) -> io.NodeOutput:
        settings = DetectorSettings(detector_size, detector_threshold)
        pack = find_pack(face_pack, folders.insightface_roots())
        photos = photos_from_tensor(images)
        found = find_faces(photos, pack, on_photo=progress.bar(len(photos)), settings=settings)
        with candidates_shown(folders.temp_folder(), progress.preview):
            faces = one_person(found, pick, index, on_missing)
        keep_notes(cls, describe_doubts(faces))
        crops = tensor_from_photos([face.crop for face in faces.faces])
        shown = annotated_photos(photos, found, faces)
        said = describe_faces(faces, found, adapter_packs())
        return output(faces, crops, tensor_from_photos(shown), said=said, pictures=shown[:MOST_PICTURES])

    @classmethod
    def validate_inputs(cls, face_pack: str | None = None) -> bool | str:
        # Naming the input switches the built-in list check off: find_pack's own message says where to put the pack.
        return usable(lambda name: find_pack(name, folders.insightface_roots()), face_pack)
