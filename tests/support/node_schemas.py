"""The schemas of all nodes, read without a ComfyUI: run as a program, it prints them as JSON.

``comfy_api.latest`` is replaced by classes that keep what they are given, everything else of ComfyUI and ``nodes.host``
by mocks, so lists of installed files are empty. It is a process of its own: the mocks must not reach other tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache, partial
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

REPLACED = ("comfy", "comfy_extras", "comfy_execution", "folder_paths", "server", "faceid_tunes.nodes.host")


@cache
def node_schemas() -> dict[str, dict[str, Any]]:
    """Node id -> ``display_name``, ``inputs`` and ``outputs``; each of the two is a list of {``id``, ``tooltip``}."""
    run = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


class _ReplacedModules:
    """An import finder that answers with a mock for each module of ComfyUI."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        from importlib.machinery import ModuleSpec

        is_replaced = any(name == root or name.startswith((f"{root}.", f"{root}_")) for root in REPLACED)
        return ModuleSpec(name, _ReplacedModules, is_package=True) if is_replaced else None

    @staticmethod
    def create_module(spec: Any) -> Any:
        module = MagicMock(name=spec.name)
        module.__path__ = []
        return module

    @staticmethod
    def exec_module(module: Any) -> None:
        pass


class _Kept:
    """An input, an output or a schema: whatever it was called with."""

    def __init__(self, id: str | None = None, *, type_name: str = "", **given: Any) -> None:
        self.__dict__.update({"tooltip": None, "display_name": type_name.lower()} | given, id=id)


class _Io:
    """``comfy_api.latest.io``: any name that is not its own is a type of socket."""

    ComfyNode = object
    Schema = _Kept
    Hidden = MagicMock(name="Hidden")

    def __getattr__(self, name: str) -> Any:
        return type(name, (), {"Input": _Kept, "Output": partial(_Kept, type_name=name)})

    def Custom(self, io_type: str) -> Any:  # noqa: N802, ComfyUI's name
        return getattr(self, io_type)


def _comfy_api() -> ModuleType:
    latest = ModuleType("comfy_api.latest")
    latest.io, latest.ui, latest.ComfyExtension = _Io(), MagicMock(name="ui"), object
    return latest


def _read() -> dict[str, dict[str, Any]]:
    import asyncio

    sys.modules["comfy_api"], sys.modules["comfy_api.latest"] = ModuleType("comfy_api"), _comfy_api()
    sys.meta_path.insert(0, _ReplacedModules)
    from faceid_tunes.nodes.extension import FaceIDExtension

    def sockets(kept: list[_Kept], named: str) -> list[dict[str, Any]]:
        return [{"id": getattr(one, named), "tooltip": one.tooltip} for one in kept]

    schemas = {}
    for node in asyncio.run(FaceIDExtension().get_node_list()):
        schema = node.define_schema()
        schemas[schema.node_id] = {
            "display_name": schema.display_name,
            "description": schema.description,
            "inputs": sockets(schema.inputs, "id"),
            "outputs": sockets(schema.outputs, "display_name"),
        }
    return schemas


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_read()))
