from aiohttp import web

class PromptServer:
    instance: PromptServer  # set once the server runs
    app: web.Application

    def send_progress_text(self, text: str, node_id: str) -> None: ...
