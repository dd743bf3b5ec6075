"""Nodes that load a FaceID adapter and put a person on a model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..faceid_core.adapter.model import Adapter, load_adapter
from ..faceid_core.adapter.strengths import strength_and_factors
from ..faceid_core.adapter.tokens import preview_note
from ..faceid_core.adapter.variants import Variant
from ..faceid_core.faces.face import Faces
from ..faceid_core.said import Said
from .before import check_apply
from .checks import listed, usable, within_schema
from .host import folders
from .host.metadata import keep_notes
from .host.said import output
from .identity import Person, describe, show_person
from .inputs import clip_vision, lora_strength, preview, slider, structure
from .sockets import AdapterSocket, FacesSocket, FloatsSocket


class FaceIDLoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDLoadAdapter",
            display_name="FaceID Load Adapter",
            category="FaceID",
            description="Loads an IP-Adapter FaceID model. One file is enough: its LoRA is inside it.",
            search_aliases=["ipadapter faceid", "ip-adapter loader", "face id model"],
            inputs=[
                io.Combo.Input(
                    "adapter_name",
                    options=listed("The adapters", folders.adapter_names),
                    tooltip="Files in models/ipadapter, e.g. ip-adapter-faceid_sd15.bin. Kind and base model are read "
                    "from the file itself.",
                ),
                io.Combo.Input(
                    "variant",
                    options=["auto", Variant.PLUS.value, Variant.PLUS_V2.value],
                    default="auto",
                    advanced=True,
                    tooltip="Only for a renamed FaceID Plus file, which looks the same as PlusV2.",
                ),
            ],
            outputs=[AdapterSocket.Output(display_name="adapter", tooltip="For FaceID Apply and FaceID Apply Prompt.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @within_schema("adapter_name")
    def execute(cls, adapter_name: str, variant: str) -> io.NodeOutput:
        adapter = load_adapter(folders.adapter_path(adapter_name), None if variant == "auto" else Variant(variant))
        return output(adapter, said=Said(lines=(adapter.spec.title,)))

    @classmethod
    def validate_inputs(cls, adapter_name: str | None = None) -> bool | str:
        return usable(folders.adapter_path, adapter_name)

    @classmethod
    def fingerprint_inputs(cls, adapter_name: str | None, variant: str | None) -> str:
        names = folders.adapter_names() if adapter_name is None else [adapter_name]  # linked: it may be any of them
        stats = [folders.adapter_path(name).stat() for name in names]
        return " ".join([str(variant), *(f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats)])


class FaceIDApply(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDApply",
            display_name="FaceID Apply",
            category="FaceID",
            description="Puts a person on a model: pictures drawn with it show that person. Apply again for a second "
            "person; their effects add up.",
            search_aliases=["ipadapter faceid apply", "face id", "same person", "likeness"],
            inputs=[
                io.Model.Input("model", tooltip="The model of a checkpoint, with the same base model as the adapter."),
                AdapterSocket.Input("adapter", tooltip="From FaceID Load Adapter."),
                FacesSocket.Input("faces", tooltip="From FaceID Extract Face."),
                slider("strength", "How strongly the person shows.", most=3.0),
                lora_strength(
                    ", which it was trained together with. Merged once per adapter, however many people use it"
                ),
                structure(),
                slider(
                    "start_at",
                    "Share of the sampling at which the person starts to show. 0 is the start of the sampling.",
                    default=0.0,
                    step=0.01,
                    advanced=True,
                ),
                slider(
                    "end_at",
                    "Share of the sampling at which the person stops showing. 1 is the end of the sampling.",
                    step=0.01,
                    advanced=True,
                ),
                preview(
                    "Allow faces read with another face pack than the adapter was trained on. The workflow runs, but "
                    "the picture shows somebody else."
                ),
                clip_vision(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where in the picture the person may appear. A batch of masks is one for each picture.",
                ),
                io.Boolean.Input(
                    "faces_per_frame",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Picture i of the batch shows face i alone, for faces read from the frames of a video. "
                    "Otherwise all faces together are one person's.",
                ),
                io.MultiType.Input(
                    "strengths",
                    types=[FloatsSocket, io.Float],
                    optional=True,
                    tooltip="A list of numbers: a factor on strength for each picture of the batch.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="Draws the person: for a sampler, or for a second FaceID Apply.")],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema()
    def execute(
        cls,
        model: Any,
        adapter: Adapter,
        faces: Faces,
        strength: float | list[float],
        lora_strength: float,
        structure: float,
        start_at: float,
        end_at: float,
        preview: bool,
        clip_vision: Any = None,
        mask: Tensor | None = None,
        faces_per_frame: bool = False,
        strengths: object = None,
    ) -> io.NodeOutput:
        whole, factors = strength_and_factors(strength, strengths)
        person = Person(
            "faces",
            faces,
            whole,
            lora_strength,
            structure,
            start_at,
            end_at,
            preview=preview,
            mask=mask,
            strengths=factors,
            faces_per_frame=faces_per_frame,
        )
        shown = show_person(model, adapter, person, clip_vision)
        warnings = tuple(filter(None, [preview_note(adapter, [faces])]))
        keep_notes(cls, warnings)
        return output(shown, said=Said(warnings, (describe(adapter, person),)))

    @classmethod
    def validate_inputs(cls, preview: bool | None = None) -> bool | str:
        return usable(lambda node: check_apply(node, of_tunes=False), cls.hidden.unique_id)
