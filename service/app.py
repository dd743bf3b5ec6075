"""The application: its routes, each with and without ``.json`` and a slash at the end, answered directly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aiohttp import web

from ..faceid_core.astria.wire.bodies import BodyLimits
from .door import admitted, answered, expected
from .routes import ROUTES, Handler, Route
from .state import IGNORED, KEY, OPEN, PREFIX, Service, Source

_END = r"{end:(?:\.json)?/?}"
_REMEMBERED = 50  # requests with parameters of no meaning here, for the status page


def make_app(service: Callable[[], Service], prefix: str = "") -> web.Application:
    """The service as an application of its own.

    Args:
        service: called once, at the first request, in a thread.
        prefix: where a host has mounted the application: "/faceid".
    """
    app = web.Application(middlewares=[answered, admitted], client_max_size=BodyLimits.body)
    app[KEY], app[PREFIX], app[IGNORED], app[OPEN] = Source(service), prefix, deque(maxlen=_REMEMBERED), set()
    for route in ROUTES:
        path, handler = route.path + (_END if route.has_ends else ""), _imported_later(route)
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, path, handler, expect_handler=expected)
        if route.is_open:
            app[OPEN].add(handler)
    app.router.add_route("OPTIONS", "/{any:.*}", _never)
    return app


def _imported_later(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await route.handler(request)

    return handle


async def _never(request: web.Request) -> web.Response:
    raise web.HTTPNotFound  # the middleware answers every OPTIONS
