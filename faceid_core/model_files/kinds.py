"""What a readable model file can be, in words that every refusal uses. How each is recognised: ``tells.py``."""

from __future__ import annotations

from enum import Enum, unique

_LOADER = "It belongs in a checkpoint loader (models/checkpoints)."
_DIFFUSION = "It belongs in models/diffusion_models and the node Load Diffusion Model."
_NOT_YET = "FaceID Tunes does not draw with it."
_IDENTITY = "It needs nodes of its own: FaceID Tunes does not draw with it."
_ADAPTER = "It belongs in models/ipadapter."
_RESTORER = "Choose it where a face is corrected (models/facerestore_models)."
_PACK = "It is part of a face pack, not a model that changes pictures."


@unique
class Kind(Enum):
    """what: continues the sentence "this is ..."; place: where such a file belongs."""

    FACEID = "an IP-Adapter FaceID", _ADAPTER
    FACEID_PLUS = "an IP-Adapter FaceID Plus", _ADAPTER
    FACEID_PORTRAIT = "an IP-Adapter FaceID Portrait", _ADAPTER
    FACEID_UNNORM = "an IP-Adapter FaceID Portrait unnorm", _ADAPTER
    UNNORM_OR_INSTANTID = (
        "an IP-Adapter FaceID Portrait unnorm or the adapter of InstantID, which look alike",
        "It belongs in models/ipadapter or models/instantid.",
    )
    IP_ADAPTER = (
        "an IP-Adapter that copies a picture, not a person",
        "Choose a file with 'faceid' in its published name.",
    )
    IP_ADAPTER_FLUX = (
        "an IP-Adapter for Flux, which copies a picture, not a person",
        "It needs nodes of its own; no person is drawn with it.",
    )
    KOLORS_FACEID = "the IP-Adapter FaceID Plus of Kolors", _IDENTITY
    INSTANTID = "the adapter of InstantID", f"It reads faces of antelopev2, not of buffalo_l. {_IDENTITY}"
    PULID = "a PuLID model for SDXL", _IDENTITY
    PULID_FLUX = "a PuLID model for Flux", _IDENTITY
    INFINITE_YOU = "the image projection of InfiniteYou (for Flux)", _IDENTITY
    INFUSENET = "the InfuseNet of InfiniteYou (a ControlNet for Flux)", _IDENTITY
    PHOTOMAKER = "a PhotoMaker model", "It belongs in models/photomaker and the node PhotoMakerLoader."
    CONSISTENTID = "a ConsistentID model", _IDENTITY
    LORA = "a LoRA file", "It belongs in models/loras; name it in the text, as <lora:name:1>."
    CONTROLNET = "a ControlNet", "It belongs in models/controlnet and the node Load ControlNet Model."
    EMBEDDING = "a textual inversion embedding", "It belongs in models/embeddings; name it in the text."
    VIDEO = "a video model", _NOT_YET
    SDXL = "an SDXL checkpoint", _LOADER
    SDXL_DISTILLED = "a distilled SDXL checkpoint (SSD-1B, Vega) with fewer layers than SDXL", _LOADER
    SD2 = "an SD 2 checkpoint", _LOADER
    SD15 = "an SD 1.5 checkpoint", _LOADER
    INPAINTING = "an inpainting checkpoint (9 input channels)", _LOADER
    INSTRUCT_PIX2PIX = "an InstructPix2Pix checkpoint (8 input channels)", _LOADER
    FLUX = "a Flux model (with a transformer)", _DIFFUSION
    SD3 = "an SD 3 model (with a transformer)", _DIFFUSION
    TRANSFORMER = "a model with a transformer, newer than SDXL", _DIFFUSION
    CHECKPOINT = "a checkpoint of a picture generator", _LOADER
    UNET = "a UNet alone", _DIFFUSION
    VAE = "a VAE alone", "It belongs in models/vae and the node Load VAE."
    TEXT_ENCODER = "a text encoder alone", "It belongs in models/text_encoders and the node Load CLIP."
    CLIP_VISION = "a CLIP vision encoder", "It belongs in models/clip_vision and a CLIP vision loader."
    OPEN_CLIP = "a CLIP vision encoder in the layout of open_clip", "The layout of transformers is needed."
    EVA_CLIP = "the EVA-CLIP encoder of PuLID", _IDENTITY
    FACE_PARSER = "a face parsing model (BiSeNet)", "It belongs in models/facexlib."
    GFPGAN = "a face restorer (GFPGAN)", _RESTORER
    CODEFORMER = "a face restorer (CodeFormer)", _RESTORER
    RESTOREFORMER = "a face restorer (RestoreFormer)", _RESTORER
    RESTOREFORMER_PP = "a face restorer (RestoreFormer++)", _RESTORER
    RESTORER = "a face restorer", _RESTORER
    SWAPPER = "a face swapper", "Choose it where a face is swapped (models/insightface, models/hyperswap)."
    UPSCALER = (
        "a super-resolution model",
        'It belongs in models/upscale_models and the node "Load Upscale Model".',
    )
    RECOGNISER = "a face recogniser", _PACK
    DETECTOR = "a face detector", _PACK
    UNKNOWN = "no model this package knows", ""

    @property
    def what(self) -> str:
        return self.value[0]

    @property
    def place(self) -> str:
        return self.value[1]


RESTORERS = frozenset({Kind.GFPGAN, Kind.CODEFORMER, Kind.RESTOREFORMER, Kind.RESTOREFORMER_PP, Kind.RESTORER})
