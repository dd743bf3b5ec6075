"""What goes wrong with model files."""

from __future__ import annotations

from ..errors import FaceIDError


class WeightsError(FaceIDError):
    """A model file or folder is not what it should be: unknown, missing, damaged."""


class LicenceError(WeightsError):
    """A licence that has to be accepted first was not."""


class DownloadError(WeightsError):
    """A file could not be downloaded: no network, no such file, not the published one."""


class StorageError(WeightsError):
    """A file could not be kept: the disk is full, the folder cannot be written to."""
