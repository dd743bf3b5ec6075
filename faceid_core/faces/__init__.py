"""Faces: from a photo to an aligned crop and an ArcFace embedding.

photo.py    an IMAGE tensor or a file  -> uint8 RGB arrays
packs.py    which ONNX files there are -> FacePack          (model_files/onnx_header.py reads one)
models.py   FacePack                   -> two ONNX sessions
detect.py   photo                      -> boxes and landmarks (detection.py; confirm.py looks at each again)
turn.py     photo, turned              -> the same of faces that do not stand upright
align.py    landmarks                  -> 112 and 224 pixel crops
find.py     photo                      -> Face values        (embed.py makes one)
trust.py    Face                       -> what it is worth   (agreement.py, where its length does not say)
extract.py  photos                     -> Faces             (choose.py picks one face per photo)
person.py   several photos             -> whose they are    (clusters.py: faces by person; candidates.py: unclear)
annotated.py, report.py                -> the picture and the line that the user sees
mix.py      two people             -> somebody between them
likeness.py pictures, a person         -> cosines           (verdict.py: what a cosine means)
"""

from .annotated import annotated_photos
from .choose import PICKS
from .detection import DetectorSettings
from .extract import ON_MISSING, FoundFaces, PhotoFaces, choose_faces, extract_faces, find_faces
from .face import Face, Faces
from .packs import EMBEDDED_PACK, FacePack, find_pack, list_packs
from .person import PhotoChoice, PhotoVerdict, judge_photos, one_person, person_faces
from .photo import photos_from_tensor, read_photo, tensor_from_photos
from .report import describe_doubts, describe_faces

__all__ = [
    "EMBEDDED_PACK",
    "ON_MISSING",
    "PICKS",
    "DetectorSettings",
    "Face",
    "FacePack",
    "Faces",
    "FoundFaces",
    "PhotoChoice",
    "PhotoFaces",
    "PhotoVerdict",
    "annotated_photos",
    "choose_faces",
    "describe_doubts",
    "describe_faces",
    "extract_faces",
    "find_faces",
    "find_pack",
    "judge_photos",
    "list_packs",
    "one_person",
    "person_faces",
    "photos_from_tensor",
    "read_photo",
    "tensor_from_photos",
]
