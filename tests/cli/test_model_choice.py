"""Which engine and which files ``faceid generate`` draws and retouches with."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from faceid_tunes.cli.engines import add_engine_options, chosen_engine, embedded_models
from faceid_tunes.faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine
from faceid_tunes.faceid_core.errors import FaceIDError


@pytest.fixture
def put(tmp_path):
    """Puts files into a models folder, which has a checkpoint and an adapter already."""

    def put(*names: str) -> None:
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")

    put("checkpoints/one.safetensors", "ipadapter/ip-adapter-faceid_sd15.bin")
    return put


@pytest.fixture
def asked(put, tmp_path):
    """The options of a command line."""

    def parsed(*arguments: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        add_engine_options(parser)
        return parser.parse_args(["--models", str(tmp_path), *arguments])

    return parsed


def names(*files: Path | None) -> list[str | None]:
    return [file and file.name for file in files]


def test_nothing_to_retouch_with_is_no_mistake(asked):
    chosen = embedded_models(asked())
    assert names(chosen.checkpoint, chosen.adapter) == ["one.safetensors", "ip-adapter-faceid_sd15.bin"]
    assert (chosen.swapper, chosen.restorer, chosen.upscaler) == (None, None, None)


def test_retouching_takes_the_same_files_as_auto_in_a_graph(put, asked):
    put(
        "insightface/models/buffalo_l/det_10g.onnx", "insightface/inswapper_128.onnx", "hyperswap/hyperswap_1a_256.onnx"
    )
    put("facerestore_models/CodeFormer.pth", "facerestore_models/GFPGANv1.4.pth")
    put("upscale_models/4x-UltraSharp.pth")
    chosen = embedded_models(asked())
    found = names(chosen.swapper, chosen.restorer, chosen.upscaler)
    assert found == ["inswapper_128.onnx", "GFPGANv1.4.pth", "4x-UltraSharp.pth"]
    put("upscale_models/RealESRGAN_x4plus.pth")
    assert embedded_models(asked()).upscaler.name == "RealESRGAN_x4plus.pth"


def test_plus_v2_is_preferred_where_its_image_encoder_is(put, asked):
    put("ipadapter/ip-adapter-faceid-plusv2_sd15.bin")
    assert embedded_models(asked()).adapter.name == "ip-adapter-faceid_sd15.bin"
    put("clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors")
    chosen = embedded_models(asked())
    assert chosen.adapter.name == "ip-adapter-faceid-plusv2_sd15.bin"
    assert chosen.image_encoder.name == "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"


def test_of_several_checkpoints_the_known_one_or_the_one_that_is_named(put, asked, tmp_path):
    put("checkpoints/another.safetensors")
    with pytest.raises(FaceIDError, match=r"Which one\? Choose with --checkpoint: another.safetensors, one"):
        embedded_models(asked())
    put("checkpoints/v1-5-pruned-emaonly.safetensors")
    assert embedded_models(asked("--checkpoint", "another")).checkpoint.name == "another.safetensors"
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.touch()
    assert embedded_models(asked("--checkpoint", str(elsewhere))).checkpoint == elsewhere
    with pytest.raises(FaceIDError, match=r"--checkpoint: there is no file 'third', .* There are another.safetensors"):
        embedded_models(asked("--checkpoint", "third"))


def test_the_embedded_engine_gets_the_settings(asked, monkeypatch):
    monkeypatch.setattr("faceid_tunes.faceid_core.engines.comfyui.find_comfyui", lambda: "http://127.0.0.1:8188")
    settings = ("--preview", "--lora-strength", "0.5", "--structure", "0.25")
    engine = chosen_engine(asked("--engine", "embedded", *settings))
    assert isinstance(engine, DiffusersEngine)
    assert (engine.preview, engine.lora_strength, engine.structure) == (True, 0.5, 0.25)


def test_a_comfyui_that_is_named_gets_the_settings_and_the_files(asked):
    settings = ("--preview", "--lora-strength", "0.5", "--structure", "0.25")
    files = ("--checkpoint", "one", "--adapter", "two")
    engine = chosen_engine(asked("--comfyui", "http://127.0.0.1:8188", *settings, *files))
    assert isinstance(engine, ComfyUIEngine)
    assert engine._models == ComfyModels("one", "two")
    assert (engine._preview, engine._lora_strength, engine._structure) == (True, 0.5, 0.25)
