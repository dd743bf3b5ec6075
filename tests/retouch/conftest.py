from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import Faces, find_faces
from faceid_tunes.faceid_core.retouch import load_restorer, load_swapper
from support.retouch_models import COLOURS, write_restorer, write_swapper


@pytest.fixture(scope="session")
def found(t1, pack):
    """The six faces of t1, from left to right."""
    return find_faces([t1], pack).photos[0].faces


@pytest.fixture(scope="session")
def six(found, pack):
    """The six people of t1, each as a person of their own."""
    return [Faces((face,), pack.space, pack.name, "CPUExecutionProvider") for face in found]


@pytest.fixture(scope="session")
def emap():
    """A rotation: invertible, and no multiple of the identity."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(512, 512)))[0].astype(np.float32)


@pytest.fixture(scope="session")
def swapper_stub(tmp_path_factory, emap):
    """A file with inswapper_128's contract: the picture darker, tinted by who is swapped in."""
    tint = np.random.default_rng(1).normal(size=(512, 3)) * 0.4
    file = tmp_path_factory.mktemp("stub") / "inswapper_128.onnx"
    return write_swapper(file, gain=(0.6, 0.6, 0.6), offset=(0.2, 0.2, 0.2), tint=tint, emap=emap)


@pytest.fixture(scope="session")
def restorer_stub(tmp_path_factory):
    """A file with RestoreFormer++'s contract that adds contrast."""
    return write_restorer(tmp_path_factory.mktemp("stub") / "RestoreFormer_PP.onnx", gain=(1.2, 1.2, 1.2))


@pytest.fixture(scope="session")
def same_face(tmp_path_factory, emap):
    """A swapper that returns the face it is given."""
    return load_swapper(write_swapper(tmp_path_factory.mktemp("swap") / "inswapper_same.onnx", emap=emap))


@pytest.fixture(scope="session")
def same_restored(tmp_path_factory):
    """A restorer that returns the face it is given."""
    return load_restorer(write_restorer(tmp_path_factory.mktemp("restore") / "same_512.onnx"))


@pytest.fixture(scope="session")
def painter(tmp_path_factory, six):
    """A swapper that paints each of the six people as a flat colour of their own (COLOURS), whatever the face."""
    units = np.stack([person.mean_embedding() for person in six])
    tint = np.linalg.pinv(units) @ (COLOURS / 255)
    file = tmp_path_factory.mktemp("painter") / "inswapper_painter.onnx"
    return load_swapper(write_swapper(file, gain=(0, 0, 0), tint=tint, emap=np.eye(512)))
