"""Socket types of this package."""

from comfy_api.latest import io

Faces = io.Custom("FACEID_FACES")
Adapter = io.Custom("FACEID_ADAPTER")
Tune = io.Custom("FACEID_TUNE")
Prompt = io.Custom("FACEID_PROMPT")
