"""What an answer names is fetched from the public internet only, on the address really connected to."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from faceid_tunes.faceid_core.astria import addresses
from faceid_tunes.faceid_core.astria.addresses import Fetcher, ForbiddenAddressError, forbidden, is_public
from faceid_tunes.faceid_core.astria.errors import ResultError
from faceid_tunes.faceid_core.astria.images import download_images
from support.asking import ask
from support.fake_astria import FakeAstria, picture
from support.fake_faults import Fault
from support.raw_http import RawServer

HTTPS_API = "https://api.example.com"

HOSTS = (
    *("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
    *("127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.0.8", "198.18.0.1"),
    *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[fe80::1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", "[fc00::1]", "[fec0::1]"),
    *("[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("192.88.99.1", "203.0.113.1", "198.51.100.1", "192.0.2.1", "127.0.0.1.", "LOCALHOST"),
)


async def fetch(base_url: str, address: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=5)
    async with Fetcher(base_url, timeout=timeout) as fetcher, fetcher.get(address, {}) as response:
        return await response.read()


def refusal(base_url: str, address: str) -> str:
    """Why it is not fetched; fails when it is, or when it only was not reached."""
    try:
        asyncio.run(fetch(base_url, address))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        found = forbidden(error)
        assert found is not None or isinstance(error, aiohttp.InvalidURL | ValueError), repr(error)
        return str(found or error)
    raise AssertionError("it was fetched")


@pytest.mark.parametrize("host", HOSTS)
def test_an_api_over_tls_makes_nobody_read_a_private_address(host: str):
    with RawServer(body=picture("x")) as here:
        port = here.url.rsplit(":")[-1]
        refusal(HTTPS_API, f"https://{host}:{port}/x")
        assert not here.requests


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["::1", "127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"]])
def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch, answer: list[str]):
    def resolve(host, port, *_, **__):
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)[: 4 if ":" in address else 2])
            for family, address in zip(families, answer, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert "public" in refusal(HTTPS_API, "https://pictures.example.com/x")


@pytest.mark.parametrize(
    "address",
    ["http://93.184.216.34/x", "ftp://93.184.216.34/x", "file:///etc/passwd", "https://", "//x", "https://[/"],
)
def test_an_api_over_tls_names_https_addresses_only(address: str):
    refusal(HTTPS_API, address)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_a_private_address(monkeypatch: pytest.MonkeyPatch, status: int):
    monkeypatch.setattr(addresses, "is_this_machine", lambda host: False)  # as if the API were far away
    with RawServer(body=picture("x")) as secret, FakeAstria() as api:
        api.will(Fault(status=status, headers={"Location": secret.url + "/secret"}), "GET", "/blobs")
        assert "not a public address" in refusal(api.url, api.url + "/blobs/x")
        assert not secret.requests


def test_redirects_end():
    with FakeAstria() as api:
        api.will(Fault(status=302, headers={"Location": "/blobs/x"}), "GET", "/blobs", times=99)
        assert "redirects more than 5 times" in refusal(api.url, api.url + "/blobs/x")


def test_a_server_on_this_machine_may_name_itself_and_others_here_but_no_other_private_one(api: FakeAstria):
    with RawServer(body=picture("x"), content_type="image/jpeg") as other:
        for address in (api.url + "/blobs/t1i0", other.url, other.url.replace("127.0.0.1", "localhost")):
            assert asyncio.run(fetch(api.url, address)).startswith(b"\xff\xd8")
    for host in ("10.0.0.1", "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]"):
        refusal(api.url, f"http://{host}:1/x")


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_are_public(address: str):
    assert is_public(address)


def test_no_proxy_of_the_environment_is_asked(api: FakeAstria, monkeypatch: pytest.MonkeyPatch):
    with RawServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert asyncio.run(fetch(api.url, api.url + "/blobs/t1i0")).startswith(b"\xff\xd8")
        assert not proxy.requests


def test_what_is_refused_is_told_once_and_in_a_sentence(api: FakeAstria):
    with pytest.raises(ResultError, match=r"Image 1 of 1: the answer names http://10\.0\.0\.1:1, and .* not fetched"):
        ask(api, lambda client: download_images(client, ["http://10.0.0.1:1/x?secret"]))
    assert isinstance(forbidden(ForbiddenAddressError("x")), ForbiddenAddressError)
