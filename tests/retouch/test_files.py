"""Model files: what each is taken for, how it is read, and what is said when it is something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from faceid_tunes.faceid_core.errors import MissingDependencyError
from faceid_tunes.faceid_core.retouch import RetouchError, load_restorer, load_swapper, restorer, swapper
from faceid_tunes.faceid_core.retouch.swapper import TEMPLATE, source_latent
from safetensors.torch import save_file
from support.retouch_models import write_restorer, write_swapper


@pytest.fixture
def nothing_heavy(monkeypatch):
    """Fails the test when a file is loaded although its header says that it is the wrong one."""
    for module in (swapper, restorer):
        monkeypatch.setattr(module, "open_session", lambda file, **_: pytest.fail(f"{file} was loaded"))
    monkeypatch.setattr(restorer, "_spandrel_architecture", lambda name: pytest.fail(f"{name} was built"))


def gfpgan_keys(file: Path) -> Path:
    """The keys by which GFPGAN is known, in the wrapper of the published file, and no weights to speak of."""
    keys = ("stylegan_decoder.style_mlp.1.weight", "toRGB.0.weight")
    torch.save({"params_ema": {key: torch.zeros(1) for key in keys}}, file)
    return file


def esrgan(file: Path) -> Path:
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.save(ESRGAN(num_filters=4, num_blocks=1).state_dict(), file)
    return file


def test_an_inswapper_is_known_by_its_inputs_and_its_map(tmp_path, emap):
    loaded = load_swapper(write_swapper(tmp_path / "any_name.onnx", emap=emap))
    assert (loaded.contract.family, loaded.contract.size, loaded.contract.shift) == ("inswapper", 128, 0.0)
    np.testing.assert_array_equal(loaded.emap, emap)
    assert "non-commercial" in loaded.licence
    assert loaded.provider == "CPUExecutionProvider"


def test_hyperswap_is_known_by_name_or_by_its_mask_and_takes_the_embedding_as_it_is(tmp_path, six):
    for name, mask in (("hyperswap_1a_256.onnx", False), ("renamed.onnx", True)):
        loaded = load_swapper(write_swapper(tmp_path / name, 256, with_mask=mask))
        assert (loaded.contract.family, loaded.contract.size, loaded.contract.mean) == ("hyperswap", 256, 0.5)
        np.testing.assert_array_equal(source_latent(six[0].mean_embedding(), loaded)[0], six[0].mean_embedding())
        assert "ResearchRAIL" in loaded.licence


def test_reswapper_256_is_framed_half_a_pixel_further(tmp_path, emap, found):
    """Its README: (128/32768) * 256 - 0.5 pixels are added to x and y of the template."""
    loaded = load_swapper(write_swapper(tmp_path / "reswapper_256.onnx", 256, emap=emap, emap_name="emap"))
    assert (loaded.contract.family, loaded.contract.size) == ("reswapper", 256)
    assert loaded.contract.shift == 128 / 32768 * 256 - 0.5 == 0.5
    open_sides = load_swapper(write_swapper(tmp_path / "open" / "reswapper_256.onnx", "side", emap=emap))
    assert open_sides.contract == loaded.contract
    small = load_swapper(write_swapper(tmp_path / "reswapper_128.onnx", emap=emap))
    assert (small.contract.shift, small.licence) == (0.0, loaded.licence)
    assert "AGPL" in small.licence
    assert TEMPLATE == "arcface_128"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_latent_is_insightfaces_own(swapper_stub, six):
    from insightface.model_zoo.inswapper import INSwapper

    theirs = INSwapper(str(swapper_stub)).emap
    unit = six[0].faces[0].unit_embedding
    latent = unit.reshape(1, -1) @ theirs
    np.testing.assert_allclose(
        source_latent(unit, load_swapper(swapper_stub)), latent / np.linalg.norm(latent), atol=1e-7
    )


def test_a_half_precision_model_and_map_work_in_the_models_own_precision(tmp_path, emap, six):
    exact = load_swapper(write_swapper(tmp_path / "inswapper_128.onnx", emap=emap))
    for half in (False, True):  # the map alone, or inputs and outputs too
        file = write_swapper(tmp_path / f"inswapper_fp16_{half}.onnx", emap=emap.astype(np.float16), half=half)
        loaded = load_swapper(file)
        assert loaded.emap.dtype == np.float32
        unit = six[0].mean_embedding()
        np.testing.assert_allclose(source_latent(unit, loaded), source_latent(unit, exact), atol=1e-3)
        crop = six[0].faces[0].crop[:128, :128]
        np.testing.assert_allclose(swapper.swap_crop(crop, source_latent(unit, loaded), loaded), crop, atol=0.2)


def test_inputs_are_known_by_shape_not_by_order(tmp_path, emap, six):
    loaded = load_swapper(write_swapper(tmp_path / "turned.onnx", emap=emap, source_first=True))
    crop = six[0].faces[0].crop[:128, :128]
    ours = swapper.swap_crop(crop, source_latent(six[0].mean_embedding(), loaded), loaded)
    np.testing.assert_allclose(ours, crop, atol=0.01)


def test_the_map_is_found_by_name_before_it_is_taken_for_the_last_weight(tmp_path, emap):
    file = write_swapper(tmp_path / "inswapper.onnx", emap=emap)
    model = onnx.load(file)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((512, 512), np.float32), "last"))
    onnx.save(model, file)
    np.testing.assert_array_equal(load_swapper(file).emap, emap)


def test_a_swapper_is_opened_once_and_never_parsed_for_its_map(tmp_path, emap, monkeypatch):
    file, opened, open_session = write_swapper(tmp_path / "inswapper.onnx", emap=emap), [], swapper.open_session

    def counted(path, **options):
        opened.append(path)
        return open_session(path, **options)

    monkeypatch.setattr(onnx, "load", lambda *_: pytest.fail("the whole file was parsed"))
    monkeypatch.setattr(swapper, "open_session", counted)
    assert load_swapper(file) is load_swapper(file)
    assert opened == [file]


def test_a_file_that_was_replaced_is_loaded_again(tmp_path, emap):
    file = write_swapper(tmp_path / "inswapper.onnx", emap=emap)
    first = load_swapper(file)
    write_swapper(file, emap=2 * emap, gain=(0.5, 0.5, 0.5), with_mask=True)
    np.testing.assert_array_equal(load_swapper(file).emap, 2 * first.emap)


def test_at_most_two_models_of_a_kind_stay_loaded(tmp_path, emap):
    for number in range(4):
        load_swapper(write_swapper(tmp_path / f"inswapper_{number}.onnx", emap=emap))
        load_restorer(write_restorer(tmp_path / f"restorer_{number}.onnx"))
    assert (len(swapper._loaded), len(restorer._loaded)) == (2, 2)


@pytest.mark.parametrize(
    "name", ["simswap_256", "ghost_2_256", "hififace_unofficial_256", "blendswap_256", "uniface_256"]
)
def test_swappers_of_other_embeddings_are_refused_by_name(tmp_path, name, nothing_heavy):
    file = write_swapper(tmp_path / f"{name}.onnx", 256, emap=np.eye(512))
    with pytest.raises(RetouchError, match=f"{name}.onnx: .*not supported. inswapper_128, .* can be used"):
        load_swapper(file)


def test_an_unknown_swapper_is_refused(tmp_path, nothing_heavy):
    with pytest.raises(RetouchError, match="an unknown swapper of 128 pixels and no embedding map"):
        load_swapper(write_swapper(tmp_path / "mine.onnx"))
    with pytest.raises(RetouchError, match="an unknown swapper of 512 pixels"):
        load_swapper(write_swapper(tmp_path / "mine_512.onnx", 512, emap=np.eye(512)))


def test_a_restorer_given_as_a_swapper_is_called_one_and_the_reverse(tmp_path, emap, nothing_heavy):
    for file in (write_restorer(tmp_path / "gpen_bfr_512.onnx"), gfpgan_keys(tmp_path / "GFPGANv1.4.pth")):
        with pytest.raises(RetouchError, match=f"{file.name}: a face swapper is needed here; this is a face restorer"):
            load_swapper(file)
    with pytest.raises(RetouchError, match="a face restorer is needed here; this is a face swapper"):
        load_restorer(write_swapper(tmp_path / "inswapper_128.onnx", emap=emap))


@pytest.mark.parametrize("load", [load_swapper, load_restorer])
def test_other_models_are_called_what_they_are(tmp_path, pack, load, nothing_heavy):
    checkpoint = tmp_path / "sd15.safetensors"
    save_file({"model.diffusion_model.out.2.bias": torch.zeros(4)}, checkpoint)
    loose = tmp_path / "thing.safetensors"
    save_file({"weight": torch.zeros(4)}, loose)
    for file, kind in (
        (pack.recogniser, "a face recogniser"),
        (pack.detector, "a face detector"),
        (esrgan(tmp_path / "4x_esrgan.pth"), "a super-resolution model"),
        (write_restorer(tmp_path / "4x_compact.onnx", "side", out_size="larger"), "a super-resolution model"),
        (write_restorer(tmp_path / "4x_fixed.onnx", 256, out_size=1024), "a super-resolution model"),
        (checkpoint, "a checkpoint of a picture generator"),
        (loose, "no model this package knows"),
    ):
        with pytest.raises(RetouchError, match=f"{file.name}: a face .* is needed here; this is {kind}"):
            load(file)


def test_restorers_are_told_from_recognisers_and_upscalers_by_their_output(tmp_path):
    assert load_restorer(write_restorer(tmp_path / "unknown.onnx")).licence == "unknown"
    for name, side in (("GPEN-BFR-1024.onnx", 1024), ("gfpgan_1.4.onnx", 512)):
        loaded = load_restorer(write_restorer(tmp_path / name, "side", out_size="side"))
        assert (loaded.size, loaded.architecture, loaded.has_fidelity, loaded.module) == (side, "ONNX", False, None)
    assert "Apache" in load_restorer(write_restorer(tmp_path / "GFPGANv1.4.onnx")).licence
    assert "non-commercial" in load_restorer(write_restorer(tmp_path / "codeformer.onnx", weight=np.float64)).licence


@pytest.mark.parametrize("load", [load_swapper, load_restorer])
@pytest.mark.parametrize("suffix", [".onnx", ".pth", ".safetensors"])
def test_what_was_saved_instead_of_a_model_is_said(tmp_path, load, suffix):
    file = tmp_path / f"model{suffix}"
    for content, message in (
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "this is a Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page was saved instead"),
        (b"\x08\x07garbage" * 9, "damaged or cut short" if suffix == ".onnx" else "neither an ONNX, nor"),
    ):
        file.write_bytes(content)
        with pytest.raises(RetouchError, match=f"model{suffix}: {message}"):
            load(file)
    with pytest.raises(RetouchError, match="there is no such file in"):
        load(tmp_path / f"missing{suffix}")
    with pytest.raises(RetouchError, match="is a folder: choose a model file in it"):
        load(tmp_path)


def test_a_file_cut_short_says_how_much_is_there(tmp_path, emap):
    whole = [write_swapper(tmp_path / "inswapper.onnx", emap=emap), esrgan(tmp_path / "GFPGAN.pth")]
    save_file({"toRGB.0.weight": torch.zeros(64, 64)}, tmp_path / "GFPGAN.safetensors")
    for file in (*whole, tmp_path / "GFPGAN.safetensors"):
        content = file.read_bytes()
        for part in (len(content) // 3, len(content) - 9):
            file.write_bytes(content[:part])
            load = load_swapper if file.suffix == ".onnx" else load_restorer
            with pytest.raises(RetouchError, match=rf"{file.name}: .*cut short \({part:,} bytes\)"):
                load(file)


def test_code_in_a_pickle_is_refused(tmp_path):
    torch.save({"params_ema": Path("/")}, tmp_path / "GFPGAN.pth")
    with pytest.raises(RetouchError, match="holds Python objects other than tensors"):
        load_restorer(tmp_path / "GFPGAN.pth")


@pytest.mark.slow
def test_tensors_that_only_begin_like_an_architecture_are_refused(tmp_path):
    with pytest.raises(RetouchError, match=r"GFPGANv1\.pth: its tensors are not those of GFPGAN as published"):
        load_restorer(gfpgan_keys(tmp_path / "GFPGANv1.pth"))


def test_codeformer_without_its_package_gives_the_command(tmp_path, monkeypatch):
    keys = ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")
    torch.save({"params_ema": {key: torch.zeros(1) for key in keys}}, tmp_path / "codeformer.pth")
    from spandrel import MAIN_REGISTRY

    assert "CodeFormer" not in MAIN_REGISTRY, "nothing of ours may change the registry that ComfyUI uses"
    monkeypatch.setitem(__import__("sys").modules, "spandrel_extra_arches", None)
    with pytest.raises(MissingDependencyError, match="pip install spandrel_extra_arches"):
        load_restorer(tmp_path / "codeformer.pth")
