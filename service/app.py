"""The application: its routes, each with and without ``.json`` and a slash at the end, answered directly."""

from __future__ import annotations

from aiohttp import web

from . import catalogue, pictures, prompts, tunes
from .door import Handler, admitted, answered
from .state import KEY, PREFIX, Service

MAX_BODY = 256 * 1024**2  # bytes
_END = r"{end:(?:\.json)?/?}"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/tunes", tunes.post_tune),
    ("GET", "/tunes", tunes.list_tunes),
    ("GET", r"/tunes/{tune_id:\d{1,18}}", tunes.get_tune),
    ("PATCH", r"/tunes/{tune_id:\d{1,18}}", tunes.patch_tune),
    ("DELETE", r"/tunes/{tune_id:\d{1,18}}", tunes.delete_tune),
    ("POST", r"/tunes/{tune_id:\d{1,18}}/prompts", prompts.post_prompt),
    ("GET", r"/tunes/{tune_id:\d{1,18}}/prompts", prompts.list_prompts),
    ("GET", r"/tunes/{tune_id:\d{1,18}}/prompts/{prompt_id:\d{1,18}}", prompts.get_prompt),
    ("DELETE", r"/tunes/{tune_id:\d{1,18}}/prompts/{prompt_id:\d{1,18}}", prompts.delete_prompt),
    ("POST", r"/prompts/{prompt_id:\d{1,18}}/duplicate", prompts.duplicate_prompt),
    ("POST", r"/prompts/{prompt_id:\d{1,18}}/{likes:likes?}", prompts.like_prompt),
    ("DELETE", r"/prompts/{prompt_id:\d{1,18}}/{likes:likes?}", prompts.unlike_prompt),
    ("POST", r"/p/{slug:[^/.]{1,80}}/tunes", tunes.post_pack_tune),
    ("GET", "/prompts", prompts.list_prompts),
    ("GET", r"/prompts/{prompt_id:\d{1,18}}", prompts.get_prompt),
    ("DELETE", r"/prompts/{prompt_id:\d{1,18}}", prompts.delete_prompt),
    ("GET", "/users", catalogue.get_users),
    ("GET", "/cli/models", catalogue.get_models),
    ("GET", "/gallery/tunes", catalogue.get_gallery),
    ("GET", "/packs", catalogue.get_nothing),
    ("GET", "/gallery/packs", catalogue.get_nothing),
    ("GET", "/workspaces", catalogue.get_nothing),
)


def make_app(service: Service, prefix: str = "") -> web.Application:
    """The service as an application of its own; ``prefix`` is where a host has mounted it ("/faceid")."""
    app = web.Application(middlewares=[answered, admitted], client_max_size=MAX_BODY)
    app[KEY] = service
    app[PREFIX] = prefix
    for method, path, handler in _ROUTES:
        app.router.add_route(method, path + _END, handler)
        if method == "GET":
            app.router.add_route("HEAD", path + _END, handler)
    app.router.add_route("GET", r"/images/{name:[\w-]{16,120}}", pictures.get_picture)
    app.router.add_route("HEAD", r"/images/{name:[\w-]{16,120}}", pictures.get_picture)
    app.router.add_route("OPTIONS", "/{any:.*}", _never)
    return app


async def _never(request: web.Request) -> web.Response:
    raise web.HTTPNotFound  # the middleware answers every OPTIONS
