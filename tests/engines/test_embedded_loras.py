"""LoRA files on a diffusers pipeline, and the adapter's own LoRA: what they do, and that nothing of them stays."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from faceid_tunes.faceid_core.adapter.attention import IdentityAttention, identity_kv
from faceid_tunes.faceid_core.adapter.lora import lora_pairs
from faceid_tunes.faceid_core.adapter.tokens import identity_tokens
from faceid_tunes.faceid_core.engines.embedded.checkpoint import UNET
from faceid_tunes.faceid_core.engines.embedded.errors import READER, CheckpointError
from faceid_tunes.faceid_core.engines.embedded.loras import AdapterLora, Lora, lora_files, with_loras
from faceid_tunes.faceid_core.engines.embedded.unet import attention_heads, bind_identities
from faceid_tunes.faceid_core.model_files.model_file import open_model_file
from safetensors.torch import save_file
from support.embedded import kohya_lora, small_pipeline
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.model_files import hollow_safetensors
from support.oracle import relative_l2
from support.unet import inputs

pytestmark = pytest.mark.slow  # diffusers is loaded, a UNet made and called for each

RANK, ALPHA = 4, 2.0
LAYERS = (  # of every kind that a LoRA changes
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k",
    "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_q",
    "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_out.0",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "down_blocks.2.attentions.0.proj_in",
    "down_blocks.1.resnets.0.conv1",
    "down_blocks.0.downsamplers.0.conv",
)
TEXT_LAYERS = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc1")


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


@pytest.fixture(scope="module")
def adapter(pipeline):
    with saved_adapter(adapter_for(pipeline.unet, "faceid", "sd15"), "faceid") as found:
        yield found


def named_modules(pipeline) -> dict[str, torch.nn.Module]:
    unet = {f"lora_unet_{name.replace('.', '_')}": pipeline.unet.get_submodule(name) for name in LAYERS}
    text = getattr(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    return unet | {f"lora_te_text_model_{name.replace('.', '_')}": text.get_submodule(name) for name in TEXT_LAYERS}


def written_lora(pipeline, path: Path, seed: int = 0) -> Path:
    save_file(kohya_lora(named_modules(pipeline), RANK, seed, ALPHA), path)
    return path


def merged(pipeline, seed: int, strength: float):
    """A copy of the pipeline with the LoRA's formula added to its weights: strength * alpha / rank * up @ down."""
    pipeline = copy.deepcopy(pipeline)
    modules = named_modules(pipeline)
    tensors = kohya_lora(modules, RANK, seed, ALPHA)
    for name, module in modules.items():
        up, down = tensors[f"{name}.lora_up.weight"], tensors[f"{name}.lora_down.weight"]
        delta = (up.flatten(1) @ down.flatten(1)).view_as(module.weight)
        module.weight.data += strength * ALPHA / RANK * delta
    return pipeline


def loaded(pipeline, loras):
    return with_loras(pipeline.unet, pipeline.text_encoder, loras)


def unet_output(pipeline) -> torch.Tensor:
    with torch.no_grad():
        return pipeline.unet(**inputs(pipeline.unet)).sample


def text_output(pipeline) -> torch.Tensor:
    with torch.no_grad():
        return pipeline.text_encoder(torch.arange(77).unsqueeze(0)).last_hidden_state


def weights(pipeline) -> dict[str, torch.Tensor]:
    parts = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    return {f"{part}.{key}": tensor for part, module in parts.items() for key, tensor in module.state_dict().items()}


def test_a_lora_changes_unet_and_text_encoder_as_its_formula_says(pipeline, tmp_path):
    lora = Lora(written_lora(pipeline, tmp_path / "style.safetensors"), 0.8, 0.8)
    expected = merged(pipeline, seed=0, strength=0.8)
    with loaded(pipeline, [lora]):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
        assert relative_l2(text_output(pipeline), text_output(expected)) < 1e-5
    assert relative_l2(unet_output(pipeline), unet_output(expected)) > 1e-2
    assert relative_l2(text_output(pipeline), text_output(expected)) > 1e-2


LAYOUTS = {
    "PEFT": "{part}.{path}.lora_{AB}.weight",
    "diffusers": "{part}.{path}.lora.{half}.weight",
    "diffusers, text encoder": "{part}.{path}.lora_linear_layer.{half}.weight",
    "kohya": "{kohya}.lora_{half}.weight",
    "kohya, SDXL's name of the text encoder": "{kohya1}.lora_{half}.weight",
    "PEFT, the text model by itself": "{part}.{short}.lora_{AB}.weight",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_lora_files_is_read(pipeline, tmp_path, layout):
    paths = {f"lora_unet_{path.replace('.', '_')}": ("unet", path) for path in LAYERS}
    paths |= {
        f"lora_te_text_model_{path.replace('.', '_')}": ("text_encoder", f"text_model.{path}") for path in TEXT_LAYERS
    }
    tensors = kohya_lora(named_modules(pipeline), RANK, alpha=RANK)
    renamed = {}
    for kohya, (part, path) in paths.items():
        for half, ab in (("down", "A"), ("up", "B")):
            names = {"part": part, "path": path, "kohya": kohya, "kohya1": kohya.replace("lora_te_", "lora_te1_")}
            names["short"] = path.removeprefix("text_model.")
            renamed[LAYOUTS[layout].format(half=half, AB=ab, **names)] = tensors[f"{kohya}.lora_{half}.weight"]
    save_file(renamed, tmp_path / "style.safetensors")
    expected = merged(pipeline, seed=0, strength=RANK / ALPHA)  # without an alpha, the rank takes its place
    with loaded(pipeline, [Lora(tmp_path / "style.safetensors", 1.0, 1.0)]):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
        assert relative_l2(text_output(pipeline), text_output(expected)) < 1e-5


def test_the_first_layout_diffusers_had_for_attention_layers(pipeline, tmp_path):
    path = "up_blocks.3.attentions.2.transformer_blocks.0.attn2"
    name = f"lora_unet_{path.replace('.', '_')}_to_out_0"
    tensors = kohya_lora({name: pipeline.unet.get_submodule(f"{path}.to_out.0")}, RANK)
    for half in ("down", "up"):
        tensors[f"unet.{path}.processor.to_out_lora.{half}.weight"] = tensors[f"{name}.lora_{half}.weight"]
    pair = {key: tensor for key, tensor in tensors.items() if key.startswith("unet.")}
    save_file(pair, tmp_path / "old.safetensors")
    save_file({key: tensor for key, tensor in tensors.items() if ".lora_" in key}, tmp_path / "new.safetensors")
    outputs = []
    for file in ("old.safetensors", "new.safetensors"):
        with loaded(pipeline, [Lora(tmp_path / file, 1.0, 1.0)]):
            outputs.append(unet_output(pipeline))
    assert torch.equal(*outputs) and not torch.equal(outputs[0], unet_output(pipeline))


def test_several_loras_add_up_each_at_its_strength(pipeline, tmp_path):
    loras = [
        Lora(written_lora(pipeline, tmp_path / "a.safetensors", seed=1), 0.5, 0.5),
        Lora(written_lora(pipeline, tmp_path / "b.safetensors", seed=2), 1.3, 1.3),
        Lora(tmp_path / "not even looked for.safetensors", 0.0, 0.0),
    ]
    expected = merged(merged(pipeline, seed=1, strength=0.5), seed=2, strength=1.3)
    with loaded(pipeline, loras):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
        assert relative_l2(text_output(pipeline), text_output(expected)) < 1e-5


def test_a_lora_kept_off_the_text_encoder(pipeline, tmp_path):
    lora = Lora(written_lora(pipeline, tmp_path / "lcm.safetensors"), 1.0, text_strength=0.0)
    expected, plain = merged(pipeline, seed=0, strength=1.0), text_output(pipeline)
    with loaded(pipeline, [lora]):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
        assert torch.equal(text_output(pipeline), plain)


@pytest.mark.parametrize(("strength", "text_strength"), [(0.5, -0.7), (-1.2, 0.4), (0.0, 0.9), (-0.6, 0.0)])
def test_model_and_text_encoder_take_a_strength_each(pipeline, tmp_path, strength, text_strength):
    lora = Lora(written_lora(pipeline, tmp_path / "slider.safetensors"), strength, text_strength)
    with loaded(pipeline, [lora]):
        unet, text = unet_output(pipeline), text_output(pipeline)
    assert relative_l2(unet, unet_output(merged(pipeline, seed=0, strength=strength))) < 1e-5
    assert relative_l2(text, text_output(merged(pipeline, seed=0, strength=text_strength))) < 1e-5
    assert relative_l2(unet, unet_output(merged(pipeline, seed=0, strength=text_strength))) > 1e-3
    assert relative_l2(text, text_output(merged(pipeline, seed=0, strength=strength))) > 1e-3


def test_a_lora_beside_layers_of_half_precision(pipeline, tmp_path):
    lora = Lora(written_lora(pipeline, tmp_path / "style.safetensors"), 0.8, 0.8)
    half = torch.nn.Module.to(copy.deepcopy(pipeline.unet), torch.bfloat16)
    with torch.no_grad(), with_loras(half, pipeline.text_encoder, [lora]):
        drawn = half(**{name: tensor.to(torch.bfloat16) for name, tensor in inputs(pipeline.unet).items()}).sample
    assert drawn.dtype == torch.bfloat16
    assert relative_l2(drawn.float(), unet_output(merged(pipeline, seed=0, strength=0.8))) < 0.05


def test_layers_that_sd15_does_not_have_are_left_out_with_a_warning(pipeline, tmp_path, caplog):
    strange = {"lora_unet_single_blocks_0.lora_down.weight": torch.zeros(4, 8),
               "lora_unet_single_blocks_0.lora_up.weight": torch.zeros(8, 4)}  # fmt: skip
    save_file(kohya_lora(named_modules(pipeline), RANK, 0, ALPHA) | strange, tmp_path / "style.safetensors")
    expected = merged(pipeline, seed=0, strength=1.0)
    with loaded(pipeline, [Lora(tmp_path / "style.safetensors", 1.0, 1.0)]):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
    assert "style.safetensors: 1 of its layers are not in SD 1.5, such as lora_unet_single_blocks_0" in caplog.text


def test_identities_are_shown_through_layers_that_carry_a_lora(pipeline, adapter, tmp_path):
    lora = Lora(written_lora(pipeline, tmp_path / "style.safetensors"), 0.8, 0.8)
    expected, before = merged(pipeline, seed=0, strength=0.8), dict(pipeline.unet.attn_processors)
    kv = identity_kv(adapter, identity_tokens(adapter, random_faces()), attention_heads(pipeline.unet, adapter))
    for one in (pipeline, expected):
        bind_identities(one.unet, adapter, [IdentityAttention(kv, 1.0)])
    with loaded(pipeline, [lora]):
        assert relative_l2(unet_output(pipeline), unet_output(expected)) < 1e-5
    pipeline.unet.set_attn_processor(before)


@pytest.mark.parametrize("ends", ["well", "in an error", "with a bad file"])
def test_nothing_of_a_lora_stays(pipeline, tmp_path, ends):
    good = Lora(written_lora(pipeline, tmp_path / "style.safetensors"), 0.8, 0.8)
    bad = Lora(hollow_safetensors(tmp_path / "bad.safetensors", {"x": (3,)}), 1.0, 1.0)
    before, picture = {key: tensor.clone() for key, tensor in weights(pipeline).items()}, unet_output(pipeline)
    try:
        with loaded(pipeline, [good, bad] if ends == "with a bad file" else [good]):
            unet_output(pipeline)
            if ends == "in an error":
                raise KeyboardInterrupt
    except (KeyboardInterrupt, CheckpointError):
        assert ends != "well"
    after = weights(pipeline)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    assert torch.equal(unet_output(pipeline), picture)


def halves(stem: str, width: int, down: str = "lora_down", up: str = "lora_up") -> dict:
    return {f"{stem}.{down}.weight": (8, width), f"{stem}.{up}.weight": (640, 8)}


TO_V = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
BAD_LORAS = {
    "SDXL": (halves("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048), "a LoRA for SDXL; the"),
    "SDXL text": (halves("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280), "a LoRA for SDXL"),
    "SD 2": (halves(f"unet.{TO_V}", 1024, "lora_A", "lora_B"), "a LoRA for SD 2"),
    "LoHa": ({"lora_unet_mid_block_attentions_0_proj_in.hada_w1_a": (8, 8)}, "a LoHa"),
    "LoKr": ({"lora_unet_mid_block_attentions_0_proj_in.lokr_w1": (8, 8)}, "a LoKr"),
    "DoRA": ({"lora_unet_mid_block_attentions_0_proj_in.dora_scale": (8, 8)}, "a DoRA"),
    "LoCon with a core": (
        halves("lora_unet_x", 320) | {"lora_unet_x.lora_mid.weight": (8, 8, 3, 3)}, "a LoCon .* core tensor"),
    "checkpoint": ({f"{UNET}out.2.weight": (4, 320, 3, 3)}, "not a LoRA file"),
    "other shapes": (
        {f"lora_unet_mid_block_attentions_0_proj_in.lora_{half}.weight": (7, 3, 1, 1) for half in ("down", "up")},
        "this LoRA does not fit SD 1.5",
    ),
    "another width": (
        {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 7, 1, 1),
         "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (7, 4, 1, 1)},
        "this LoRA does not fit SD 1.5: .* changes 7x7 numbers, where SD 1.5 has 128x128",
    ),
    "halves of two ranks": (
        {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 128, 1, 1),
         "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (128, 8, 1, 1)},
        "this LoRA does not fit SD 1.5",
    ),
    "other layers": (
        {"lora_unet_single_blocks_0_linear1.lora_down.weight": (4, 8),
         "lora_unet_single_blocks_0_linear1.lora_up.weight": (8, 4)},
        "this LoRA does not fit SD 1.5|none of its layers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LORAS)
def test_a_file_that_is_no_lora_for_sd15_is_refused_by_name(pipeline, tmp_path, name):
    shapes, message = BAD_LORAS[name]
    path = hollow_safetensors(tmp_path / "style.safetensors", shapes)
    with pytest.raises(CheckpointError, match=message) as raised, loaded(pipeline, [Lora(path, 1.0, 1.0)]):
        pass
    assert str(raised.value).startswith("style.safetensors: ")


def test_lora_files_are_found_below_their_folders(tmp_path):
    for name in ("b/deep/style.safetensors", "a/style.pt", "a/readme.txt", "b/style.pt", "b/LOUD.CKPT", "b/it.bin/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = lora_files([tmp_path / "a", tmp_path / "b", tmp_path / "missing"])
    assert found == {
        "style.pt": tmp_path / "a/style.pt",  # the first folder's
        "LOUD.CKPT": tmp_path / "b/LOUD.CKPT",
        "deep/style.safetensors": tmp_path / "b/deep/style.safetensors",
    }
    assert list(found) == ["style.pt", "LOUD.CKPT", "deep/style.safetensors"], "folder by folder, sorted"


@pytest.fixture
def checkpoint(pipeline, adapter, tmp_path):
    """The weights that the adapter's LoRA touches, as a checkpoint names them."""
    touched = {
        f"{UNET}{pair.ldm_weight}.weight": pipeline.unet.get_parameter(f"{pair.diffusers_weight}.weight").clone()
        for pair in lora_pairs(adapter)
    }
    save_file(touched, tmp_path / "checkpoint.safetensors")
    return open_model_file(tmp_path / "checkpoint.safetensors", READER)


def test_the_adapters_lora_goes_without_a_trace(pipeline, adapter, checkpoint):
    before, picture = copy.deepcopy(pipeline.unet.state_dict()), unet_output(pipeline)
    lora = AdapterLora(pipeline.unet, checkpoint)
    outputs = []
    for strength in (1.0, 0.6, 1.0):  # another strength is not added to the one before
        lora.merge(adapter, strength)
        lora.merge(adapter, strength)
        outputs.append(unet_output(pipeline))
    assert torch.equal(outputs[0], outputs[2]) and not torch.equal(outputs[0], outputs[1])
    assert all(relative_l2(output, picture) > 1e-3 for output in outputs)
    lora.remove()
    after = pipeline.unet.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_the_lora_of_another_adapter_takes_the_place_of_the_first(pipeline, adapter, checkpoint):
    halves = {key: 0.5 * tensor if ".up." in key else tensor for key, tensor in adapter.ip_adapter.items()}
    other = dataclasses.replace(adapter, ip_adapter=halves, key=("other", 0, 0, ""))
    lora, outputs = AdapterLora(pipeline.unet, checkpoint), []
    for one, strength in ((adapter, 0.5), (adapter, 1.0), (other, 1.0)):
        lora.merge(one, strength)
        outputs.append(unet_output(pipeline))
    lora.remove()
    assert relative_l2(outputs[2], outputs[0]) < 1e-5 < 1e-3 < relative_l2(outputs[2], outputs[1])


def test_an_adapters_lora_at_strength_zero_changes_nothing(pipeline, adapter, checkpoint):
    picture = unet_output(pipeline)
    AdapterLora(pipeline.unet, checkpoint).merge(adapter, 0.0)
    assert torch.equal(unet_output(pipeline), picture)


def test_an_interrupted_merge_is_taken_back_before_the_next(pipeline, adapter, checkpoint):
    lora, picture = AdapterLora(pipeline.unet, checkpoint), unet_output(pipeline)
    lora.merge(adapter, 1.0)
    expected = unet_output(pipeline)
    lora.remove()
    broken = copy.deepcopy(adapter)
    broken.ip_adapter["30.to_q_lora.up.weight"] = torch.zeros(3, 3)  # stops in the middle block, the last of all
    with pytest.raises(RuntimeError):
        lora.merge(broken, 1.0)
    lora.merge(adapter, 1.0)
    assert torch.equal(unet_output(pipeline), expected)
    lora.remove()
    assert torch.equal(unet_output(pipeline), picture)
