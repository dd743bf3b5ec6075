"""A picture becomes the same latent in ComfyUI and in the embedded engine, which draw it again from there."""

from __future__ import annotations

import comfy.sd
import skimage.data
import torch
from diffusers import AutoencoderKL
from faceid_tunes.faceid_core.engines.embedded.checkpoint import VAE, open_checkpoint, part_keys
from faceid_tunes.faceid_core.engines.embedded.pipeline import SD15, load_vae_encoder
from faceid_tunes.faceid_core.engines.embedded.sampling import encode
from support.checkpoint import sd15_checkpoint
from support.oracle import relative_l2


def test_a_photo_becomes_the_same_latent():
    file, photo = open_checkpoint(sd15_checkpoint()), torch.from_numpy(skimage.data.astronaut()[:128, :192].copy())
    weights = {key.removeprefix(VAE): tensor for key, tensor in file.read(part_keys(file, VAE))}
    with torch.inference_mode():
        theirs = comfy.sd.VAE(sd=dict(weights), dtype=torch.float32).encode(photo[None] / 255) * 0.18215
    vae = AutoencoderKL.from_single_file(weights, config=str(SD15), subfolder="vae", local_files_only=True)
    vae.encoder = load_vae_encoder(file, torch.device("cpu"))
    with torch.no_grad():
        ours = encode(vae, photo)
    assert ours.shape == (1, 4, 16, 24)
    assert relative_l2(ours, theirs) < 1e-5
