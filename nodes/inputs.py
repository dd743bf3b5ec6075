"""Inputs that several nodes have."""

from __future__ import annotations

from comfy_api.latest import io


def slider(
    name: str,
    tooltip: str,
    *,
    default: float = 1.0,
    most: float = 1.0,
    step: float = 0.05,
    advanced: bool | None = None,
) -> io.Float.Input:
    """A strength or a share, from 0."""
    return io.Float.Input(name, default=default, min=0.0, max=most, step=step, advanced=advanced, tooltip=tooltip)


def lora_strength(more: str = "", *, advanced: bool | None = None) -> io.Float.Input:
    """Of the LoRA inside the adapter; ``more`` goes on with the sentence."""
    return slider("lora_strength", f"Strength of the LoRA inside the adapter{more}.", most=2.0, advanced=advanced)


def structure(*, advanced: bool | None = None) -> io.Float.Input:
    """How much of the CLIP features come along."""
    tooltip = "PlusV2 only: how much of the face's structure (hair line, pose, light) comes along."
    return slider("structure", tooltip, most=3.0, advanced=advanced)


def clip_vision() -> io.ClipVision.Input:
    """The encoder of Plus and PlusV2."""
    return io.ClipVision.Input("clip_vision", optional=True, tooltip="CLIP ViT-H; only for Plus and PlusV2.")


def preview(tooltip: str) -> io.Boolean.Input:
    """Whether faces of another embedding space are allowed."""
    return io.Boolean.Input("preview", default=False, advanced=True, tooltip=tooltip)
