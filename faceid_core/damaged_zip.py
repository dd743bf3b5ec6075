"""What the standard library raises for a zip that cannot be read."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

# Damaged anywhere, with a password (RuntimeError), or of an exotic compression; a name of no letter is an IndexError.
DAMAGED_ZIP = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, LookupError),
)
