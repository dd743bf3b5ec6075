"""What a graph gives to the nodes over links, where ComfyUI checks nothing: in ComfyUI's own Python."""

from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from typing import Any

from .trick import Area, Place, Tricks
from .values import ODD, named


def _inputs(place: Place) -> Tricks:
    import _setup

    os.environ |= {"FACEID_TUNES_HOME": str(place.inside / "home"), "ASTRIA_API_KEY": "", "FACEID_SERVICE": "off"}
    _setup.comfyui()
    import torch
    from comfy_api.latest import io
    from faceid_tunes.nodes import checks
    from faceid_tunes.nodes.extension import FaceIDExtension
    from faceid_tunes.nodes.host import folders

    folders.register_model_folders()
    picture = torch.rand(1, 64, 64, 3)
    more = (torch.zeros(1), torch.full((2, 3), float("nan")), picture, b"\0" * 50, range(10**9), Exception("\x1b[2J"))
    numbers = (io.Int.Input, io.Float.Input)
    widgets = (*numbers, io.Boolean.Input, io.String.Input, io.Combo.Input)

    def plain(wanted: Any) -> Any:
        if isinstance(wanted, io.Image.Input):
            return picture
        options = getattr(wanted, "options", None)
        return wanted.default if wanted.default is not None else next(iter(options or [""]), "")

    def run(node: type[io.ComfyNode], schema: Any, name: str, value: object) -> str:
        wanted = next(one for one in schema.inputs if one.id == name)
        needed = [one for one in schema.inputs if not one.optional]
        if not all(isinstance(one, (*widgets, io.Image.Input)) for one in needed):
            checks._check(schema.inputs, {name: value}, ())  # the rest of this node needs a model
            assert isinstance(value, _kinds(wanted, io)), f"{value!r} is let in"
            return f"within the schema: {named(value)}"
        prepared = node.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
        given = {one.id: plain(one) for one in needed} | {name: value}
        given |= {"title": "A title"} if "title" in given and name != "title" else {}
        done = prepared.execute(**given)
        if asyncio.iscoroutine(done):
            asyncio.run(done)
        return "it ran to its end"

    chosen = random.Random(5)
    for node in asyncio.run(FaceIDExtension().get_node_list()):
        schema = node.define_schema()
        for wanted in schema.inputs:
            if isinstance(wanted, widgets):
                for value in (*chosen.sample(ODD, 8), *chosen.sample(more, 3), 10**400, "../../outside/secret"):
                    yield f"{schema.node_id}.{wanted.id} = {named(value)}", partial(run, node, schema, wanted.id, value)


def _kinds(wanted: Any, io: Any) -> type | tuple[type, ...]:
    """What may come in: None is an input that is not there, and Boolean reads anything as ComfyUI does."""
    if isinstance(wanted, io.Float.Input):
        return (int, float, list, type(None))
    if isinstance(wanted, io.Int.Input):
        return (int, type(None))
    return object if isinstance(wanted, io.Boolean.Input) else (str, type(None))


AREAS = (Area("node inputs", _inputs, in_comfyui=True),)
