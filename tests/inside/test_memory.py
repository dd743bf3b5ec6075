"""Keys and values on the compute device: how much, and whether ComfyUI knows of it."""

from __future__ import annotations

import comfy.model_management
import comfy.samplers
import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.adapter.rows import Rows, marker, read_markers
from faceid_tunes.nodes.sampling_run import IDENTITIES
from support.comfy_model import apply, comfy_model, conditioning, sample
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.unet import sd15_unet

WIDTH = 64
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bare():
    return comfy_model(sd15_unet((32, 64, 64, 64), context=WIDTH))


@pytest.fixture(scope="module", params=["faceid", "portrait"])
def show(request, bare):
    with saved_adapter(adapter_for(sd15_unet((32, 64, 64, 64), context=WIDTH), request.param, "sd15"), "x") as adapter:
        yield lambda model=bare, **inputs: apply(model, adapter, random_faces(5), lora_strength=0.0, **inputs)


def attention_of(model):
    return model.model_options["transformer_options"][IDENTITIES][0].attention


def held(ready) -> int:
    """Bytes behind all tensors, each storage once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for one in ready
        for tensor in (*(tensor for layer in one.layers for tensor in layer), *one.weights)
    }
    return sum(storages.values())


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_keys_and_values_are_two_rows_whatever_the_batch_and_however_its_rows_are_split(show, batch):
    attention = attention_of(show())
    roles = ([False, True], [False], [True], [True, False])
    ready = [
        attention.ready(Rows(np.repeat(role, batch), np.tile(np.arange(batch), len(role))), torch.float32, CPU)
        for role in roles
    ]
    one_row = attention.kv.nbytes // 2
    assert held(ready) == 2 * one_row == attention.nbytes(batch, (8, 8), torch.float32)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_the_estimate_counts_the_weights_of_rows_that_are_joined_and_split(show, batch):
    attention = attention_of(show(mask=torch.ones(1, 128, 192)))
    whole = (16, 24)
    ready = [
        attention.ready(
            read_markers(torch.cat([marker(range(batch), whole, positive=role) for role in roles])),
            torch.float32,
            CPU,
            whole,
        )
        for roles in ([False, True], [False], [True])
    ]
    held_here = held(ready)
    assert attention.kv.nbytes < held_here <= attention.nbytes(batch, whole, torch.float32)


def test_of_several_devices_each_holds_two_rows_however_their_calls_alternate(show):
    attention = attention_of(show())
    on_cpu = []
    for roles in ([False, True], [False], [True]):
        rows = Rows(np.array(roles), np.zeros(len(roles), dtype=np.int64))
        on_cpu.append(attention.ready(rows, torch.float32, CPU))
        attention.ready(rows, torch.float32, torch.device("meta"))
    assert held(on_cpu) == attention.kv.nbytes


def estimate(model, monkeypatch, batch: int) -> tuple[float, float]:
    """(most, least) bytes that ComfyUI wants to have free for a sampling."""
    asked = []
    load = comfy.model_management.load_models_gpu
    with monkeypatch.context() as patch:
        patch.setattr(
            comfy.model_management,
            "load_models_gpu",
            lambda models, memory_required, minimum_memory_required=None, **more: (
                asked.append((memory_required, minimum_memory_required)),
                load(models, memory_required, minimum_memory_required=minimum_memory_required, **more),
            ),
        )
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0))
        sample(guider, batch=batch)
    return asked[0]


@pytest.mark.parametrize("batch", [1, 3])
def test_comfyuis_estimate_counts_every_person_and_mask_while_sampling(show, bare, monkeypatch, batch):
    mask = torch.ones(1, 128, 192)
    both = show(show(), mask=mask)
    kv = attention_of(both).kv.nbytes
    weights = 4 * batch * 4 * (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3)
    for with_people, without in zip(
        estimate(both, monkeypatch, batch), estimate(bare, monkeypatch, batch), strict=True
    ):
        assert with_people - without == pytest.approx(2 * kv + weights)


def test_the_estimate_leaves_the_guiders_conds_as_they_are(show):
    guider = comfy.samplers.CFGGuider(show())
    guider.set_conds(conditioning(WIDTH, 1.0), conditioning(WIDTH, -1.0))
    names = []
    guider.inner_sample = lambda *args, inner=guider.inner_sample, **kwargs: (
        names.append(list(guider.conds)),
        inner(*args, **kwargs),
    )[1]
    sample(guider)
    assert names == [["positive", "negative"]]
