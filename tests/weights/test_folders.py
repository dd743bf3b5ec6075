"""Where model files are looked for: a models folder, a ComfyUI, and what its extra_model_paths.yaml adds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import faceid_tunes
import pytest
from faceid_tunes.faceid_core.faces.packs import find_pack
from faceid_tunes.faceid_core.weights.errors import WeightsError
from faceid_tunes.faceid_core.weights.folders import KEYS, ModelFolders, model_folders
from faceid_tunes.faceid_core.weights.manifest import model_file


@pytest.fixture
def comfyui(tmp_path) -> Path:
    folder = tmp_path / "ComfyUI"
    (folder / "models").mkdir(parents=True)
    (folder / "folder_paths.py").touch()
    return folder


def extra(comfyui: Path, text: str) -> ModelFolders:
    (comfyui / "extra_model_paths.yaml").write_text(text, encoding="utf-8")
    return model_folders(comfyui)


def test_a_models_folder_is_laid_out_like_comfyuis(tmp_path):
    folders = model_folders(tmp_path)
    assert {key: folders.of(key) for key in KEYS} == {key: (tmp_path / key,) for key in KEYS}
    assert not (tmp_path / "checkpoints").exists(), "nothing is made before it is needed"


def test_a_comfyui_folder_means_its_models(comfyui):
    assert model_folders(comfyui).of("ipadapter") == (comfyui / "models" / "ipadapter",)


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "elsewhere"))
    assert model_folders().of("loras") == (tmp_path / "elsewhere" / "loras",)


def test_outside_comfyui_there_is_a_folder_of_our_own(tmp_path):
    [folder] = model_folders().of("checkpoints")
    assert folder.is_relative_to(tmp_path / "home") and folder.parts[-3:] == ("faceid-tunes", "models", "checkpoints")


def test_inside_custom_nodes_it_is_that_comfyuis(comfyui, tmp_path):
    package = comfyui / "custom_nodes" / "faceid_tunes"
    source = Path(faceid_tunes.__file__).parent
    for folder in ("weights", "faceid_core"):
        shutil.copytree(source / folder, package / folder, ignore=shutil.ignore_patterns("embedded", "__pycache__"))
    shutil.copy(source / "__init__.py", package)
    code = f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
    code += (
        "from faceid_tunes.faceid_core.weights.folders import model_folders; print(*model_folders().of('ipadapter'))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout.strip() == str(comfyui / "models" / "ipadapter")


def test_extra_model_paths_are_read_as_comfyui_reads_them(comfyui, tmp_path, monkeypatch):
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    folders = extra(
        comfyui,
        """
        empty:
        a1111:
            base_path: $STORE/webui
            checkpoints: models/Stable-diffusion
            loras: |
                models/Lora
                models/LyCORIS
            ipadapter: models/IpAdapter
        beside:
            clip_vision: ../shared/clip
            upscale_models: /mnt/upscale
        """,
    )
    models, webui = comfyui / "models", tmp_path / "store" / "webui" / "models"
    assert folders.of("checkpoints") == (models / "checkpoints", webui / "Stable-diffusion")
    assert folders.of("loras") == (models / "loras", webui / "Lora", webui / "LyCORIS")
    assert folders.of("clip_vision") == (models / "clip_vision", tmp_path / "shared" / "clip")
    assert folders.of("upscale_models")[1] == Path("/mnt/upscale")
    assert folders.of("ipadapter") == (webui / "IpAdapter", models / "ipadapter"), "no core key: the user's comes first"


def test_is_default_puts_a_section_first(comfyui, tmp_path):
    folders = extra(comfyui, f"big:\n  base_path: {tmp_path}/big\n  is_default: true\n  checkpoints: ckpt\n")
    assert folders.of("checkpoints") == (tmp_path / "big" / "ckpt", comfyui / "models" / "checkpoints")
    assert folders.target(model_file("sd15")).parent == tmp_path / "big" / "ckpt"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n  loras: [one, two]\n", "a: loras must be a path"),
        ("a: b: c\n", "cannot be read"),
        ("a: \x00\n", "cannot be read"),
        ("- a\n- b\n", "expected named sections"),
    ],
)
def test_a_file_comfyui_could_not_read_is_named(comfyui, text, says):
    with pytest.raises(WeightsError, match=r"extra_model_paths\.yaml.*" + says):
        extra(comfyui, text)


def test_a_file_that_is_no_text_is_named_and_an_empty_one_adds_nothing(comfyui):
    (comfyui / "extra_model_paths.yaml").write_bytes(b"a:\n  loras: \xff\n")
    with pytest.raises(WeightsError, match=r"extra_model_paths\.yaml cannot be read"):
        model_folders(comfyui)
    assert extra(comfyui, "# nothing yet\n").of("loras") == (comfyui / "models" / "loras",)


def test_a_folder_that_is_named_twice_counts_once(comfyui, tmp_path):
    folders = extra(
        comfyui,
        f"""
        a:
            loras: {tmp_path}/one
            ipadapter: models/ipadapter
        again:
            loras: {tmp_path}/one
        first:
            is_default: true
            loras: {tmp_path}/one
        """,
    )
    assert folders.of("loras") == (tmp_path / "one", comfyui / "models" / "loras")
    assert folders.of("ipadapter") == (comfyui / "models" / "ipadapter",)


def test_old_names_of_kinds_and_the_users_home_are_understood(comfyui, tmp_path):
    folders = extra(comfyui, "a:\n  base_path: ~/store\n  unet: unet\n  clip: clip\n")
    store = tmp_path / "home" / "store"
    assert (folders.of("diffusion_models"), folders.of("text_encoders")) == ((store / "unet",), (store / "clip",))


def test_a_folder_may_be_named_from_here_or_from_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_folders("models").of("loras") == (tmp_path / "models" / "loras",)
    monkeypatch.setenv("FACEID_MODELS", "~/models")
    assert model_folders().of("loras") == (tmp_path / "home" / "models" / "loras",)


def test_comfyuis_desktop_application_keeps_its_models_apart_from_the_program(tmp_path):
    (tmp_path / "models").mkdir()
    assert model_folders(tmp_path).of("loras") == (tmp_path / "loras",), "a models folder that has one in it"
    (tmp_path / "custom_nodes").mkdir()
    assert model_folders(tmp_path).of("loras") == (tmp_path / "models" / "loras",)


def test_the_folder_lists_of_comfyui_itself_are_taken(tmp_path):
    folders = ModelFolders({"ipadapter": [str(tmp_path / "a"), str(tmp_path / "b")]})
    assert folders.of("ipadapter") == (tmp_path / "a", tmp_path / "b")
    with pytest.raises(WeightsError, match='No folder is known for "loras"'):
        folders.of("loras")


def test_model_files_are_listed_below_every_folder_and_through_links(tmp_path):
    for name in ("b/x.safetensors", "b/readme.txt", "b/x.safetensors.part", "b/deep/er/a.BIN", "linked/y.onnx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "link").symlink_to(tmp_path / "linked")
    (tmp_path / "b" / "circle").symlink_to(tmp_path / "b")
    files = ModelFolders({"loras": [tmp_path / "missing", tmp_path / "b"]}).files("loras")
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        "b/deep/er/a.BIN",
        "b/link/y.onnx",
        "b/x.safetensors",
    ]


def test_a_file_is_found_by_name_anywhere_below_its_folders(tmp_path):
    entry = model_file("plusv2-sd15")
    folders = model_folders(tmp_path)
    assert folders.find(entry) is None
    there = tmp_path / "ipadapter" / "faceid" / entry.name
    there.parent.mkdir(parents=True)
    there.touch()
    assert folders.find(entry) == there
    folders.target(entry).touch()
    assert folders.find(entry) == folders.target(entry), "where a download would put it comes first"


def test_another_name_counts_only_with_the_same_size(tmp_path):
    entry = model_file("clip-vit-h")
    renamed = tmp_path / "clip_vision" / "SD1.5" / "model.safetensors"
    renamed.parent.mkdir(parents=True)
    renamed.touch()
    assert model_folders(tmp_path).find(entry) is None
    with renamed.open("wb") as file:
        file.truncate(entry.size)  # sparse
    assert model_folders(tmp_path).find(entry) == renamed


@pytest.mark.parametrize("place", ["models/buffalo_l", "buffalo_l", "models/buffalo_l/buffalo_l", "models", "."])
def test_a_face_pack_is_found_where_face_packs_are_looked_for(tmp_path, place, detector, recogniser):
    root = tmp_path / "insightface"
    entries = {model_file("buffalo_l-detector"): detector, model_file("buffalo_l-recogniser"): recogniser}
    for entry, content in entries.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / entry.name).write_bytes(content)
        assert model_folders(tmp_path).find(entry) == root / place / entry.name
    assert find_pack("buffalo_l", [root]).name == "buffalo_l", "and both agree"


def test_the_same_file_in_another_pack_is_not_this_pack(tmp_path):
    other = tmp_path / "insightface" / "models" / "buffalo_m" / "w600k_r50.onnx"
    other.parent.mkdir(parents=True)
    other.touch()
    assert model_folders(tmp_path).find(model_file("buffalo_l-recogniser")) is None
