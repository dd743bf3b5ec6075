from . import _io_public as io
from . import _ui_public as ui

class ComfyExtension:
    async def on_load(self) -> None: ...
    async def get_node_list(self) -> list[type[io.ComfyNode]]: ...

__all__ = ["ComfyExtension", "io", "ui"]
