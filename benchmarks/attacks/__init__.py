"""What benchmarks/attack.py tries: one module for each area, with its tricks and its mutated files."""

from __future__ import annotations

from .trick import Area


def areas() -> dict[str, Area]:
    """By name, in the order they are run. What an area needs is imported when it runs."""
    from . import downloads, local_files, model_files, node_inputs, people, remote, service, texts

    rooms = (texts, local_files, model_files, downloads, people, remote, service, node_inputs)
    found = [area for room in rooms for area in room.AREAS]
    return {area.name: area for area in found}
