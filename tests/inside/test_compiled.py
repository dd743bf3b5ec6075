"""A compiled UNet stays one graph with people on it, and a second picture compiles nothing."""

from __future__ import annotations

import comfy.samplers
import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from support.comfy_model import apply, comfy_model, conditioning, sample
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.oracle import relative_l2
from support.unet import sd15_unet
from torch._dynamo.utils import counters

WIDTH = 64
LEFT = torch.zeros(1, 128, 192)
LEFT[..., :96] = 1.0


@pytest.fixture(autouse=True)
def nothing_compiled():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def bare():
    return comfy_model(sd15_unet((32, 64, 64, 64), context=WIDTH))


@pytest.fixture(scope="module")
def adapter():
    unet = sd15_unet((32, 64, 64, 64), context=WIDTH)
    with saved_adapter(adapter_for(unet, "faceid", "sd15", lora_rank=4), "faceid") as loaded:
        yield loaded


def draw(model) -> torch.Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0))
    guider.set_cfg(3.0)
    return sample(guider, steps=3)


PEOPLE = {
    "nobody": ([], 1),
    "one": ([{}], 1),
    "two": ([{}, {}], 1),
    "masked": ([{"mask": LEFT}], 1),
    "two masked": ([{"mask": LEFT}, {"mask": 1 - LEFT}], 1),
    "a strength for each frame": ([{"strengths": [0.5, 1.0], "mask": LEFT}], 1),
    "a range": ([{"end_at": 0.5}], 2),  # with the person and without
}


@pytest.mark.parametrize(("people", "graphs"), PEOPLE.values(), ids=PEOPLE)
def test_a_compiled_unet_has_no_breaks_and_a_second_picture_compiles_nothing(bare, adapter, people, graphs):
    model = bare
    for number, inputs in enumerate(people):
        model = apply(model, adapter, random_faces(seed=number), lora_strength=0.0, **inputs)
    compiled = model.clone()
    set_torch_compile_wrapper(compiled, backend="eager")
    first = draw(compiled)
    assert (counters["stats"]["unique_graphs"], dict(counters["graph_break"])) == (graphs, {})
    draw(compiled)
    assert counters["stats"]["unique_graphs"] == graphs
    assert relative_l2(first, draw(model)) <= 1e-6
