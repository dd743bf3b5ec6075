"""What large bodies cost the service: its memory while it reads them, and whether they end as they should.

    python benchmarks/uploads.py [--at-once 4]

The service is a process of its own. Each body is sent in chunks, without a length; the memory is the process's
highest (VmHWM), over what it had before.

Target: a body costs no more than its largest file, whatever it holds; none ends the process.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import _setup  # noqa: F401
import numpy as np
from _served import free_port, started, wait_until_it_answers
from support.photos import INSIGHTFACE, encoded

MB = 1024**2
BOUNDARY = "a-boundary-of-ours"
NOISE = os.urandom(MB)
PHOTO = (INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes()


def part(name: str, file_name: str | None = None) -> bytes:
    named = f'; filename="{file_name}"' if file_name else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()


def form(*parts: tuple[bytes, Iterator[bytes]]) -> Iterator[bytes]:
    for head, chunks in parts:
        yield head
        yield from chunks
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def noise(megabytes: int) -> Iterator[bytes]:
    return (NOISE for _ in range(megabytes))


def fields() -> list[tuple[bytes, Iterator[bytes]]]:
    return [
        (part("tune[title]"), iter([b"x"])),
        (part("tune[name]"), iter([b"man"])),
        (part("tune[model_type]"), iter([b"faceid"])),
    ]


def photo_of(side: int) -> bytes:
    """A face in a large picture: a file of some megabytes."""
    from PIL import Image

    with Image.open(INSIGHTFACE / "Tom_Hanks_54745.png") as face:
        pixels = np.array(face.convert("RGB").resize((side, side)))
    grain = np.random.default_rng(1).integers(-12, 12, pixels.shape)
    return encoded(np.clip(pixels + grain, 0, 255).astype(np.uint8), "JPEG", quality=92)


def bodies() -> dict[str, Iterator[bytes]]:
    image = "tune[images][]"
    photo = photo_of(2400)
    large = [(part(image, f"{number}.jpg"), noise(60)) for number in range(4)]
    texts = [(part(f"tune[x{number}]"), iter([b"x" * MB])) for number in range(250)]
    photos = [(part(image, f"{number}.jpg"), iter([photo])) for number in range(64)]
    return {
        "4 files of 60 MB that are no pictures": form(*fields(), *large),
        "a file of 250 MB": form(*fields(), (part(image, "1.jpg"), noise(250))),
        "250 texts of 1 MB": form(*fields(), *texts),
        "300 MB without an end": form(*fields(), *large, (part(image, "1.jpg"), noise(60))),
        f"64 photos of {len(photo) / MB:.1f} MB": form(*fields(), *photos),
    }


def copies(name: str, count: int) -> list[Iterator[bytes]]:
    return [bodies()[name] for _ in range(count)]


def send(port: int, chunks: Iterator[bytes]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    try:
        connection.request("POST", "/tunes", body=chunks, headers=headers, encode_chunked=True)
    except OSError:  # refused before all was sent
        pass
    try:
        answer = connection.getresponse()
        return f"{answer.status} {answer.read()[:90].decode()}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"


def memory(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) // 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=1, help="of each body")
    options = parser.parse_args()
    with TemporaryDirectory() as home:
        port = free_port()
        process = started(Path(home), port, workers=0)
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}")
            one = form(*fields(), (part("tune[images][]", "1.png"), iter([PHOTO])))
            print(f"a small photo first: {send(port, one)[:3]}")
            for name in bodies():
                before = memory(process.pid, "VmRSS")
                forget_peak(process.pid)
                with ThreadPoolExecutor(options.at_once) as clients:
                    told = [*clients.map(lambda chunks: send(port, chunks), copies(name, options.at_once))]
                peak = memory(process.pid, "VmHWM")
                print(
                    f"{options.at_once} x {name}: {peak - before} MB more ({before} -> {peak}); {told[0]}", flush=True
                )
        finally:
            process.send_signal(signal.SIGTERM)
            print(f"ended with {process.wait(60)}")


if __name__ == "__main__":
    main()
