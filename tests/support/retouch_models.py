"""Swappers and restorers whose result can be said in a formula, as ONNX files with the published models' contracts.

    output = gain * picture + offset + source @ tint        (per channel, in the model's own range)

With gain 1 and nothing else they return their input exactly: whatever comes out changed was changed by the caller.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ONES, ZEROS = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


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
