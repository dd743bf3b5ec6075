"""Photos and pictures in an S3-compatible store: what a service on several machines shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .conftest import Served
from .test_page import BASE, PHOTO, ended, tune

pytestmark = pytest.mark.slow


@pytest.fixture
def blobs_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "faceid"),
        ("AWS_SECRET_ACCESS_KEY", "a secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{tmp_path.name.lower().replace('_', '-')[:50]}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/faceid"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def files(blobs_url: str) -> list[str]:
    """Photos, faces and pictures in the bucket."""
    import s3fs

    found = s3fs.S3FileSystem(use_listings_cache=False).find(blobs_url)
    return [path for path in found if len(path.rpartition("/")[2]) == 64]


def test_a_person_and_a_picture_are_kept_in_a_bucket_and_go_when_they_are_deleted(
    served: Served, blobs_url: str, tmp_path: Path
) -> None:
    made = tune(served)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size == PHOTO.stat().st_size]
    assert requests.get(made["orig_images"][0]).content == PHOTO.read_bytes()
    body = {"prompt": {"text": f"<faceid:{made['id']}:1> man", "num_images": 2}}
    prompt = ended(served, requests.post(f"{served.url}/tunes/{BASE}/prompts", json=body).json()["id"])
    assert [requests.get(picture).content[:4] for picture in prompt["images"]] == [b"\x89PNG"] * 2
    assert len(files(blobs_url)) >= 4
    requests.delete(f"{served.url}/prompts/{prompt['id']}")
    requests.delete(f"{served.url}/tunes/{made['id']}")
    assert files(blobs_url) == []


def test_a_bucket_that_is_away_is_answered_with_503_and_nothing(served: Served, blobs_url: str) -> None:
    import s3fs

    made = tune(served)
    kept = s3fs.S3FileSystem(use_listings_cache=False)
    kept.rm(blobs_url.rpartition("/")[0], recursive=True)
    form = {"tune[title]": "another", "tune[name]": "man", "tune[model_type]": "faceid"}
    answer = requests.post(f"{served.url}/tunes", data=form, files=[("tune[images][]", PHOTO.read_bytes())])
    assert (answer.status_code, answer.content) == (503, b"") and int(answer.headers["Retry-After"]) > 0
    assert requests.get(f"{served.url}/tunes/{made['id']}").status_code == 200
    assert len(requests.get(f"{served.url}/tunes").json()) == 1
