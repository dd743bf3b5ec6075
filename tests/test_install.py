"""What install.py adds to an environment, and what it leaves alone."""

from __future__ import annotations

import pytest
from faceid_tunes.install import missing

OTHERS = {"onnx", "requests", "scikit-image", "scipy", "tqdm"}


def test_an_empty_environment_gets_the_cpu_runtime():
    assert set(missing(set())) == OTHERS | {"opencv-python-headless", "onnxruntime"}


@pytest.mark.parametrize("runtime", ["onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"])
def test_a_runtime_that_is_there_stays_the_only_one(runtime):
    assert set(missing({runtime})) == OTHERS | {"opencv-python-headless"}


@pytest.mark.parametrize("opencv", ["opencv-python", "opencv-contrib-python", "opencv-python-headless"])
def test_an_opencv_that_is_there_stays_the_only_one(opencv):
    assert set(missing({opencv, "onnxruntime"})) == OTHERS


def test_a_complete_environment_gets_nothing():
    assert missing(OTHERS | {"opencv-python", "onnxruntime-gpu"}) == []
