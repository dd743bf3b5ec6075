"""Downloading: side by side, resumed, looked at, and without the key."""

from __future__ import annotations

import asyncio
import io

import pytest
from faceid_tunes.faceid_core.astria.errors import AstriaTransportError, ResultError
from faceid_tunes.faceid_core.astria.images import download_images
from faceid_tunes.faceid_core.astria.polling import wait_for_images
from faceid_tunes.faceid_core.prompts import Prompt
from PIL import Image
from support.asking import QUICK_POLLS, ask
from support.fake_astria import BASE, FakeAstria, picture
from support.fake_faults import Fault
from support.raw_http import RawServer


@pytest.fixture
def addresses(api: FakeAstria) -> tuple[str, ...]:
    async def draw(client):
        prompt = await client.create_prompt(BASE, Prompt("a lake", num_images=8))
        return await wait_for_images(client, prompt, policy=QUICK_POLLS)

    return ask(api, draw).images


def true_images(addresses: tuple[str, ...]) -> list[bytes]:
    return [picture(address.rsplit("/")[-1]) for address in addresses]


def downloads(api: FakeAstria) -> int:
    return sum(seen.path.startswith("/blobs/") for seen in api.seen)


def test_images_come_in_their_order_and_each_is_reported(api: FakeAstria, addresses: tuple[str, ...]):
    told = []
    images = ask(api, lambda client: download_images(client, addresses, lambda done, of: told.append((done, of))))
    assert images == true_images(addresses)
    assert told == [(number, 8) for number in range(1, 9)]


def test_the_key_does_not_go_with_them(api: FakeAstria, addresses: tuple[str, ...]):
    ask(api, lambda client: download_images(client, addresses))
    assert downloads(api) == 8
    assert not any("Authorization" in seen.headers for seen in api.seen if seen.path.startswith("/blobs/"))


def test_a_cut_download_goes_on_where_it_ended(api: FakeAstria, addresses: tuple[str, ...]):
    api.will(Fault(how="cut"), "GET", "/blobs", times=3)
    assert ask(api, lambda client: download_images(client, addresses)) == true_images(addresses)
    assert sum("Range" in seen.headers for seen in api.seen) == 3


def test_a_server_that_ignores_ranges_sends_it_from_the_start(api: FakeAstria, addresses: tuple[str, ...]):
    api.knows_ranges = False
    api.will(Fault(how="cut"), "GET", "/blobs", times=3)
    assert ask(api, lambda client: download_images(client, addresses)) == true_images(addresses)
    assert downloads(api) == 8 + 3


def test_an_image_that_changed_in_between_is_not_put_together(api: FakeAstria, addresses: tuple[str, ...]):
    pictures = iter([picture("old") + b"longer", *[picture("new")] * 2])
    api.picture = lambda name: next(pictures)
    api.will(Fault(how="cut"), "GET", "/blobs")
    assert ask(api, lambda client: download_images(client, addresses[:1])) == [picture("new")]
    assert downloads(api) == 2


def test_one_that_fails_stops_the_others(api: FakeAstria, addresses: tuple[str, ...]):
    api.will(Fault(status=404), "GET", addresses[3].rsplit("/")[-1])
    api.will(Fault(how="stall", seconds=1), "GET", "/blobs", times=99)
    with pytest.raises(ResultError, match="Image 4 of 8"):
        ask(api, lambda client: download_images(client, addresses))
    assert downloads(api) <= 4 + 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=416),
        Fault(how="reset"),
        Fault(how="stall", seconds=1),
        Fault(shorten=True),
        Fault(status=200, body=b"<!doctype html>", content_type="text/html"),
        Fault(status=200, body=b"", content_type="image/jpeg"),
        Fault(status=206, body=b"x", content_type="image/jpeg", headers={"Content-Range": "bytes 7-7/9"}),
    ],
)
def test_a_fault_is_mended_by_another_try(api: FakeAstria, addresses: tuple[str, ...], fault: Fault):
    api.will(fault, "GET", "/blobs", times=2)
    assert ask(api, lambda client: download_images(client, addresses)) == true_images(addresses)


def test_an_image_of_another_declared_type_is_an_image(api: FakeAstria, addresses: tuple[str, ...]):
    api.will(Fault(status=200, body=picture("x"), content_type="text/plain"), "GET", "/blobs")
    assert ask(api, lambda client: download_images(client, addresses[:1])) == [picture("x")]


def tiff() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=200, body=b"<!doctype html>", content_type="text/html"), "is a web page, not an image"),
        (Fault(status=200, body=b"", content_type="image/jpeg"), "is an empty file, not an image"),
        (Fault(status=200, body=tiff(), content_type="image/jpeg"), "is not a JPEG, PNG or WebP image"),
        (Fault(shorten=True), "is damaged or cut short"),
        (Fault(status=404), r"no longer exists \(404\): the remote API keeps images for 30 days"),
        (Fault(status=503), "cannot be downloaded: http://127.0.0.1:.* answers 503"),
    ],
)
def test_an_answer_that_is_still_not_an_image_is_named(
    api: FakeAstria, addresses: tuple[str, ...], fault: Fault, words: str
):
    api.will(fault, "GET", f"/blobs/{addresses[2].rsplit('/')[-1]}$", times=99)
    with pytest.raises(ResultError, match=f"Image 3 of 8 {words}"):
        ask(api, lambda client: download_images(client, addresses))


def test_an_image_that_is_too_large_is_not_downloaded(api: FakeAstria, addresses: tuple[str, ...]):
    with pytest.raises(ResultError, match=r"Image 1 of 1 is larger than 0\.000954 MB"):
        ask(api, lambda client: download_images(client, addresses[:1], max_bytes=1000))


def test_a_server_that_is_gone_is_named():
    with pytest.raises(AstriaTransportError, match=r"Image 1 of 1: http://127\.0\.0\.1:1 cannot be reached"):
        ask("http://127.0.0.1:1", lambda client: download_images(client, ["http://127.0.0.1:1/p?signature=x"]))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "nonsense", "http://"])
def test_an_address_that_is_not_one_is_named(api: FakeAstria, address: str):
    with pytest.raises(AstriaTransportError, match=r"Image 1 of 1: .*is not an address"):
        ask(api, lambda client: download_images(client, [address]))


def test_a_redirect_to_another_host_is_followed_without_the_key(api: FakeAstria, addresses: tuple[str, ...]):
    with RawServer(body=picture("x"), content_type="image/jpeg") as elsewhere:
        moved = Fault(status=302, headers={"Location": elsewhere.url + "/moved"})
        api.will(moved, "GET", "/blobs")
        assert ask(api, lambda client: download_images(client, addresses[:1])) == [picture("x")]
        assert b"authorization" not in elsewhere.requests[0].lower()


def test_cancelling_ends_all_downloads(api: FakeAstria, addresses: tuple[str, ...]):
    api.will(Fault(how="stall", seconds=5), "GET", "/blobs", times=8)
    started = []
    api.on_request = lambda method, path: started.append(path)

    async def cancelled(client):
        downloads = asyncio.ensure_future(download_images(client, addresses))
        while not started:
            await asyncio.sleep(0)
        downloads.cancel()
        with pytest.raises(asyncio.CancelledError):
            await downloads

    ask(api, cancelled)
