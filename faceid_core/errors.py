"""Everything this package raises on purpose.

    FaceIDError
    ├── PhotoError        an input picture cannot be used (NaN, 1x1, not a picture)
    │   └── NoFaceError   a readable picture in which no face was found
    ├── FacePackError     a face pack is missing or incomplete
    ├── AdapterError      an IP-Adapter file cannot be read, or does not fit the model or faces it is used with
    ├── MissingDependencyError  a Python package has to be installed first
    ├── PromptError       (prompts/errors.py) a prompt cannot be used; says where in it
    ├── TuneError         (tunes/errors.py) a tune cannot be created, read or changed
    ├── CheckpointError   (engines/embedded/model_file.py) a checkpoint, LoRA or image encoder cannot be used
    ├── ComfyUIError      (engines/comfyui/client.py) a running ComfyUI was not reached, refused or failed
    ├── WeightsError      (weights/errors.py) a model file is missing, refused or not downloaded
    ├── RetouchError      (retouch/errors.py) a swapper, restorer or mask cannot be used
    ├── AstriaError       (astria/errors.py) the remote API refused, failed, or was not reached
    └── Cancelled         (engines/engine.py) somebody asked an engine to stop

Each message says what was wrong, in which input, and what to do next; it is shown to the user as it is.
"""


class FaceIDError(Exception):
    """Base of every error meant for the user."""


class PhotoError(FaceIDError):
    """An input picture cannot be used."""


class NoFaceError(PhotoError):
    """No face was found in a readable picture."""


class FacePackError(FaceIDError):
    """A face pack (detector and recogniser) is missing or incomplete."""


class AdapterError(FaceIDError):
    """An IP-Adapter FaceID file cannot be read, or does not fit the model or the faces it is applied with."""


class MissingDependencyError(FaceIDError):
    """A Python package that this step needs is not installed."""
