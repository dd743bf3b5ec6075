class PromptServer:
    instance: PromptServer  # set once the server runs

    def send_progress_text(self, text: str, node_id: str) -> None: ...
