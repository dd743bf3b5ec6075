"""``faceid doctor`` on machines that lack one thing or another: real files, real stores, no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faceid_tunes.cli import main
from faceid_tunes.faceid_core.doctor import Finding, Level, examine
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.faceid_core.weights.folders import model_folders
from faceid_tunes.faceid_core.weights.manifest import manifest
from support.adapters import adapter_tensors, layer_widths, write_safetensors
from support.photos import INSIGHTFACE

PHOTO = INSIGHTFACE / "Tom_Hanks_54745.png"
KEY = "sd_this1is2a3key4of5tests6"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("FACEID_", "ASTRIA_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def machine(tmp_path: Path):
    """Looks at the machine whose models and people are below ``tmp_path``."""

    def look(comfyui: Path | None = None) -> list[Finding]:
        return list(examine(model_folders(tmp_path / "models"), comfyui, tmp_path / "home"))

    return look


def one(findings: list[Finding], word: str) -> Finding:
    found = [finding for finding in findings if word in finding.said]
    assert len(found) == 1, [finding.said for finding in findings]
    return found[0]


def test_an_empty_machine_lacks_what_drawing_needs_and_each_has_its_command(machine):
    problems = [finding for finding in machine() if finding.level is Level.PROBLEM]
    assert [finding.fetch for finding in problems] == [
        ("buffalo_l-detector", "buffalo_l-recogniser"),
        ("plusv2-sd15",),
        ("realistic-vision-5.1",),
    ]
    assert all(f"faceid weights fetch {' '.join(finding.fetch)}" in finding.remedy for finding in problems)


def test_what_is_only_an_addition_is_no_problem(machine):
    findings = machine()
    for word in ("swapper", "restorer", "parser", "upscaler", "LCM"):
        assert one(findings, word).level is Level.MISSING
    known = {entry.id for entry in manifest()}
    assert all(set(finding.fetch) <= known for finding in findings)


@pytest.mark.slow
def test_an_adapter_is_called_what_it_is_and_clip_is_missed_only_where_it_is_read(machine, tmp_path):
    (tmp_path / "models" / "ipadapter").mkdir(parents=True)
    tensors = adapter_tensors("faceid", "sd15", hidden=layer_widths("sd15", divide=40), context=64, lora_rank=1)
    write_safetensors(tmp_path / "models" / "ipadapter" / "mine.safetensors", tensors)
    findings = machine()
    assert one(findings, "mine.safetensors").said == "Adapter mine.safetensors: FaceID for SD 1.5."
    assert one(findings, "CLIP vision").level is Level.MISSING
    (tmp_path / "models" / "ipadapter" / "page.bin").write_text("<!DOCTYPE html><html>")
    assert "web page" in one(machine(), "page.bin").said


def test_a_comfyui_that_is_too_old_is_told(machine, tmp_path):
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.19.4"\n')
    (tmp_path / "requirements.txt").write_text("comfyui-frontend-package==1.39.1\n")
    found = one(machine(tmp_path), "ComfyUI 0.19.4")
    assert found.level is Level.PROBLEM and "web UI is 1.39.1" in found.said and "0.20.0 or newer" in found.remedy
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.20.0"\n')
    assert one(machine(tmp_path), "ComfyUI 0.20.0").level is Level.GOOD


@pytest.mark.slow
def test_looking_makes_no_store_and_counts_who_is_in_one(machine, tmp_path):
    assert one(machine(), "Nobody is kept yet").level is Level.GOOD and not (tmp_path / "home").exists()
    with open_store(tmp_path / "home") as store:
        create_tune(store, [PHOTO.read_bytes()], "Tom", "man", embedded_pack())
    assert one(machine(), "1 person is kept").level is Level.GOOD
    (tmp_path / "home" / "tunes.sqlite3").write_bytes(b"no database" * 1000)
    assert one(machine(), "tunes.sqlite3").level is Level.PROBLEM


@pytest.mark.slow
def test_a_key_is_found_and_never_shown(machine, tmp_path, monkeypatch):
    assert one(machine(), "remote API cannot be used").level is Level.MISSING
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "astria_key").write_text(KEY)
    (tmp_path / "home" / "astria_key").chmod(0o600)
    findings = machine()
    assert one(findings, "There is a key").level is Level.GOOD and KEY not in str(findings)
    (tmp_path / "home" / "astria_key").chmod(0o644)
    assert "chmod 600" in one(machine(), "remote API cannot be used").remedy


def test_the_command_ends_with_1_where_nobody_can_be_drawn(tmp_path, capsys):
    assert main(["doctor", "--models", str(tmp_path), "--home", str(tmp_path / "home")]) == 1
    said = capsys.readouterr()
    assert "  problem The face pack buffalo_l is missing" in said.out
    assert said.err == "faceid: 3 problems: see what to do above.\n"
