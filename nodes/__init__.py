"""ComfyUI nodes: thin skins over the core."""
