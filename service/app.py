"""The application: its routes, each with and without ``.json`` and a slash at the end, answered directly."""

from __future__ import annotations

from collections import deque

from aiohttp import web

from .door import admitted, answered, expected
from .openapi import get_document
from .routes import ROUTES
from .state import IGNORED, KEY, PREFIX, Service

MAX_BODY = 256 * 1024**2  # bytes
_END = r"{end:(?:\.json)?/?}"
_REMEMBERED = 50  # requests with parameters of no meaning here, for the status page


def make_app(service: Service, prefix: str = "") -> web.Application:
    """The service as an application of its own; ``prefix`` is where a host has mounted it ("/faceid")."""
    app = web.Application(middlewares=[answered, admitted], client_max_size=MAX_BODY)
    app[KEY], app[PREFIX], app[IGNORED] = service, prefix, deque(maxlen=_REMEMBERED)
    for route in ROUTES:
        path = route.path + (_END if route.has_ends else "")
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, path, route.handler, expect_handler=expected)
    app.router.add_route("GET", "/openapi.json", get_document)
    app.router.add_route("OPTIONS", "/{any:.*}", _never)
    return app


async def _never(request: web.Request) -> web.Response:
    raise web.HTTPNotFound  # the middleware answers every OPTIONS
