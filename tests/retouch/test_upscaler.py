"""Super-resolution without ComfyUI: real architectures through spandrel, in tiles."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from faceid_tunes.faceid_core.retouch import RetouchError, load_upscaler, upscale
from onnx import TensorProto, helper
from safetensors.torch import save_file
from support.retouch_models import write_restorer, write_swapper, write_upscaler

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def random_esrgan(tmp_path_factory):
    """The architecture of RealESRGAN_x4plus with one block, in the wrapping of its published file."""
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("upscaler") / "RealESRGAN_x4plus.pth"
    network = RRDBNet(num_filters=16, num_blocks=1)
    weights = network.state_dict()
    last = [key for key in weights if key.startswith("model.10")]
    weights[last[0]] *= 30  # grey levels all over, not all black
    weights[last[1]] += 0.5
    torch.save({"params_ema": weights}, file)
    return file


@pytest.mark.slow
def test_every_pixel_is_what_the_network_makes_of_the_whole_picture(random_esrgan, t1):
    upscaler, picture = load_upscaler(random_esrgan), t1[100:420, 200:800]
    assert (upscaler.name, upscaler.scale) == ("RealESRGAN_x4plus.pth", 4)
    whole = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        reference = upscaler.model(whole)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    larger = upscale(picture, upscaler, CPU)
    assert (larger.shape, larger.dtype) == ((1280, 2400, 3), np.uint8)
    assert reference.std() > 5
    assert np.abs(larger - reference).max() <= 0.51, "tiles of 256 with their margins, and rounding"


@pytest.mark.slow
def test_colours_and_places_are_kept(tmp_path, t1):
    upscaler = load_upscaler(write_upscaler(tmp_path / "repeats.safetensors"))
    picture = t1[:70, :300]
    assert np.array_equal(upscale(picture, upscaler, CPU), picture.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.slow
def test_tiles_are_counted_and_can_be_stopped_between(tmp_path, t1):
    upscaler, seen = load_upscaler(write_upscaler(tmp_path / "repeats.safetensors")), []
    upscale(t1[:70, :300], upscaler, CPU, lambda *tile: seen.append(tile))
    assert seen == [(0, 2), (1, 2), (2, 2)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale(t1[:70, :300], upscaler, CPU, stop)


def test_a_file_is_loaded_once(random_esrgan):
    assert load_upscaler(random_esrgan) is load_upscaler(random_esrgan)


def onnx_upscaler(folder):
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 0, 0])
    larger = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, 0, 0])
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], "g", [picture], [larger])
    onnx.save(helper.make_model(graph, ir_version=8), folder / "x4.onnx")
    return folder / "x4.onnx"


def grey_upscaler(folder):
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    save_file(RRDBNet(in_nc=1, out_nc=1, num_filters=8, num_blocks=1).state_dict(), folder / "grey.safetensors")
    return folder / "grey.safetensors"


def unknown(folder):
    save_file({"one.weight": torch.zeros(3)}, folder / "unknown.safetensors")
    return folder / "unknown.safetensors"


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: folder / "none.pth", "none.pth: there is no such file"),
        (lambda folder: write_swapper(folder / "inswapper_128.onnx"), "this is a face swapper. Choose it where"),
        (lambda folder: write_restorer(folder / "GPEN.onnx"), "this is a face restorer. Choose it where"),
        (onnx_upscaler, "x4.onnx: ONNX files of super-resolution models cannot be used. Use the .pth file."),
        (grey_upscaler, "grey.safetensors: does not turn a colour picture into one. Use RealESRGAN_x4plus.pth."),
        (unknown, "unknown.safetensors: spandrel does not know this super-resolution model."),
    ],
)
def test_another_file_says_what_it_is(tmp_path, write, message):
    with pytest.raises(RetouchError) as caught:
        load_upscaler(write(tmp_path))
    assert message in str(caught.value)
