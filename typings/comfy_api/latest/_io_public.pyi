# Offered as ``comfy_api.latest.io``.
from enum import Enum
from typing import Any, ClassVar, TypedDict

from typing_extensions import Unpack

class Input:
    id: str
    def __init__(
        self,
        id: str,
        display_name: str | None = ...,
        optional: bool = ...,
        tooltip: str | None = ...,
        lazy: bool | None = ...,
        *,
        advanced: bool | None = ...,
    ) -> None: ...

class Output:
    def __init__(self, id: str | None = ..., display_name: str | None = ..., tooltip: str | None = ...) -> None: ...

class _Socket:
    class Input(Input): ...
    class Output(Output): ...

class _Widget(TypedDict, total=False):
    display_name: str
    optional: bool
    tooltip: str | None
    advanced: bool | None

class Boolean(_Socket):
    class Input(Input):
        def __init__(self, id: str, *, default: bool | None = ..., **widget: Unpack[_Widget]) -> None: ...

class _Int(_Widget, total=False):
    default: int | None
    min: int | None
    max: int | None
    step: int | None
    control_after_generate: bool | None

class MultiType:
    class Input(Input):
        def __init__(
            self,
            id: str,
            types: list[type[_Socket]],
            *,
            optional: bool = ...,
            tooltip: str | None = ...,
            advanced: bool | None = ...,
        ) -> None: ...

class Int(_Socket):
    class Input(Input):
        min: int
        max: int
        def __init__(self, id: str, **widget: Unpack[_Int]) -> None: ...

class _Float(_Widget, total=False):
    default: float | None
    min: float | None
    max: float | None
    step: float | None

class Float(_Socket):
    class Input(Input):
        min: float
        max: float
        def __init__(self, id: str, **widget: Unpack[_Float]) -> None: ...

class _String(_Widget, total=False):
    default: str | None
    multiline: bool
    placeholder: str | None

class String(_Socket):
    class Input(Input):
        def __init__(self, id: str, **widget: Unpack[_String]) -> None: ...

class Combo(_Socket):
    class Input(Input):
        options: list[str]
        def __init__(
            self, id: str, options: list[str], *, default: str | None = ..., **widget: Unpack[_Widget]
        ) -> None: ...

class AnyType(_Socket): ...
class Clip(_Socket): ...
class ClipVision(_Socket): ...
class Guider(_Socket): ...
class Image(_Socket): ...
class Latent(_Socket): ...
class Mask(_Socket): ...
class Model(_Socket): ...
class Noise(_Socket): ...
class Sampler(_Socket): ...
class Sigmas(_Socket): ...
class UpscaleModel(_Socket): ...
class Vae(_Socket): ...

def Custom(io_type: str) -> type[_Socket]: ...

class Hidden(str, Enum):
    unique_id = ...
    prompt = ...
    extra_pnginfo = ...

class HiddenHolder:
    unique_id: str
    prompt: Any
    extra_pnginfo: Any

class Schema:
    inputs: list[Input]
    def __init__(
        self,
        node_id: str,
        display_name: str | None = ...,
        category: str = ...,
        inputs: list[Input] = ...,
        outputs: list[Output] = ...,
        hidden: list[Hidden] = ...,
        description: str = ...,
        search_aliases: list[str] = ...,
    ) -> None: ...

# execute, validate_inputs, fingerprint_inputs and check_lazy_status take the node's own inputs by name.
class ComfyNode:
    hidden: ClassVar[HiddenHolder]

    @classmethod
    def define_schema(cls) -> Schema: ...

class NodeOutput:
    args: tuple[Any, ...]

    def __init__(self, *args: Any, ui: dict[str, Any] | None = None) -> None: ...
