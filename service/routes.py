"""The table of routes: what each takes and answers. The application and the OpenAPI document are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TUNE, PROMPT, FILE = "tune", "prompt", "file"
_ID = r":\d{1,18}"


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        path: with aiohttp's placeholders, ``{name:pattern}``.
        does: module and function, imported at the first request: a ComfyUI where nobody asks loads nothing. The
            function's docstring is what the document says.
        takes: ``tune``, ``prompt`` or ``file``: what the body holds.
        answers: "Tune", "[Prompt]", ...: a schema, or a list of it; "" without a body.
        status: of success.
        refuses: other statuses.
        finds: parameters of the address that choose from a list; one that ends with ``[]`` may be repeated.
        has_ends: also answered with ``.json`` and with a slash at the end.
    """

    method: str
    path: str
    does: str
    takes: str = ""
    answers: str = "Object"
    status: int = 200
    refuses: tuple[int, ...] = (401,)
    has_ends: bool = True
    finds: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it needs no token."""
        return 401 not in self.refuses

    @property
    def handler(self) -> Handler:
        module, _, name = self.does.partition(".")
        found: Handler = getattr(import_module(f".{module}", __package__), name)
        return found


_TUNE, _PROMPT = f"/tunes/{{tune_id{_ID}}}", f"/prompts/{{prompt_id{_ID}}}"
# The official command line sends `/tunes/None/prompts/3`: the prompt's id says all.
_OF_A_TUNE = f"/tunes/{{any_tune:[^/.]{{1,40}}}}{_PROMPT}"
_PAGE = ("limit", "before_id", "offset")
_TUNES = (*_PAGE, "title", "name", "name[]", "model_type", "branch")
_OF_ONE_TUNE = (
    *_PAGE,
    "text",
    "orig_prompt_id",
    "liked",
    "today",
    "is_video",
    "is_api",
    "pack_id",
    "base_pack_id",
    "order_id",
)
_PROMPTS = (*_OF_ONE_TUNE, "tune_id")
_PAGED, _ONE, _POSTED = (400, 401), (401, 404), (400, 401, 404, 408, 413, 422, 429, 503)

ROUTES = (
    Route("POST", "/tunes", "tunes.post_tune", TUNE, "Tune", 201, _POSTED),
    Route("GET", "/tunes", "tunes.list_tunes", "", "[Tune]", 200, _PAGED, finds=_TUNES),
    Route("GET", _TUNE, "tunes.get_tune", "", "Tune", 200, _ONE),
    Route("PATCH", _TUNE, "tunes.patch_tune", TUNE, "Tune", 200, _POSTED),
    Route("DELETE", _TUNE, "tunes.delete_tune", "", "Message", 200, _ONE),
    Route("POST", _TUNE + "/prompts", "prompts.post_prompt", PROMPT, "Prompt", 201, _POSTED),
    Route("GET", _TUNE + "/prompts", "prompts.list_prompts", "", "[Prompt]", 200, _PAGED, finds=_OF_ONE_TUNE),
    Route("GET", _OF_A_TUNE, "prompts.get_prompt", "", "Prompt", 200, _ONE),
    Route("DELETE", _OF_A_TUNE, "prompts.delete_prompt", "", "Message", 200, _ONE),
    Route("PATCH", _OF_A_TUNE, "prompts.patch_prompt", PROMPT, "Prompt", 200, _POSTED),
    Route("PATCH", _PROMPT, "prompts.patch_prompt", PROMPT, "Prompt", 200, _POSTED),
    Route("GET", "/prompts", "prompts.list_prompts", "", "[Prompt]", 200, _PAGED, finds=_PROMPTS),
    Route("GET", _PROMPT, "prompts.get_prompt", "", "Prompt", 200, _ONE),
    Route("DELETE", _PROMPT, "prompts.delete_prompt", "", "Message", 200, _ONE),
    Route("POST", _PROMPT + "/duplicate", "prompts.duplicate_prompt", PROMPT, "Prompt", 201, _POSTED),
    Route("POST", _PROMPT + "/likes", "prompts.like_prompt", "", "", 201, _ONE),
    Route("POST", _PROMPT + "/like", "prompts.like_prompt", "", "", 201, _ONE),
    Route("DELETE", _PROMPT + "/likes", "prompts.unlike_prompt", "", "", 204, _ONE),
    Route("DELETE", _PROMPT + "/like", "prompts.unlike_prompt", "", "", 204, _ONE),
    Route("POST", "/p/{slug:[^/.]{1,80}}/tunes", "tunes.post_pack_tune", TUNE, "Tune", 201, _POSTED),
    Route("POST", "/images/inspect", "tunes.inspect_image", FILE, "Object", 200, (400, 401, 408, 413, 422)),
    Route("GET", "/users", "catalogue.get_users"),
    Route("GET", "/cli/models", "catalogue.get_models", refuses=()),
    Route("GET", "/gallery/tunes", "catalogue.get_gallery", "", "[Object]", finds=("model_type",)),
    Route("GET", "/packs", "catalogue.get_nothing", "", "[Object]"),
    Route("GET", "/gallery/packs", "catalogue.get_nothing", "", "[Object]"),
    Route("GET", "/workspaces", "catalogue.get_nothing", "", "[Object]"),
    Route("GET", "/status", "status.get_status"),
    Route("GET", r"/images/{name:[\w-]{16,120}}", "pictures.get_picture", "", "", 200, (304, 404, 416), has_ends=False),
    Route("GET", "/health", "status.get_health", refuses=(), has_ends=False),
    Route("GET", "/ready", "status.get_ready", refuses=(503,), has_ends=False),
    Route("GET", "/metrics", "status.get_metrics", "", "", has_ends=False),
    Route("GET", "/openapi.json", "openapi.get_document", refuses=(), has_ends=False),
    Route("GET", "/", "status.get_page", "", "", refuses=(), has_ends=False),
)
