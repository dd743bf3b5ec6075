"""Socket types of this package. What travels through them are the core's values of the name without ``Socket``."""

from comfy_api.latest import io

FacesSocket = io.Custom("FACEID_FACES")
AdapterSocket = io.Custom("FACEID_ADAPTER")
TuneSocket = io.Custom("FACEID_TUNE")
PromptSocket = io.Custom("FACEID_PROMPT")
FloatsSocket = io.Custom("FLOATS")  # ComfyUI's own name for a list of floats; other extensions send it as a FLOAT
