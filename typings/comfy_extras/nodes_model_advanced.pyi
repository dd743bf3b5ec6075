from typing import Any

class ModelSamplingDiscrete:
    def patch(self, model: Any, sampling: str, zsnr: bool) -> tuple[Any]: ...
