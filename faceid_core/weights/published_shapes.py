"""Key -> shape of published model files, derived from their architecture.

Sources: CompVis/stable-diffusion (``v1-inference.yaml``, ``openaimodel.py``, ``ddpm modules/model.py``), transformers'
CLIP, tencent-ailab/IP-Adapter (``ip_adapter_faceid.py``, ``attention_processor_faceid.py``).
"""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]

# Width of the 16 cross-attention layers in the order of diffusers' `unet.attn_processors`, the middle block last.
SD15_LAYER_WIDTHS = (320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280)


def sd15_shapes() -> Shapes:
    """Key -> shape of all 1131 tensors: UNet 686, VAE 248, text encoder 197."""
    parts = {
        "model.diffusion_model.": unet_shapes(),
        "first_stage_model.": vae_shapes(),
        "cond_stage_model.transformer.": text_encoder_shapes(),
    }
    return {prefix + key: shape for prefix, shapes in parts.items() for key, shape in shapes.items()}


def unet_shapes() -> Shapes:
    """The SD1.5 UNet under its LDM names (859,520,964 parameters)."""
    embedding = 1280
    found = _linear("time_embed.0", embedding, 320) | _linear("time_embed.2", embedding, embedding)
    found |= _conv("input_blocks.0.0", 320, 4)
    skips, channels, block = [320], 320, 0
    for level, width in enumerate((320, 640, 1280, 1280)):
        for _ in range(2):
            block += 1
            found |= _unet_resblock(f"input_blocks.{block}.0", channels, width, embedding)
            found |= _transformer(f"input_blocks.{block}.1", width) if level < 3 else {}
            channels = width
            skips.append(channels)
        if level < 3:
            block += 1
            found |= _conv(f"input_blocks.{block}.0.op", channels, channels)
            skips.append(channels)
    found |= _unet_resblock("middle_block.0", channels, channels, embedding)
    found |= _transformer("middle_block.1", channels)
    found |= _unet_resblock("middle_block.2", channels, channels, embedding)
    for block in range(12):
        level = 3 - block // 3
        width = (320, 640, 1280, 1280)[level]
        name = f"output_blocks.{block}"
        found |= _unet_resblock(f"{name}.0", channels + skips.pop(), width, embedding)
        found |= _transformer(f"{name}.1", width) if level < 3 else {}
        channels = width
        if block % 3 == 2 and level > 0:
            found |= _conv(f"{name}.{2 if level < 3 else 1}.conv", channels, channels)
    return found | _norm("out.0", 320) | _conv("out.2", 4, 320)


def vae_shapes() -> Shapes:
    """The SD1.5 autoencoder under its LDM names (83,653,863 parameters)."""
    widths = (128, 256, 512, 512)
    found = _conv("encoder.conv_in", 128, 3)
    channels = 128
    for level, width in enumerate(widths):
        for block in range(2):
            found |= _vae_resblock(f"encoder.down.{level}.block.{block}", channels, width)
            channels = width
        found |= _conv(f"encoder.down.{level}.downsample.conv", width, width) if level < 3 else {}
    found |= _vae_middle("encoder", 512) | _norm("encoder.norm_out", 512) | _conv("encoder.conv_out", 8, 512)

    found |= _conv("decoder.conv_in", 512, 4) | _vae_middle("decoder", 512)
    for level in (3, 2, 1, 0):
        for block in range(3):
            found |= _vae_resblock(f"decoder.up.{level}.block.{block}", channels, widths[level])
            channels = widths[level]
        found |= _conv(f"decoder.up.{level}.upsample.conv", channels, channels) if level > 0 else {}
    found |= _norm("decoder.norm_out", 128) | _conv("decoder.conv_out", 3, 128)
    return found | _conv("quant_conv", 8, 8, kernel=1) | _conv("post_quant_conv", 4, 4, kernel=1)


def text_encoder_shapes() -> Shapes:
    """OpenAI's CLIP ViT-L/14 text model as transformers names it (123,060,480 parameters)."""
    embeddings = "text_model.embeddings"
    found: Shapes = {
        f"{embeddings}.position_ids": (1, 77),
        f"{embeddings}.token_embedding.weight": (49408, 768),
        f"{embeddings}.position_embedding.weight": (77, 768),
    }
    for layer in range(12):
        found |= _clip_layer(f"text_model.encoder.layers.{layer}", 768, 3072)
    return found | _norm("text_model.final_layer_norm", 768)


def clip_vision_h_shapes() -> Shapes:
    """Key -> shape of CLIPVisionModelWithProjection for ViT-H/14: width 1280, 32 layers.

    There is no smaller one: ComfyUI recognises a ViT-H by its layer 30 and builds all 32.
    """
    embeddings = "vision_model.embeddings"
    found = {
        f"{embeddings}.class_embedding": (1280,),
        f"{embeddings}.position_ids": (1, 257),
        f"{embeddings}.patch_embedding.weight": (1280, 3, 14, 14),
        f"{embeddings}.position_embedding.weight": (257, 1280),
    }
    found |= _norm("vision_model.pre_layrnorm", 1280)  # transformers spells it so
    for layer in range(32):
        found |= _clip_layer(f"vision_model.encoder.layers.{layer}", 1280, 5120)
    return found | _norm("vision_model.post_layernorm", 1280) | {"visual_projection.weight": (1024, 1280)}


def faceid_sd15_shapes() -> Shapes:
    """Key -> shape of ``ip-adapter-faceid_sd15.bin``: 6 + 288 tensors, LoRA of rank 128 inside, under flat names."""
    context, tokens, rank = 768, 4, 128
    found = _linear("image_proj.proj.0", 1024, 512) | _linear("image_proj.proj.2", tokens * context, 1024)
    found |= _norm("image_proj.norm", context)
    for layer, width in enumerate(SD15_LAYER_WIDTHS):
        for index, columns in ((2 * layer, width), (2 * layer + 1, context)):  # self-, then cross-attention
            for name, inner in (("q", width), ("k", columns), ("v", columns), ("out", width)):
                found[f"ip_adapter.{index}.to_{name}_lora.down.weight"] = (rank, inner)
                found[f"ip_adapter.{index}.to_{name}_lora.up.weight"] = (width, rank)
        for name in ("k", "v"):
            found[f"ip_adapter.{2 * layer + 1}.to_{name}_ip.weight"] = (width, context)
    return found


def _linear(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _conv(name: str, rows: int, columns: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (rows, columns, kernel, kernel), f"{name}.bias": (rows,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _unet_resblock(name: str, channels: int, width: int, embedding: int) -> Shapes:
    found = _norm(f"{name}.in_layers.0", channels) | _conv(f"{name}.in_layers.2", width, channels)
    found |= _linear(f"{name}.emb_layers.1", width, embedding)
    found |= _norm(f"{name}.out_layers.0", width) | _conv(f"{name}.out_layers.3", width, width)
    return found | (_conv(f"{name}.skip_connection", width, channels, kernel=1) if channels != width else {})


def _transformer(name: str, width: int, context: int = 768) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    found = _norm(f"{name}.norm", width) | _conv(f"{name}.proj_in", width, width, kernel=1)
    for attention, columns in (("attn1", width), ("attn2", context)):
        found[f"{block}.{attention}.to_q.weight"] = (width, width)
        found[f"{block}.{attention}.to_k.weight"] = (width, columns)
        found[f"{block}.{attention}.to_v.weight"] = (width, columns)
        found |= _linear(f"{block}.{attention}.to_out.0", width, width)
    found |= _linear(f"{block}.ff.net.0.proj", 8 * width, width) | _linear(f"{block}.ff.net.2", width, 4 * width)
    for norm in ("norm1", "norm2", "norm3"):
        found |= _norm(f"{block}.{norm}", width)
    return found | _conv(f"{name}.proj_out", width, width, kernel=1)


def _vae_resblock(name: str, channels: int, width: int) -> Shapes:
    found = _norm(f"{name}.norm1", channels) | _conv(f"{name}.conv1", width, channels)
    found |= _norm(f"{name}.norm2", width) | _conv(f"{name}.conv2", width, width)
    return found | (_conv(f"{name}.nin_shortcut", width, channels, kernel=1) if channels != width else {})


def _vae_middle(half: str, width: int) -> Shapes:
    found = _vae_resblock(f"{half}.mid.block_1", width, width) | _vae_resblock(f"{half}.mid.block_2", width, width)
    found |= _norm(f"{half}.mid.attn_1.norm", width)
    for name in ("q", "k", "v", "proj_out"):
        found |= _conv(f"{half}.mid.attn_1.{name}", width, width, kernel=1)
    return found


def _clip_layer(name: str, width: int, inner: int) -> Shapes:
    found = _norm(f"{name}.layer_norm1", width) | _norm(f"{name}.layer_norm2", width)
    for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= _linear(f"{name}.self_attn.{projection}", width, width)
    return found | _linear(f"{name}.mlp.fc1", inner, width) | _linear(f"{name}.mlp.fc2", width, inner)
