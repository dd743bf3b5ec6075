"""Which swapper and restorer "auto" takes."""

from __future__ import annotations

from pathlib import Path

from faceid_tunes.faceid_core.retouch.preferred import preferred_restorers, preferred_swappers


def test_inswapper_comes_before_hyperswap_and_face_packs_are_no_swappers():
    files = {
        "insightface": ["models/buffalo_l/w600k_r50.onnx", "hyperswap_1a_256.onnx", "inswapper_128.onnx"],
        "hyperswap": ["mine.onnx", "notes.pth"],
        "reswapper": ["reswapper_256.onnx", "reswapper_256.pth", "inswapper_128.onnx"],
    }
    assert preferred_swappers(files) == [
        "inswapper_128.onnx",
        "hyperswap_1a_256.onnx",
        "reswapper_256.onnx",
        "mine.onnx",
    ]


def test_gfpgan_comes_before_other_restorers_wherever_it_lies():
    files = [Path("z/GFPGANv1.4.pth"), Path("b/codeformer.pth"), Path("a/own.onnx"), Path("RestoreFormer_PP.onnx")]
    assert [file.name for file in preferred_restorers(files)] == [
        "GFPGANv1.4.pth",
        "RestoreFormer_PP.onnx",
        "codeformer.pth",
        "own.onnx",
    ]
    assert preferred_restorers([]) == []
