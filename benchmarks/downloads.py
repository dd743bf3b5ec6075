"""Downloads over a line that fails at random: what arrives, what is sent twice, what is left under a final name.

    python benchmarks/downloads.py [--downloads 100] [--seed 0]

Each download of a real 11 MB model meets up to four faults, at random places and of random kinds: the connection
closed or reset in the middle, a length stated too short, a range ignored, a server too busy, a wrong byte. Target:
every one that ends is byte-identical, no bad file under the final name.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import logging
import random
import tempfile
from functools import partial

import _setup  # noqa: F401  (makes tests/support importable)
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.weights.errors import DownloadError
from faceid_tunes.faceid_core.weights.fetch import fetch_each
from faceid_tunes.faceid_core.weights.folders import model_folders
from faceid_tunes.faceid_core.weights.manifest import Licence, PublishedFile
from faceid_tunes.faceid_core.weights.transfer import Patience
from support.faulty_server import Fault, FaultyServer, answers, corrupts, drops, ignores_range, resets, says_less
from tqdm import tqdm

FREE = Licence("free", "Free for any use.", True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--downloads", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable()
    content = embedded_pack().recogniser.read_bytes()
    chance, met, ends = random.Random(arguments.seed), collections.Counter(), collections.Counter()
    sent = 0
    for number in tqdm(range(arguments.downloads), disable=None):
        faults = [random_fault(chance, len(content)) for _ in range(chance.randint(1, 4))]
        met.update(fault.kind for fault in faults)
        end, bytes_sent = download(f"/{number}.onnx", content, faults)
        ends[end] += 1
        sent += bytes_sent
    print("faults met: " + ", ".join(f"{count} {kind}" for kind, count in sorted(met.items())))
    print(f"byte-identical: {ends['identical'] + ends['refused']} of {arguments.downloads}")
    print(f"of these refused first, for a wrong hash, and fetched again: {ends['refused']}")
    print(f"bad files under a final name: {ends['bad']}")
    print(f"bytes sent / bytes of the files: {sent / (len(content) * arguments.downloads):.3f}")


def download(path: str, content: bytes, faults: list[Fault]) -> tuple[str, int]:
    """How one download ended, and how many bytes it took."""
    server = FaultyServer()
    with tempfile.TemporaryDirectory() as folder:
        folders = model_folders(folder)
        sha256 = hashlib.sha256(content).hexdigest()
        url = server.serve(path, content, *faults)
        entry = PublishedFile("m", "m.onnx", "ipadapter", url, "main", FREE, ("x",), size=len(content), sha256=sha256)
        once = partial(fetch_each, [entry], folders, bar=partial(tqdm, disable=True), patience=Patience(pause=0))
        end = "identical"
        try:
            list(once())
        except DownloadError:
            end = "bad" if folders.target(entry).exists() else "refused"
        while not folders.target(entry).exists():
            try:
                list(once())
            except DownloadError:
                continue
        if folders.target(entry).read_bytes() != content:
            end = "bad"
    server.close()
    return end, sum(request.sent for request in server.requests)


def random_fault(chance: random.Random, size: int) -> Fault:
    kind = chance.choice([drops, resets, says_less, ignores_range, partial(answers, 503), corrupts])
    return kind(chance.randrange(size)) if kind in (drops, resets, says_less, corrupts) else kind()


if __name__ == "__main__":
    main()
