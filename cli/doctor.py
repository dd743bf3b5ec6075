"""``faceid doctor``: what is there and what is missing, and what to do about it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..faceid_core.errors import FaceIDError
from .home import add_home_option, home_of
from .streams import Coloured, Line

_COLOURS = {"good": "green", "missing": "yellow", "problem": "red"}


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("doctor", help="what is there and what is missing, and what to do about it")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="a ComfyUI folder, or one laid out as its models folder"
    )
    add_home_option(parser)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> Iterator[Line]:
    from ..faceid_core.doctor import Level, examine
    from ..faceid_core.surroundings import surrounding_comfyui
    from ..faceid_core.weights.folders import model_folders

    area, problems = "", 0
    comfyui = surrounding_comfyui()
    for finding in examine(model_folders(options.models), comfyui, home_of(options)):
        if finding.area != area:
            area = finding.area
            yield f"{area}:"
        yield ("  ", Coloured(f"{finding.level.value:<8}", _COLOURS[finding.level.value]), finding.said)
        if finding.remedy:
            yield f"          {finding.remedy}"
        problems += finding.level is Level.PROBLEM
    if problems:
        raise FaceIDError(f"{problems} {'problem' if problems == 1 else 'problems'}: see what to do above.")
    yield "A person can be drawn here."
