"""What the comfyui tests say where there is no ComfyUI, or one that cannot run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.comfyui import ComfyUIMissingError, ComfyUIServer, Installation, find_comfyui


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like ComfyUI."""
    path = tmp_path / "ComfyUI"
    (path / "comfy").mkdir(parents=True)
    (path / "main.py").touch()
    return path


def test_comfyui_path_names_the_checkout_and_its_own_interpreter_is_taken(checkout: Path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(checkout))
    assert find_comfyui() == Installation(checkout, Path(sys.executable))
    inner = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    own = checkout.joinpath("venv", *inner)
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_comfyui() == Installation(checkout, own)


def test_a_wrong_comfyui_path_is_named_and_no_other_place_is_tried(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(ComfyUIMissingError, match=f"no ComfyUI at {tmp_path}: set COMFYUI_PATH"):
        find_comfyui()


def test_modules_the_interpreter_lacks_are_named():
    assert Installation(Path(), Path(sys.executable)).missing(("json", "no_such_module")) == ["no_such_module"]


def test_a_comfyui_whose_requirements_are_not_installed_is_missing_and_the_module_is_named(checkout: Path):
    (checkout / "main.py").write_text("import no_such_module\n")
    server = ComfyUIServer(Installation(checkout, Path(sys.executable)), checkout)
    with pytest.raises(ComfyUIMissingError, match=r"No module named 'no_such_module'.* pip install -r "):
        server.start()


def test_a_comfyui_that_ends_is_an_error_with_the_end_of_its_log_and_not_a_skip(checkout: Path):
    (checkout / "main.py").write_text("raise SystemExit('port taken')\n")
    server = ComfyUIServer(Installation(checkout, Path(sys.executable)), checkout)
    with pytest.raises(RuntimeError, match="ended with code 1") as ended:
        server.start()
    assert "port taken" in str(ended.value)
