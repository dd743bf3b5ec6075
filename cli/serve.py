"""``faceid serve``: the API's own routes on this machine, and ``faceid serve token`` for who may use them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ..faceid_core.errors import FaceIDError
from .engines import add_engine_options, chosen_engines, face_pack, model_roots
from .home import add_home_option
from .worker import add_store_options, made_worker

if TYPE_CHECKING:
    from ..faceid_core.tunes.store import TuneStore
    from ..service.settings import ServiceSettings

_PORT = 8190
_COMFYUI_PORT = 8188


def add_to(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subjects.add_parser("serve", help="serve the API's routes here, for its clients")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at; another needs a token")
    parser.add_argument("--port", type=int, default=_PORT, help=f"default: {_PORT}")
    parser.add_argument("--public-url", metavar="URL", help="how clients reach this service, behind a proxy")
    parser.add_argument("--strict", action="store_true", help="refuse what the API's page says is refused")
    parser.add_argument(
        "--no-training",
        action="store_true",
        help="refuse tunes that the API would train, instead of keeping the person",
    )
    parser.add_argument("--idempotent", action="store_true", help="the same title again is the same tune")
    parser.add_argument(
        "--keep-days", type=float, metavar="N", help="how long tunes and pictures are kept; default: for ever"
    )
    parser.add_argument(
        "--prompts-per-day", type=int, metavar="N", help="how many prompts a token may post in 24 hours; default: any"
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="HOST:PORT", help="a private address (or CIDR) to fetch from"
    )
    parser.add_argument("--no-worker", action="store_true", help="draw nothing here: `faceid worker` does, elsewhere")
    add_engine_options(parser, several=True)
    parser.set_defaults(run=_serve)
    actions = parser.add_subparsers(metavar="ACTION")
    token = actions.add_parser("token", help="make a token, and show it once")
    token.add_argument("name", help="who uses it")
    token.set_defaults(run=_token)
    tokens = actions.add_parser("tokens", help="list the tokens")
    tokens.set_defaults(run=_tokens)
    revoke = actions.add_parser("revoke", help="make a token useless")
    revoke.add_argument("name", help="the name it was made with")
    revoke.set_defaults(run=_revoke)
    add_store_options(parser)
    add_home_option(parser)


def _serve(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.astria.base_models import SHIPPED, base_models
    from ..faceid_core.astria.settings import is_this_machine
    from ..faceid_core.jobs.queue import Jobs
    from ..faceid_core.jobs.tokens import list_tokens
    from ..service.run import serve
    from ..service.state import Service

    with _opened(options) as store:
        if not is_this_machine(options.host) and not list_tokens(store.database):
            raise FaceIDError(
                f"--host {options.host} is open to other machines, and there is no token: "
                "make one with `faceid serve token NAME`, or leave --host out."
            )
        jobs = Jobs(store, lifetime=_lifetime(options))
        service = Service(store, jobs, face_pack(model_roots(options)), base_models(SHIPPED), _settings(options))
        workers = []
        if not options.no_worker:
            engines = chosen_engines(options)
            workers = [made_worker(jobs, store, engine, number) for number, engine in enumerate(engines, 1)]
            yield from (f"drawing with {engine.name}" for engine in engines)
        yield f"http://{options.host}:{options.port}: Ctrl-C ends it"
        try:
            serve(service, options.host, options.port, workers)
        except OSError as error:
            raise FaceIDError(
                f"{options.host}:{options.port} cannot be listened at ({error.strerror or error}). "
                "Choose another with --host and --port."
            ) from error


def _opened(options: argparse.Namespace) -> TuneStore:
    from ..faceid_core.tunes.store import open_store

    lifetime = _lifetime(options)
    return open_store(options.home, database_url=options.database, blobs_url=options.blobs, lifetime=lifetime)


def _lifetime(options: argparse.Namespace) -> timedelta | None:
    return timedelta(days=options.keep_days) if options.keep_days else None


def _settings(options: argparse.Namespace) -> ServiceSettings:
    from ..faceid_core.jobs.rules import Rules
    from ..service.callbacks import SECRET_VARIABLE, signature
    from ..service.settings import ServiceSettings

    secret = os.environ.get(SECRET_VARIABLE)
    if secret:
        signature(secret, "a try", datetime.now(timezone.utc), b"{}")
    return ServiceSettings(
        public_url=options.public_url,
        rules=Rules(
            is_strict=options.strict,
            trained_as_faceid=not options.no_training,
            is_idempotent=options.idempotent,
            prompts_per_day=options.prompts_per_day,
        ),
        allowed=tuple(options.allow),
        closed_ports=(options.port, *_comfyui_ports(options)),
        callback_secret=secret,
    )


def _comfyui_ports(options: argparse.Namespace) -> tuple[int, ...]:
    from yarl import URL

    return (_COMFYUI_PORT, *filter(None, (URL(url).port for url in options.comfyui or ())))


def _token(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.jobs.tokens import make_token

    with _opened(options) as store:
        secret = make_token(store.database, options.name)
    yield f"{secret}"
    yield "Send it as: Authorization: Bearer <token>. It is not shown again."


def _tokens(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.jobs.tokens import list_tokens

    with _opened(options) as store:
        for token in list_tokens(store.database):
            state = f"revoked {token.revoked_at:%Y-%m-%d}" if token.revoked_at else "in use"
            yield f"{token.id}  {token.name}  made {token.created_at:%Y-%m-%d}  {state}"


def _revoke(options: argparse.Namespace) -> Iterator[str]:
    from ..faceid_core.jobs.tokens import revoke_token

    with _opened(options) as store:
        revoke_token(store.database, options.name)
    yield f"{options.name}: revoked"
