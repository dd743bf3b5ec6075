"""Swappers, restorers and upscalers whose result can be said in a formula, with the published models' contracts.

Swappers and restorers, as ONNX files:

    output = gain * picture + offset + source @ tint        (per channel, in the model's own range)

With gain 1 and nothing else they return their input exactly: whatever comes out changed was changed by the caller.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import torch

ONES, ZEROS = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)

# Of the people of t1, from left to right, for a swapper that paints each in a colour of their own.
COLOURS = np.array([[230, 20, 20], [20, 230, 20], [20, 20, 230], [230, 230, 20], [230, 20, 230], [20, 230, 230]])


def write_swapper(
    file: Path,
    size: int | str = 128,
    *,
    gain: tuple[float, float, float] = ONES,
    offset: tuple[float, float, float] = ZEROS,
    tint: np.ndarray | None = None,
    emap: np.ndarray | None = None,
    emap_name: str = "buff2fs",
    half: bool = False,
    source_first: bool = False,
    with_mask: bool = False,
) -> Path:
    """A swapper of inputs ``target`` [1, 3, size, size] and ``source`` [1, 512].

    tint: [512, 3]; emap: [512, 512], the last weight, in its own precision; half: inputs and outputs in fp16;
    with_mask: a second output ``mask``, as HyperSwap has.
    """
    kind, number = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    tint = np.zeros((512, 3)) if tint is None else tint
    weights = _affine_weights(gain, offset, number)
    weights += [_weight("tint", tint.astype(number)), _weight("per_channel", np.array([1, 3, 1, 1]))]
    nodes = [
        helper.make_node("MatMul", ["source", "tint"], ["colour"]),
        helper.make_node("Reshape", ["colour", "per_channel"], ["paint"]),
        helper.make_node("Mul", ["target", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["moved"]),
        helper.make_node("Add", ["moved", "paint"], ["output"]),
    ]
    inputs = [_value("target", kind, [1, 3, size, size]), _value("source", kind, [1, 512])]
    outputs = [_value("output", kind, [1, 3, size, size])]
    if with_mask:
        nodes.append(helper.make_node("ReduceMean", ["target"], ["mask"], axes=[1]))
        outputs.append(_value("mask", kind, [1, 1, size, size]))
    if emap is not None:
        weights.append(_weight(emap_name, emap))
    return _save(file, nodes, inputs[::-1] if source_first else inputs, outputs, weights)


def write_restorer(
    file: Path,
    size: int | str = 512,
    *,
    gain: tuple[float, float, float] = ONES,
    offset: tuple[float, float, float] = ZEROS,
    weight: type | None = None,
    out_size: int | str | None = None,
) -> Path:
    """A restorer of input ``input`` [1, 3, size, size], and ``weight`` [1] of that number type, which scales offset."""
    inputs = [_value("input", TensorProto.FLOAT, [1, 3, size, size])]
    nodes = [helper.make_node("Mul", ["input", "gain"], ["scaled"])]
    if weight is None:
        nodes.append(helper.make_node("Add", ["scaled", "offset"], ["output"]))
    else:
        inputs.append(_value("weight", helper.np_dtype_to_tensor_dtype(np.dtype(weight)), [1]))
        nodes += [
            helper.make_node("Cast", ["weight"], ["share"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["offset", "share"], ["paint"]),
            helper.make_node("Add", ["scaled", "paint"], ["output"]),
        ]
    out = size if out_size is None else out_size
    output = _value("output", TensorProto.FLOAT, [1, 3, out, out])
    return _save(file, nodes, inputs, [output], _affine_weights(gain, offset, np.float32))


def write_upscaler(file: Path) -> Path:
    """ESRGAN x4 that repeats pixels: its first, last and upsampling convolutions pass them on, the rest is nothing."""
    import torch
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    network = RRDBNet(num_filters=8, num_blocks=1)
    tensors = {key: torch.zeros_like(tensor) for key, tensor in network.state_dict().items()}
    for key in tensors:
        if key.endswith("weight") and "sub" not in key:
            for channel in range(3):
                tensors[key][channel, channel, 1, 1] = 1.0
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    return file


def write_torch_restorer(file: Path, network: torch.nn.Module) -> Path:
    """The network's tensors in half precision, wrapped as the published ``.pth`` of GFPGAN and CodeFormer have them."""
    import torch

    tensors = {key: one.half() if one.is_floating_point() else one for key, one in network.state_dict().items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params_ema": tensors}, file)
    return file


def parser_tensors() -> dict[str, torch.Tensor]:
    """The key set of facexlib's parsing_bisenet.pth with random values (docs/facts/faces.md 3.6)."""
    import torch

    random = torch.Generator().manual_seed(3)
    tensors: dict[str, torch.Tensor] = {}

    def conv(key: str, wide: int, narrow: int, kernel: int) -> None:
        shape = (wide, narrow, kernel, kernel)
        tensors[f"{key}.weight"] = torch.randn(shape, generator=random) / (narrow * kernel**2) ** 0.5

    def norm(key: str, width: int) -> None:
        tensors[f"{key}.weight"] = 1 + 0.2 * torch.rand(width, generator=random)
        tensors[f"{key}.bias"] = 0.1 * torch.randn(width, generator=random)
        tensors[f"{key}.running_mean"] = 0.1 * torch.randn(width, generator=random)
        tensors[f"{key}.running_var"] = 0.5 + torch.rand(width, generator=random)
        tensors[f"{key}.num_batches_tracked"] = torch.tensor(80000)

    def both(key: str, wide: int, narrow: int, kernel: int) -> None:
        conv(f"{key}.conv", wide, narrow, kernel)
        norm(f"{key}.bn", wide)

    conv("cp.resnet.conv1", 64, 3, 7)
    norm("cp.resnet.bn1", 64)
    for layer, (narrow, wide) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), 1):
        for block, width in enumerate((narrow, wide)):
            name = f"cp.resnet.layer{layer}.{block}"
            for number, channels in ((1, width), (2, wide)):
                conv(f"{name}.conv{number}", wide, channels, 3)
                norm(f"{name}.bn{number}", wide)
            if width != wide:
                conv(f"{name}.downsample.0", wide, width, 1)
                norm(f"{name}.downsample.1", wide)
    for name, channels in (("cp.arm16", 256), ("cp.arm32", 512)):
        both(f"{name}.conv", 128, channels, 3)
        conv(f"{name}.conv_atten", 128, 128, 1)
        norm(f"{name}.bn_atten", 128)
    both("cp.conv_head32", 128, 128, 3)
    both("cp.conv_head16", 128, 128, 3)
    both("cp.conv_avg", 128, 512, 1)
    both("ffm.convblk", 256, 256, 1)
    conv("ffm.conv1", 64, 256, 1)
    conv("ffm.conv2", 256, 64, 1)
    for name, channels, middle in (("conv_out", 256, 256), ("conv_out16", 128, 64), ("conv_out32", 128, 64)):
        both(f"{name}.conv", middle, channels, 3)
        conv(f"{name}.conv_out", 19, middle, 1)
    return tensors


def write_parser(file: Path, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    """A face parser as facexlib publishes it: the tensors alone, in a .pth file."""
    import torch

    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(parser_tensors() if tensors is None else tensors, file)
    return file


def write_vae(file: Path) -> Path:
    """A VAE that keeps a picture, every eighth pixel of it, whatever a model of random weights draws.

    TAESD's architecture, which has no norms: the layers that halve the sides take means, those that double them are
    followed by the same, all others pass red, green and blue on. The latents are so large that a sampler's noise, and
    what a random UNet takes for noise, are nothing beside them.
    """
    import torch
    from safetensors.torch import save_file

    def convolution(wide: int, narrow: int, kernel: list[float], gain: float = 1.0) -> torch.Tensor:
        """[wide, narrow, 3, 3]: the first three channels through a separable kernel."""
        one = torch.tensor(kernel)
        weight = torch.zeros(wide, narrow, 3, 3)
        for channel in range(3):
            weight[channel, channel] = gain * one[:, None] * one
        return weight

    keep, mean = [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]
    small = 0.1  # in the decoder: its first layer is a tanh, straight near 0
    encoder, decoder = "taesd_encoder", "taesd_decoder"
    tensors = {
        "vae_scale": torch.tensor(1e-5),
        "vae_shift": torch.tensor(0.0),
        f"{encoder}.0.weight": convolution(64, 3, keep),
        f"{encoder}.14.weight": convolution(4, 64, keep, small),
        f"{decoder}.1.weight": convolution(64, 4, keep),
        f"{decoder}.19.weight": convolution(3, 64, keep, 1 / small),
    }
    tensors |= {f"{encoder}.{layer}.weight": convolution(64, 64, mean) for layer in (2, 6, 10)}
    tensors |= {f"{decoder}.{layer}.weight": convolution(64, 64, mean) for layer in (7, 12, 17)}
    for layer, width in ((f"{encoder}.0", 64), (f"{encoder}.14", 4), (f"{decoder}.1", 64), (f"{decoder}.19", 3)):
        tensors[f"{layer}.bias"] = torch.zeros(width)
    blocks = [f"{encoder}.{layer}" for layer in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13)]
    blocks += [f"{decoder}.{layer}" for layer in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)]
    for block in blocks:  # nothing but their shortcut
        for layer in (0, 2, 4):
            tensors[f"{block}.conv.{layer}.weight"] = torch.zeros(64, 64, 3, 3)
            tensors[f"{block}.conv.{layer}.bias"] = torch.zeros(64)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    return file


def _affine_weights(gain: tuple, offset: tuple, number: type) -> list[onnx.TensorProto]:
    return [
        _weight(name, np.array(values, number).reshape(1, 3, 1, 1))
        for name, values in (("gain", gain), ("offset", offset))
    ]


def _weight(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def _value(name: str, kind: int, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _save(file: Path, nodes: list, inputs: list, outputs: list, weights: list) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opset = [helper.make_opsetid("", 13)]
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), file)
    return file
