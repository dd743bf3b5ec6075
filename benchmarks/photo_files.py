"""What damaged photos of every kind lead to, 300 copies of each of 49 files: python benchmarks/photo_files.py [COPIES]

Measured: 14,700 files, 3,854 pictures, 10,846 PhotoErrors, 0 escaped, slowest 323 ms (busy). Target: each is a
picture or a PhotoError; nothing else escapes, no copy takes more than a second.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter

import _setup  # noqa: F401
import cv2
from faceid_tunes.faceid_core.errors import PhotoError
from faceid_tunes.faceid_core.faces import read_photo
from support.photo_files import damaged, photo_files
from support.photos import single_faces


def outcome(data: bytes) -> str:
    try:
        read_photo(data)
    except PhotoError:
        return "PhotoError"
    except Exception as error:
        return f"ESCAPED {error!r}"
    return "picture"


def main() -> None:
    copies = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    total: Counter[str] = Counter()
    slowest = 0.0
    files = photo_files(cv2.resize(single_faces()["astronaut"], (96, 80)))
    warnings.simplefilter("error")  # a warning that reaches the user counts, too
    for name, data in files.items():
        counted = Counter()
        for seed in range(copies):
            started = time.perf_counter()
            counted[outcome(damaged(data, seed))] += 1
            slowest = max(slowest, time.perf_counter() - started)
        total += counted
        print(f"{name:18} {', '.join(f'{what} {count}' for what, count in sorted(counted.items()))}")
    escaped = sum(count for what, count in total.items() if what.startswith("ESCAPED"))
    print(f"{total.total()} files: {total['picture']} pictures, {total['PhotoError']} PhotoErrors, {escaped} escaped")
    print(f"slowest: {1000 * slowest:.0f} ms")


if __name__ == "__main__":
    main()
