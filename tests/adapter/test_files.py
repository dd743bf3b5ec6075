"""Reading adapter files in every container, and saying what is wrong with the ones that are not."""

from __future__ import annotations

import pickle

import pytest
import torch
from faceid_tunes.faceid_core.adapter.layers import Base
from faceid_tunes.faceid_core.adapter.model import load_adapter
from faceid_tunes.faceid_core.adapter.variants import Variant
from faceid_tunes.faceid_core.errors import AdapterError
from safetensors.torch import save_file
from support.adapters import PUBLISHED, adapter_tensors, layer_widths, write_bin, write_safetensors


def small(variant: str, base: str):
    """The published key set at a tenth of the width."""
    return adapter_tensors(variant, base, hidden=layer_widths(base, divide=10), context=64, lora_rank=2)


def write_legacy_bin(path, tensors):
    return write_bin(path, tensors, legacy=True)


def write_zip_bin(path, tensors):
    return write_bin(path, tensors, legacy=False)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_legacy_bin, "ip-adapter-faceid_sd15.bin"),
        (write_zip_bin, "ip-adapter-faceid_sd15.bin"),
        (write_safetensors, "ip-adapter-faceid_sd15.safetensors"),
    ],
    ids=["legacy pickle", "zip pickle", "safetensors"],
)
def test_every_container_gives_the_same_tensors(tmp_path, write, name):
    tensors = small("faceid", "sd15")
    adapter = load_adapter(write(tmp_path / name, tensors))
    assert adapter.image_proj.keys() == tensors["image_proj"].keys()
    assert adapter.ip_adapter.keys() == tensors["ip_adapter"].keys()
    assert all(torch.equal(adapter.ip_adapter[key], tensor) for key, tensor in tensors["ip_adapter"].items())


def test_a_safetensors_file_that_begins_like_a_pickle_is_read_all_the_same(tmp_path):
    tensors = small("portrait", "sd15")
    flat = {f"{part}.{key}": tensor for part, keys in tensors.items() for key, tensor in keys.items()}
    path = tmp_path / "adapter.bin"  # under that name torch.load would not look twice
    for filling in range(0, 256, 8):  # the header is padded to 8 bytes, and its length is the file's first byte
        save_file(flat, path, metadata={"note": "x" * filling})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert load_adapter(path).spec.variant is Variant.PORTRAIT


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "base"), PUBLISHED)
def test_variant_and_base_are_read_from_the_tensors(tmp_path, variant, base):
    # The name helps only between Plus and PlusV2, whose tensors look the same.
    name = f"{variant}.safetensors" if variant.startswith("plus") and base == "sd15" else "renamed.safetensors"
    spec = load_adapter(write_safetensors(tmp_path / name, small(variant, base))).spec
    assert (spec.variant, spec.base) == (Variant(variant), Base(base))
    assert spec.tokens == (16 if variant.startswith("portrait") else 4)
    assert spec.has_lora is not variant.startswith("portrait")


def test_a_renamed_plus_file_needs_the_users_word(tmp_path):
    path = write_safetensors(tmp_path / "my-face.safetensors", small("plusv2", "sd15"))
    with pytest.raises(AdapterError, match="Set the variant to plus or plusv2"):
        load_adapter(path)
    assert load_adapter(path, Variant.PLUS).spec.variant is Variant.PLUS
    assert load_adapter(path, Variant.PLUS_V2).spec.variant is Variant.PLUS_V2


def test_the_users_word_cannot_turn_one_model_into_another(tmp_path):
    path = write_safetensors(tmp_path / "a.safetensors", small("faceid", "sd15"))
    with pytest.raises(AdapterError, match=r"a.safetensors: is faceid, not plusv2"):
        load_adapter(path, Variant.PLUS_V2)


HTML = b"<!DOCTYPE html>\n<html><head><title>h94/IP-Adapter-FaceID</title></head></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:201344e22e6f\nsize 96740574\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (HTML, "a web page was saved instead of the model"),
        (LFS, "Git LFS pointer"),
        (b"\x00" * 4096, "neither a PyTorch nor a safetensors file"),
    ],
    ids=["empty", "HTML", "LFS pointer", "zeros"],
)
def test_a_file_that_is_no_model_is_called_what_it_is(tmp_path, content, message):
    path = tmp_path / "ip-adapter-faceid_sd15.bin"
    path.write_bytes(content)
    with pytest.raises(AdapterError, match=f"^ip-adapter-faceid_sd15.bin: .*{message}"):
        load_adapter(path)


@pytest.mark.parametrize("write", [write_legacy_bin, write_zip_bin, write_safetensors])
@pytest.mark.parametrize("kept", [0.999, 0.5, 0.01], ids="{:.1%} kept".format)
def test_a_truncated_download_is_called_truncated(tmp_path, write, kept):
    path = write(tmp_path / "ip-adapter-faceid_sd15.bin", small("faceid", "sd15"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(AdapterError, match=r"truncated or damaged after [\d,]+ bytes"):
        load_adapter(path)


class Malicious:
    def __reduce__(self):
        return (print, ("code from a model file ran",))


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path, capsys):
    path = tmp_path / "evil.bin"
    torch.save({"image_proj": Malicious()}, path)
    with pytest.raises(AdapterError, match="Python objects other than tensors"):
        load_adapter(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(AdapterError):
        load_adapter(path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"lora_unet_down_blocks_0.lora_up.weight": torch.zeros(2)}, "this is a LoRA file"),
        ({"model.diffusion_model.out.0.weight": torch.zeros(2)}, "this is a checkpoint"),
        ({"vision_model.embeddings.class_embedding": torch.zeros(2)}, "this is a CLIP vision encoder"),
        pytest.param({"weight": torch.zeros(2)}, "not an IP-Adapter: it has no image_proj", marks=pytest.mark.slow),
    ],
)
def test_another_kind_of_model_is_called_by_its_kind(tmp_path, tensors, message):
    path = tmp_path / "other.bin"
    torch.save(tensors, path)
    with pytest.raises(AdapterError, match=message):
        load_adapter(path)


def test_an_ip_adapter_that_is_not_faceid(tmp_path):
    plain = small("faceid", "sd15")
    plain["image_proj"] = {"proj.weight": torch.zeros(256, 1024), "norm.weight": torch.ones(64)}
    with pytest.raises(AdapterError, match="not a FaceID model"):
        load_adapter(write_bin(tmp_path / "ip-adapter_sd15.bin", plain))
    plus = small("faceid", "sd15")
    plus["image_proj"] = {"latents": torch.zeros(1, 16, 64), "proj_in.weight": torch.zeros(64, 1280)}
    with pytest.raises(AdapterError, match="reads CLIP features of width 1280, not a FaceID model"):
        load_adapter(write_bin(tmp_path / "ip-adapter-plus_sd15.bin", plus))


def test_missing_tensors_are_counted_and_one_is_named(tmp_path):
    tensors = small("faceid", "sd15")
    del tensors["ip_adapter"]["31.to_v_ip.weight"], tensors["ip_adapter"]["30.to_q_lora.up.weight"]
    with pytest.raises(AdapterError, match=r"2 tensors are missing, among them ip_adapter.30.to_q_lora.up.weight"):
        load_adapter(write_bin(tmp_path / "a.bin", tensors))


def test_an_adapter_for_another_base_is_counted_out(tmp_path):
    tensors = small("faceid", "sd15")
    tensors["ip_adapter"] = {key: value for key, value in tensors["ip_adapter"].items() if not key.startswith("31.")}
    with pytest.raises(AdapterError, match="has 15 cross-attention layers"):
        load_adapter(write_bin(tmp_path / "a.bin", tensors))


def test_a_missing_file_names_its_folder(tmp_path):
    with pytest.raises(AdapterError, match=f"there is no such file in {tmp_path}"):
        load_adapter(tmp_path / "ip-adapter-faceid_sd15.bin")
