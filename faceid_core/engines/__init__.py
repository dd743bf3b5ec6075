"""What draws a picture: ComfyUI's queue, diffusers in this process. See engine.py."""
