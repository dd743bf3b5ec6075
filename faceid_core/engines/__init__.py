"""What draws a picture: ComfyUI's queue, diffusers in this process, the remote API. See engine.py."""
