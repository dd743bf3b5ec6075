from collections.abc import Callable
from typing import Any

from aiohttp import web

class PromptServer:
    instance: PromptServer  # set once the server runs
    app: web.Application
    client_id: str | None

    def add_on_prompt_handler(self, handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None: ...
    def send_sync(self, event: str, data: object, sid: str | None = None) -> None: ...
    def send_progress_text(self, text: str, node_id: str) -> None: ...
