"""Everything this package raises on purpose.

    FaceIDError
    ├── PhotoError        an input picture cannot be used (NaN, 1x1, not a picture)
    │   └── NoFaceError   a readable picture in which no face was found
    ├── FacePackError     a face pack is missing, incomplete, or of the wrong embedding space
    ├── AdapterError      an IP-Adapter file cannot be read, or does not fit what it is used with
    └── MissingDependencyError  a Python package has to be installed first

Each message says what was wrong, in which input, and what to do next; it is shown to the user as it is.
"""


class FaceIDError(ValueError):
    """Base of every error meant for the user."""


class PhotoError(FaceIDError):
    """An input picture cannot be used."""


class NoFaceError(PhotoError):
    """No face was found in a readable picture."""


class FacePackError(FaceIDError):
    """A face pack (detector and recogniser) is missing, incomplete, or of the wrong embedding space."""


class AdapterError(FaceIDError):
    """An IP-Adapter FaceID file cannot be read, or does not fit the model it is applied to."""


class MissingDependencyError(FaceIDError, ImportError):
    """A Python package that this step needs is not installed."""
