"""``faceid worker``: draws what ``faceid serve`` has promised, on another machine or beside it."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .engines import add_engine_options, chosen_engines
from .home import add_home_option, with_subcommands

if TYPE_CHECKING:
    from ..faceid_core.engines.engine import Engine
    from ..faceid_core.jobs.queue import Jobs
    from ..faceid_core.tunes.store import TuneStore
    from ..service.worker import Worker


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("worker", help="draw the prompts of a service, from the same database")
    add_store_options(parser)
    add_engine_options(parser, several=True)
    add_home_option(parser)
    parser.set_defaults(run=_work)


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Where tunes and prompts are, also after a subcommand; else in ``--home``, or where the environment says."""
    parser.set_defaults(database=None, blobs=None)
    for each in with_subcommands(parser):
        group = each.add_argument_group("store")
        for option, told in (
            ("--database", "postgresql+psycopg://USER@HOST/NAME, for several machines"),
            ("--blobs", "photos and pictures: a folder, or s3://BUCKET/PATH"),
        ):
            group.add_argument(option, metavar="URL", default=argparse.SUPPRESS, help=told)


def made_worker(jobs: Jobs, store: TuneStore, engine: Engine, number: int) -> Worker:
    from ..service.worker import Worker

    return Worker(jobs, store, lambda job: engine, name=f"{socket.gethostname()} {os.getpid()}.{number}")


def _work(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.jobs.queue import Jobs
    from ..faceid_core.tunes.store import open_store
    from ..service.run import work

    with open_store(options.home, database_url=options.database, blobs_url=options.blobs) as store:
        jobs, engines = Jobs(store), chosen_engines(options)
        yield from (f"drawing with {engine.name}" for engine in engines)
        yield "waiting for prompts; Ctrl-C ends it"
        work([made_worker(jobs, store, engine, number) for number, engine in enumerate(engines, 1)])
