"""Nodes that make identities with a name, and find them again."""

from __future__ import annotations

import io as bytes_io

import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image

from ..faceid_core.errors import counted
from ..faceid_core.faces import find_pack, photos_from_tensor
from ..faceid_core.prompts.text import Tag
from ..faceid_core.said import Said
from ..faceid_core.tunes.tune import Tune
from .checks import listed, usable, within_schema
from .host import folders, progress, storage
from .host.metadata import keep_notes
from .host.said import output
from .remote import refuse_keys
from .sockets import TuneSocket
from .switch import LOCAL, REMOTE

CLASS_NAMES = ["person", "man", "woman", "boy", "girl", "child", "baby"]


def tune_outputs() -> list[io.Output]:
    return [
        TuneSocket.Output(display_name="tune", tooltip="The person, for every node with an input called tune."),
        io.Int.Output(display_name="tune_id", tooltip="The tune's number."),
        io.String.Output(display_name="tag", tooltip="Write it in a prompt to put the person in: <faceid:12:1>."),
    ]


class FaceIDCreateTune(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDCreateTune",
            display_name="FaceID Create Tune",
            category="FaceID",
            description="Keeps a person under a title, ready at once. A title is one person: other photos under it are "
            "refused.",
            search_aliases=["save face", "save identity", "astria tune", "faceid tune"],
            inputs=[
                io.Image.Input("images", tooltip="One photo or several of the same person."),
                io.String.Input("title", default="", placeholder="Title, e.g. Anna 2026", tooltip="Unique name."),
                io.Combo.Input(
                    "name", options=CLASS_NAMES, default="person", tooltip="What the person is in a prompt."
                ),
                io.Combo.Input(
                    "backend",
                    options=[LOCAL, REMOTE],
                    default=LOCAL,
                    optional=True,
                    tooltip="remote: upload the photos to the Astria API at once, not at the first remote picture.",
                ),
                io.String.Input(
                    "photo_choices",
                    default="",
                    optional=True,
                    advanced=True,
                    placeholder="2 ignore; 3 face 1",
                    tooltip="Which photos count, where it is not clear: 2 ignore; 3 face 1 (faces are counted from 0, "
                    "left to right); 4 use; 1 weight 2.",
                ),
            ],
            outputs=tune_outputs(),
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema()
    async def execute(
        cls, images: torch.Tensor, title: str, name: str, backend: str = LOCAL, photo_choices: str = ""
    ) -> io.NodeOutput:
        from ..faceid_core.pictures.candidates import candidates_shown
        from ..faceid_core.tunes.create import create_tune
        from ..faceid_core.tunes.orders import parse_orders

        photos = [_png(photo) for photo in photos_from_tensor(images)]
        pack = find_pack("auto", folders.insightface_roots())
        on_photo, orders = progress.bar(len(photos)), parse_orders(photo_choices)
        with candidates_shown(folders.temp_folder(), progress.preview):
            tune = create_tune(storage.tune_store(), photos, title, name, pack, on_photo=on_photo, orders=orders)
        if backend != REMOTE:
            return _output(cls, tune)
        tune = await _uploaded(tune, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        return _output(cls, tune, f"{tune.remote_id} on the remote side")


class FaceIDLoadTune(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceIDLoadTune",
            display_name="FaceID Load Tune",
            category="FaceID",
            description="A person kept earlier with FaceID Create Tune or `faceid tunes create`.",
            search_aliases=["load face", "load identity", "faceid tune"],
            inputs=[io.Combo.Input("tune", options=listed("The tunes", storage.tune_titles), tooltip="Newest first.")],
            outputs=tune_outputs(),
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    @within_schema("tune")
    def execute(cls, tune: str) -> io.NodeOutput:
        return _output(cls, storage.tune_store().get_by_title(tune))

    @classmethod
    def validate_inputs(cls, tune: str | None = None) -> bool | str:
        # Naming the input switches the built-in list check off; the store's message says whether it expired.
        return usable(lambda title: storage.tune_store().get_by_title(title), tune)

    @classmethod
    def fingerprint_inputs(cls, tune: str | None) -> str:
        if tune is None:  # linked: which one comes is not known yet
            return storage.tune_store().state()
        found = storage.tune_store().get_by_title(tune)
        return f"{found.id} {found.updated_at}"


async def _uploaded(tune: Tune, *graph: object) -> Tune:
    from ..faceid_core.astria.client import AstriaClient
    from ..faceid_core.engines.remote import ensure_remote

    settings = storage.astria_settings()
    refuse_keys(settings.key, *graph)
    async with AstriaClient(settings) as client:
        return await progress.interruptible(ensure_remote(client, storage.tune_store(), tune, storage.remote_journal()))


def _png(photo: np.ndarray) -> bytes:
    """The pixels as a file: what the store keeps, addressed by its hash, so equal pixels must give equal bytes."""
    file = bytes_io.BytesIO()
    Image.fromarray(photo).save(file, "PNG", compress_level=4)
    return file.getvalue()


def _output(node: type[io.ComfyNode], tune: Tune, *more: str) -> io.NodeOutput:
    tag = str(Tag("faceid", str(tune.id)))
    line = f"{tag} is {tune.title!r}, {tune.name}, {counted(len(tune.photos), 'photo')}"
    keep_notes(node, [f"{tune.title}: {doubt}" for doubt in tune.notes])
    return output(tune, tune.id, tag, said=Said(tuple(tune.notes), (line, *more)), pictures=_faces_shown(tune))


def _faces_shown(tune: Tune) -> list[np.ndarray]:
    """A face of the tune, for its node; none where photos are private: whoever queues would see whom they load."""
    from ..faceid_core.tunes.faces import kept_face

    face = None if storage.is_private() else kept_face(tune, storage.tune_store())
    return [] if face is None else [face.crop]
