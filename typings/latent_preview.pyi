from collections.abc import Callable
from typing import Any

def prepare_callback(model: Any, steps: int) -> Callable[..., None]: ...
