"""Face packs that count as trained elsewhere."""

from __future__ import annotations

from pathlib import Path

import onnx
from faceid_tunes.faceid_core.faces.packs import embedded_pack


def install_pack(models: Path, name: str, detector: str, recogniser: str) -> None:
    """The embedded pack's models in files of other content, so that they count as another training's."""
    folder = models / "insightface" / "models" / name
    folder.mkdir(parents=True)
    pack = embedded_pack()
    for file, source in ((detector, pack.detector), (recogniser, pack.recogniser)):
        model = onnx.load(source)
        model.doc_string = name
        onnx.save(model, folder / f"{file}.onnx")
