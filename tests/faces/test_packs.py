"""Face packs: where they are found, what their files are taken for, and what is said when they are missing."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
from faceid_tunes.faceid_core.errors import FacePackError, MissingDependencyError
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, extract_faces, find_pack, list_packs, models
from faceid_tunes.faceid_core.model_files.onnx_header import Role, read_signature
from onnx import TensorProto, helper


def install(folder: Path, pack, detector: str = "det_10g.onnx", recogniser: str = "w600k_r50.onnx") -> None:
    """The embedded pack's files under other names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / detector).symlink_to(pack.detector)
    (folder / recogniser).symlink_to(pack.recogniser)


def write_onnx(file: Path, inputs: dict[str, list], outputs: int, weights_as_inputs: bool = False) -> None:
    """A tiny ONNX file with that many inputs and outputs."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    first = next(iter(inputs))
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [1], [1.0])
    nodes = [helper.make_node("Mul", [first, "weight"], [f"out{number}"]) for number in range(outputs)]
    results = [helper.make_tensor_value_info(f"out{number}", TensorProto.FLOAT, None) for number in range(outputs)]
    if weights_as_inputs:
        values.append(helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1]))
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", values, results, [weight])), file)


def names(*roots: Path) -> list[str]:
    return [pack.name for pack in list_packs(roots)]


@pytest.mark.parametrize(
    "place", ["models/buffalo_l", "buffalo_l", "models/buffalo_l/buffalo_l", "buffalo_l/buffalo_l"]
)
def test_a_pack_is_found_in_every_layout_users_have(place, tmp_path, pack):
    install(tmp_path / place, pack)
    assert names(tmp_path) == [EMBEDDED_PACK, "buffalo_l"]
    assert find_pack("buffalo_l", [tmp_path]).detector == tmp_path / place / "det_10g.onnx"


@pytest.mark.parametrize("place", [".", "models"])
def test_files_lying_in_the_root_itself_are_named_after_the_pack_they_come_from(place, tmp_path, pack):
    install(tmp_path / place, pack)
    install(tmp_path / place, pack, "scrfd_10g_bnkps.onnx", "glintr100.onnx")
    write_onnx(tmp_path / place / "inswapper_128.onnx", {"target": [1, 3, 128, 128], "source": [1, 512]}, 1)
    assert names(tmp_path) == [EMBEDDED_PACK, "antelopev2", "buffalo_l"]


def test_the_first_of_several_roots_wins(tmp_path, pack):
    for root in ("users", "default"):
        install(tmp_path / root / "models" / "buffalo_l", pack)
    found = find_pack("buffalo_l", [tmp_path / "users", tmp_path / "default"])
    assert found.detector.is_relative_to(tmp_path / "users")


def test_a_whole_buffalo_zip_uses_two_of_its_five_files(tmp_path, pack):
    folder = tmp_path / "models" / "buffalo_l"
    install(folder, pack)
    for name in ("1k3d68", "2d106det", "genderage"):
        (folder / f"{name}.onnx").write_bytes(b"never opened")
    found = find_pack("buffalo_l", [tmp_path])
    assert (found.detector.name, found.recogniser.name) == ("det_10g.onnx", "w600k_r50.onnx")


def test_files_with_unknown_names_are_told_by_their_signature(tmp_path, pack):
    folder = tmp_path / "mine"
    install(folder, pack, "b_eyes.onnx", "c_identity.onnx")
    write_onnx(folder / "a_landmarks.onnx", {"data": ["N", 3, 192, 192]}, 1)
    write_onnx(folder / "a_age.onnx", {"data": ["N", 3, 96, 96]}, 1)
    write_onnx(folder / "a_swap.onnx", {"target": [1, 3, 128, 128], "source": [1, 512]}, 1)
    (folder / "a_page.onnx").write_bytes(b"<html>not found</html>")
    found = find_pack("mine", [tmp_path])
    assert (found.detector.name, found.recogniser.name) == ("b_eyes.onnx", "c_identity.onnx")


def test_signatures_are_what_onnx_itself_reads(tmp_path, pack):
    for file in (pack.detector, pack.recogniser):
        graph, signature = onnx.load(file).graph, read_signature(file)
        assert (signature.inputs, signature.outputs) == (len(graph.input), len(graph.output))
        dims = graph.input[0].type.tensor_type.shape.dim
        assert signature.input_shape == tuple(dim.dim_value for dim in dims)
    assert read_signature(pack.detector).role is Role.DETECTOR
    assert read_signature(pack.recogniser).role is Role.RECOGNISER


def test_weights_that_an_old_exporter_lists_as_inputs_do_not_count(tmp_path):
    write_onnx(tmp_path / "old.onnx", {"data": ["N", 3, 112, 112]}, 1, weights_as_inputs=True)
    assert read_signature(tmp_path / "old.onnx").role is Role.RECOGNISER


def test_half_a_file_has_no_signature(tmp_path, pack):
    data = pack.detector.read_bytes()
    (tmp_path / "half.onnx").write_bytes(data[: len(data) // 2])
    assert read_signature(tmp_path / "half.onnx") is None


@pytest.mark.slow
def test_listing_packs_needs_no_onnx_and_no_runtime(tmp_path, pack):
    import subprocess

    install(tmp_path / "mine", pack, "eyes.onnx", "identity.onnx")
    code = (
        "import sys, pathlib; from faceid_tunes.faceid_core.faces import list_packs; "
        f"assert len(list_packs([pathlib.Path({str(tmp_path)!r})])) == 2; "
        "print(*{'onnx', 'onnxruntime', 'insightface', 'cv2'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_auto_is_buffalo_l_when_it_is_there_and_the_embedded_pack_otherwise(tmp_path, pack):
    assert find_pack("auto", [tmp_path]).name == EMBEDDED_PACK
    install(tmp_path / "models" / "buffalo_l", pack)
    assert find_pack("auto", [tmp_path]).name == "buffalo_l"


def test_the_embedding_space_follows_the_recognisers_content_not_its_name(tmp_path, pack):
    install(tmp_path / "buffalo_l", pack)
    assert find_pack("buffalo_l", [tmp_path]).space == "sface"


@pytest.mark.parametrize(
    ("name", "space"),
    [("w600k_r50", "w600k_r50"), ("glintr100", "auraface/glintr100"), ("w_own", "auraface/w_own")],
)
def test_a_recogniser_nobody_knows_gets_a_space_of_its_own(name, space, tmp_path, pack):
    folder = tmp_path / "auraface"
    write_onnx(folder / f"{name}.onnx", {"data": ["N", 3, 112, 112]}, 1)
    (folder / "det.onnx").symlink_to(pack.detector)
    assert find_pack("auraface", [tmp_path]).space == space


def test_a_missing_buffalo_l_says_where_to_get_it_where_to_put_it_and_under_which_licence(tmp_path):
    with pytest.raises(FacePackError) as error:
        find_pack("buffalo_l", [tmp_path])
    message = str(error.value)
    assert "https://github.com/deepinsight/insightface/releases/download/model-zoo/buffalo_l.zip" in message
    assert f"into {tmp_path / 'models' / 'buffalo_l'}" in message
    assert "non-commercial" in message
    assert "det_10g.onnx and w600k_r50.onnx" in message


def test_an_incomplete_pack_says_what_is_there_and_what_is_not(tmp_path):
    folder = tmp_path / "models" / "buffalo_l"
    folder.mkdir(parents=True)
    (folder / "det_10g.onnx").write_bytes(b"x")
    (folder / "w600k_r50.onnx.part").write_bytes(b"x")
    with pytest.raises(FacePackError, match=r"buffalo_l holds det_10g\.onnx \(detector\) but no recogniser"):
        find_pack("buffalo_l", [tmp_path])
    assert names(tmp_path) == [EMBEDDED_PACK]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!doctype html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
        (b"\x08\x07\x12\x05", "is damaged or cut short"),
    ],
)
def test_a_broken_model_file_is_named_for_what_it_is(content, message, tmp_path, pack, astronaut):
    install(tmp_path / "buffalo_l", pack)
    broken = tmp_path / "buffalo_l" / "w600k_r50.onnx"
    broken.unlink()
    broken.write_bytes(content)
    with pytest.raises(FacePackError, match=message) as error:
        extract_faces([astronaut], find_pack("buffalo_l", [tmp_path]))
    assert "w600k_r50.onnx" in str(error.value)


@pytest.mark.slow
def test_a_pack_of_the_users_runs_like_the_embedded_one(tmp_path, pack, astronaut):
    install(tmp_path / "models" / "buffalo_l", pack)
    mine, ours = extract_faces([astronaut], find_pack("auto", [tmp_path])), extract_faces([astronaut], pack)
    assert (mine.pack, mine.space, mine.digest) == ("buffalo_l", "sface", ours.digest)


@pytest.mark.slow
def test_at_most_two_packs_stay_loaded(tmp_path, pack, astronaut):
    for name in ("one", "two", "three"):
        install(tmp_path / name, pack)
        extract_faces([astronaut], find_pack(name, [tmp_path]))
    assert len(models._loaded) == 2


@pytest.fixture
def nothing_loaded():
    models._loaded.clear()
    yield
    models._loaded.clear()


def test_a_missing_insightface_gives_the_command_that_spares_the_runtime(pack, monkeypatch, nothing_loaded):
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    with pytest.raises(MissingDependencyError, match=r'insightface 2\.0 or newer.*Run: ".*" ".*install\.py"'):
        models.load_models(pack)


def test_an_insightface_of_old_is_told_from_damaged_files(pack, monkeypatch, nothing_loaded):
    monkeypatch.setattr(models.metadata, "version", lambda name: "0.7.3")
    with pytest.raises(MissingDependencyError, match=r"version 0\.7\.3 is too old"):
        models.load_models(pack)


def test_a_missing_runtime_gives_the_command_to_install_one(pack, monkeypatch, nothing_loaded):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"an ONNX runtime.*install\.py"):
        models.load_models(pack)


def test_a_runtime_hollowed_out_by_an_uninstall_is_recognised(pack, monkeypatch, nothing_loaded):
    import onnxruntime

    monkeypatch.delattr(onnxruntime, "InferenceSession")
    with pytest.raises(MissingDependencyError, match=r"an ONNX runtime.*InferenceSession.*install\.py"):
        models.load_models(pack)
