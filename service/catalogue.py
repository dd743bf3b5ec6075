"""What clients ask for beside tunes and prompts: the account, the models, lists that are empty here."""

from __future__ import annotations

from aiohttp import web

from .answers import json_answer
from .requests import base_url
from .state import service_of

_MODELS_SECONDS = 3600


async def get_users(request: web.Request) -> web.Response:
    """Name and e-mail are needed by the official command line's login."""
    return json_answer({"id": 1, "name": "FaceID Tunes", "email": "faceid@localhost", "usd_balance_mc": 0})


async def get_models(request: web.Request) -> web.Response:
    """No version of a client is named: one above its own makes the official client replace itself."""
    models = {
        _slug(model.title): {"tune_id": model.id, "title": model.title} for model in service_of(request).base_models
    }
    default = next(iter(models), None)
    return json_answer(
        {"default": default, "models": models, "video_models": {}, "cache_ttl": _MODELS_SECONDS, "cli": {}}
    )


async def get_gallery(request: web.Request) -> web.Response:
    """The base models as tunes that everybody may prompt."""
    url = base_url(request, service_of(request).settings)
    if request.query.get("model_type"):  # a checkpoint has none
        return json_answer([])
    found = [
        {
            "id": model.id,
            "title": model.title,
            "name": None,
            "model_type": None,
            "branch": "sd15",
            "url": f"{url}/tunes/{model.id}.json",
        }
        for model in service_of(request).base_models
    ]
    return json_answer(found)


async def get_nothing(request: web.Request) -> web.Response:
    """A list that is empty here: packs, workspaces."""
    return json_answer([])


def _slug(title: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())
