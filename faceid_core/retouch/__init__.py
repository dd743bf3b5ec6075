"""Retouching: what happens to the faces of a finished picture.

crop.py      a picture's landmarks  -> an aligned square crop, in the framing a model needs
face_parser.py  aligned crops      -> which part of a face each pixel shows
face_mask.py picture, its faces     -> what is a face's own, and not in front of it
paste.py     a changed crop         -> the face's rectangle of the picture, and nothing else
swapper.py   an ONNX file           -> Swapper            (model_files/tells.py says what a file is)
targets.py   places, photos         -> which face each person is painted over
swap.py      picture, people        -> the picture with the people's faces
restorer.py  a .pth or ONNX file    -> Restorer
restore.py   picture, its faces     -> the picture with sharp faces of the same people
upscaler.py  a .pth file            -> Upscaler, which makes a picture larger
resample.py  picture, a sampler     -> the picture with its detail or its faces drawn again
tools.py     a prompt, files        -> Tools: the models and functions for retouching
by_prompt.py picture, prompt, Tools -> all that the prompt's flags ask for, in order
bisenet.py   the face parser's network
preferred.py file names             -> those of swappers, restorers and face parsers, the preferred one first
"""

from .by_prompt import FLAGS, check_result_size, needs_people, retouch_picture
from .crop import TEMPLATES, crop_face
from .errors import RetouchError
from .face_mask import face_masks
from .face_parser import FaceParser, Parse, load_parser
from .paste import make_patch, soft_mask
from .picture import Retouched
from .resample import Resample, hires_fix, inpaint_faces
from .restore import restore_faces
from .restorer import Restorer, load_restorer
from .swap import BOOSTS, CHOICES, check_swap_space, swap_faces
from .swapper import Swapper, load_swapper
from .targets import POSITIONS, Target, all_targets, place_target, reference_target
from .tools import Tools, changes_faces, load_tools, parsing, shape_note
from .upscaler import Upscaler, load_upscaler, upscale

__all__ = [
    "BOOSTS",
    "CHOICES",
    "FLAGS",
    "POSITIONS",
    "TEMPLATES",
    "FaceParser",
    "Parse",
    "Resample",
    "Restorer",
    "RetouchError",
    "Retouched",
    "Swapper",
    "Target",
    "Tools",
    "Upscaler",
    "all_targets",
    "changes_faces",
    "check_result_size",
    "check_swap_space",
    "crop_face",
    "face_masks",
    "hires_fix",
    "inpaint_faces",
    "load_parser",
    "load_restorer",
    "load_swapper",
    "load_tools",
    "load_upscaler",
    "make_patch",
    "needs_people",
    "parsing",
    "place_target",
    "reference_target",
    "restore_faces",
    "retouch_picture",
    "shape_note",
    "soft_mask",
    "swap_faces",
    "upscale",
]
