"""The only folder that touches ComfyUI's own modules (``comfy.*``, ``folder_paths``, ``server``).

folders.py   model folders, and the files in them
storage.py   what this package keeps in ComfyUI's user directory
progress.py  progress bars, what is said while a node runs, interrupts
said.py      what a node gives when it is done
failures.py  how an error of ours looks
graph.py     the graph that is about to run
posted.py    the graph that is posted and being checked
images.py    image files to IMAGE
models.py    CLIP vision, LoRAs and text on MODEL and CLIP
identity.py  identities on MODEL
sampling.py  NOISE, GUIDER, SAMPLER, SIGMAS and LATENT
retouch.py   restorers, upscalers and sampler passes over finished pictures
"""
