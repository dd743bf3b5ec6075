"""The errors of model files."""

from __future__ import annotations

from ..errors import FaceIDError


class WeightsError(FaceIDError):
    """A model file or folder is unknown, missing or damaged."""


class LicenceError(WeightsError):
    """A licence that must be accepted first was not accepted."""


class DownloadError(WeightsError):
    """A file could not be downloaded: no network, no such file, or not the published one."""


class StorageError(WeightsError):
    """A file could not be saved: the disk is full, or the folder cannot be written to."""
