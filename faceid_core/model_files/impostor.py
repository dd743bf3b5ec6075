"""What was saved in place of a model or a photo: the ways in which downloads go wrong."""

from __future__ import annotations

from enum import Enum

_MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<svg")


class Impostor(Enum):
    EMPTY = "an empty file"
    MARKUP = "a web page"  # the page about the file, or a server's error page
    LFS_POINTER = "a Git LFS pointer"  # a repository cloned without LFS


# What a message says of a file that is not a model, after its name and a colon.
MODEL_ADVICE = {
    Impostor.EMPTY: "the file is empty. Download it again.",
    Impostor.MARKUP: "a web page was saved instead of the model. Use the download button of the model's page "
    '("download file"), not "save link as" on the file\'s name.',
    Impostor.LFS_POINTER: "this is a Git LFS pointer, not the model: the repository was cloned without LFS. Run "
    "`git lfs pull` in it, or download the file itself.",
}


def impostor(start: bytes) -> Impostor | None:
    """What a file is by its first bytes (a few hundred are enough), or None when it may be the real thing."""
    text = start[:512].lstrip().lower()
    if not text:
        return Impostor.EMPTY
    if text.startswith(_MARKUP):
        return Impostor.MARKUP
    return Impostor.LFS_POINTER if text.startswith(b"version https://git-lfs") else None
