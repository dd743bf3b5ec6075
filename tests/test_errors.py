"""A message that repeats an address repeats no login of it and no secret in its query."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.engines.comfyui.client import comfyui_url
from faceid_tunes.faceid_core.errors import FaceIDError, without_passwords
from faceid_tunes.faceid_core.tunes.blobs import Blobs
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.store import open_store

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("http://me:hunter2@host:8188/x is away", "http://host:8188/x is away"),
        ("http://me:hun@ter2hunter2@host/x", "http://host/x"),
        ("http://me:a/hunter2@host/x", "http://host/x"),
        ("'s3://AKIA:hunter2@bucket/tunes': no", "'s3://bucket/tunes': no"),
        ("https://hunter2@host", "https://host"),
        ("postgresql://host/db?password=hunter2&sslmode=off", "postgresql://host/db?password=…&sslmode=off"),
        ("GET https://host/x?a=1&access_token=hunter2 failed", "GET https://host/x?a=1&access_token=… failed"),
        ("https://host/x?X-Amz-Signature=hunter2", "https://host/x?X-Amz-Signature=…"),
        ("http://one/ and http://me:hunter2@two/", "http://one/ and http://two/"),
        ("http://127.0.0.1:8188/x, ask me@example.org", "http://127.0.0.1:8188/x, ask me@example.org"),
        ("<faceid:Anna:1> woman @ home", "<faceid:Anna:1> woman @ home"),
    ],
)
def test_no_login_of_an_address_is_told(said: str, told: str) -> None:
    assert without_passwords(said) == told == str(FaceIDError(said))


@pytest.mark.parametrize("address", ["http://me:hunter2@host:99999", "ftp://me:hunter2@host", "http://me:hunter2@:1"])
def test_an_address_of_comfyui_that_cannot_be_used_is_told_without_its_password(address: str) -> None:
    with pytest.raises(FaceIDError, match="is not ComfyUI's address") as error:
        comfyui_url(address)
    assert SECRET not in str(error.value)


def test_a_place_of_files_is_told_without_its_login(tmp_path, monkeypatch) -> None:
    with pytest.raises(TuneError, match="cannot be kept under") as error:
        Blobs(f"nosuch://me:{SECRET}@bucket/tunes")
    assert SECRET not in str(error.value)
    blobs = Blobs(f"memory://me:{SECRET}@bucket/tunes")
    assert SECRET in blobs._root, "this protocol keeps the login"
    assert blobs.root.endswith("bucket/tunes") and SECRET not in blobs.root
    with pytest.raises(TuneError) as error:
        blobs.get("0" * 64)
    assert SECRET not in str(error.value) and "bucket/tunes/00/000" in str(error.value)


def test_a_database_is_told_without_its_password_wherever_it_stands(tmp_path) -> None:
    for address in (f"://me:{SECRET}@127.0.0.1:1/x", f"://me@127.0.0.1:1/x?password={SECRET}"):
        with pytest.raises(TuneError, match=r"127\.0\.0\.1") as error:
            open_store(tmp_path, database_url=f"postgresql+psycopg{address}")
        assert SECRET not in str(error.value)
