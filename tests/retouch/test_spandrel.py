"""GFPGAN, RestoreFormer and CodeFormer as PyTorch files: the real architectures, their published keys, random weights.

What goes wrong elsewhere is the range: spandrel's descriptors feed 0 to 1 to networks trained on -1 to 1. So each
network is run once for real, and what went in and came out is compared with the formula of its authors.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.retouch import RetouchError, crop_face, load_restorer
from faceid_tunes.faceid_core.retouch.restorer import restore_crop


@pytest.fixture(scope="module")
def crop(t1, found):
    return crop_face(t1, found[0].landmarks, "ffhq_512", 512)[0]


def save(module: torch.nn.Module, file: Path, wrap=lambda tensors: {"params_ema": tensors}) -> Path:
    """The module's tensors in half precision, wrapped as the published file has them."""
    torch.save(
        wrap(
            {
                key: tensor.half() if tensor.is_floating_point() else tensor
                for key, tensor in module.state_dict().items()
            }
        ),
        file,
    )
    return file


def restored_with_record(crop, restorer, fidelity):
    """Our result, and how the module was called: its argument, keywords and first output."""
    calls = []
    hook = restorer.module.register_forward_hook(
        lambda module, args, keywords, output: calls.append((args, keywords, output[0])), with_kwargs=True
    )
    try:
        ours = restore_crop(crop, restorer, fidelity)
    finally:
        hook.remove()
    ((face,), keywords, output) = calls[0]
    assert len(calls) == 1
    return ours, face, keywords, output


def check_range(crop, ours, face, output):
    """(x - 0.5) / 0.5 in, (y + 1) / 2 out, RGB, for x and y from 0 to 1."""
    assert (tuple(face.shape), face.dtype) == ((1, 3, 512, 512), torch.float32)
    torch.testing.assert_close(face[0].permute(1, 2, 0), torch.from_numpy((crop / 255 - 0.5) / 0.5).float())
    assert output.min() < -0.2, "a network of 0 to 1 would not"
    expected = ((output[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1) * 255
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-3)
    assert not output.requires_grad


@pytest.mark.slow
def test_gfpgan_gets_and_gives_minus_one_to_one_and_draws_no_noise(tmp_path, crop):
    from spandrel.architectures.GFPGAN import GFPGAN

    torch.manual_seed(0)
    restorer = load_restorer(save(GFPGAN(), tmp_path / "GFPGANv1.4.pth"))
    assert (restorer.architecture, restorer.size, restorer.has_fidelity) == ("GFPGAN", 512, False)
    assert "Apache" in restorer.licence
    before = torch.random.get_rng_state()
    ours, face, keywords, output = restored_with_record(crop, restorer, 0.5)
    check_range(crop, ours, face, output)
    assert keywords == {"return_rgb": False, "randomize_noise": False}
    assert set(keywords) <= set(inspect.signature(restorer.module.forward).parameters)
    assert torch.equal(torch.random.get_rng_state(), before), "it would restore a little differently every time"


@pytest.mark.slow
def test_codeformer_gets_its_fidelity_under_the_name_it_listens_to(tmp_path, crop):
    from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

    torch.manual_seed(0)
    restorer = load_restorer(save(CodeFormer(n_layers=1, connect_list=["32"]), tmp_path / "codeformer.pth"))
    assert (restorer.architecture, restorer.has_fidelity) == ("CodeFormer", True)
    assert "non-commercial" in restorer.licence
    ours, face, keywords, output = restored_with_record(crop, restorer, 0.3)
    check_range(crop, ours, face, output)
    assert keywords == {"weight": 0.3}
    assert "weight" in inspect.signature(CodeFormer.forward).parameters, "others are swallowed without effect"


def lightning(tensors: dict) -> dict:
    return {"state_dict": {f"vqvae.{key}": value for key, value in tensors.items()} | {"loss.logvar": torch.zeros(1)}}


def small_restoreformer():
    """The architecture with a fraction of its channels; spandrel reads the sizes from the tensors."""
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.manual_seed(0)
    return RestoreFormer(ch=32, ch_mult=(1, 1, 1, 1, 1, 4), num_res_blocks=1, z_channels=128, embed_dim=128, n_embed=64)


@pytest.mark.slow
def test_restoreformer_is_read_from_its_training_checkpoint(tmp_path, crop):
    network = small_restoreformer()
    restorer = load_restorer(save(network, tmp_path / "RestoreFormer.ckpt", lightning))
    assert restorer.architecture == "RestoreFormer"
    ours, face, keywords, output = restored_with_record(crop, restorer, 0.5)
    check_range(crop, ours, face, output)
    assert keywords == {}
    network.half().float().eval()
    with torch.no_grad():
        by_hand = network(torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1)[0]
    torch.testing.assert_close(output, by_hand)


@pytest.mark.slow
def test_the_module_is_ready_for_a_host_to_own(tmp_path):
    restorer = load_restorer(save(small_restoreformer(), tmp_path / "RestoreFormer.pth"))
    assert isinstance(restorer.module, torch.nn.Module)
    assert not restorer.module.training
    assert not any(parameter.requires_grad for parameter in restorer.module.parameters())
    assert restorer.provider == "cpu"


@pytest.mark.slow
def test_restoreformer_plus_plus_is_sent_to_its_onnx_file(tmp_path):
    tensors = {key: torch.zeros(1) for key in small_restoreformer().state_dict()}
    torch.save(tensors | {"decoder.up.4.attn.0.q.weight": torch.zeros(1)}, tmp_path / "RestoreFormer++.ckpt")
    with pytest.raises(RetouchError, match=r"RestoreFormer\+\+ can be used as an ONNX file only"):
        load_restorer(tmp_path / "RestoreFormer++.ckpt")
