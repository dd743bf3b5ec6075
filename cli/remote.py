"""``faceid remote``: what may be ordered from the remote API today, and what has been."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .home import add_home_option, home_of

if TYPE_CHECKING:
    from ..faceid_core.engines.remote import Allowance


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("remote", help="what may be ordered from the remote API today")
    commands = parser.add_subparsers(required=True, metavar="{today,allow}")
    today = commands.add_parser("today", help="show what is counted, and the limit")
    today.set_defaults(run=_today)
    allow = commands.add_parser("allow", help="allow more today than FACEID_REMOTE_PER_DAY does")
    allow.add_argument("count", type=_count, help="pictures and uploads")
    allow.set_defaults(run=_allow)
    add_home_option(parser)


def _today(options: argparse.Namespace) -> Iterator[str]:
    yield _told(_allowance(options))


def _allow(options: argparse.Namespace) -> Iterator[str]:
    allowance = _allowance(options)
    allowance.allow(options.count)
    yield _told(allowance)


def _told(allowance: Allowance) -> str:
    used, most = allowance.today()
    limit = "FACEID_REMOTE_PER_DAY is not set here: no limit" if most is None else f"of {most} that are allowed"
    return f"{used} remote pictures and uploads are counted today (UTC), {limit}"


def _allowance(options: argparse.Namespace) -> Allowance:
    from ..faceid_core.astria.settings import read_per_day
    from ..faceid_core.engines.remote import Journal

    return Journal(home_of(options) / "remote").allowance(read_per_day())


def _count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 999999")
    return int(text)
