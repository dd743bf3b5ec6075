"""A disk that is really full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What a script can use: `fill()` takes all that is left, `free()` gives it back.
_BEGIN = """
import pathlib, sys
disk = pathlib.Path(sys.argv[1])
def fill():
    with (disk / "rest").open("ab", 0) as rest:
        for size in (2**16, 2**10, 1):
            try:
                while rest.write(bytes(size)): pass
            except OSError: pass
def free():
    (disk / "rest").unlink()
"""


def on_a_small_disk(folder: Path, script: str, *arguments: str, size: str = "2m") -> list[str]:
    """The lines that a script prints; ``folder`` is a disk of ``size`` to it, of which nothing stays.

    Skips the test where the machine gives no mount namespace.
    """
    mount = f"mount -t tmpfs -o size={size} tmpfs {folder}"
    try:
        subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no mount namespace with a small disk here ({error})")
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    run = subprocess.run(
        [*command, sys.executable, "-c", _BEGIN + script, str(folder), *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
