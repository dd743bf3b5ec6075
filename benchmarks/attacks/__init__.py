"""What benchmarks/attack.py tries: one module for each area, with its tricks and its mutated files."""

from __future__ import annotations

from .trick import Area


def areas() -> dict[str, Area]:
    """By name, in the order they are run. What an area needs is imported when it runs."""
    from . import local_files, model_files, people, remote, service, texts

    found = (*texts.AREAS, *local_files.AREAS, *model_files.AREAS, *people.AREAS, *remote.AREAS, *service.AREAS)
    return {area.name: area for area in found}
