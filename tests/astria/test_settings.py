"""Where the key comes from, and which addresses it may go to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faceid_tunes.faceid_core.astria.errors import AstriaSettingsError
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings, read_key_file, read_settings

KEY = "sd_" + "abcdefghijklmnop1234"
posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "astria.key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


def test_the_environment_is_enough():
    settings = read_settings({"ASTRIA_API_KEY": f" {KEY}\n"})
    assert settings.key.reveal() == KEY
    assert (settings.base_url, settings.workspace) == ("https://api.astria.ai", None)


def test_the_environment_may_say_all():
    environ = {
        "ASTRIA_API_KEY": KEY,
        "ASTRIA_BASE_URL": "https://example.com:8443/astria/",
        "ASTRIA_WORKSPACE_ID": "all",
    }
    settings = read_settings(environ)
    assert (settings.base_url, settings.workspace) == ("https://example.com:8443/astria", "all")


def test_the_key_may_lie_in_a_file_and_the_environment_wins(key_file: Path):
    assert read_settings({}, key_file).key.reveal() == KEY
    assert read_settings({"ASTRIA_API_KEY": "another"}, key_file).key.reveal() == "another"


def test_without_a_key_both_ways_to_give_one_are_told(tmp_path: Path):
    with pytest.raises(AstriaSettingsError) as caught:
        read_settings({}, tmp_path / "astria.key")
    assert "ASTRIA_API_KEY" in str(caught.value)
    assert f'chmod 600 "{tmp_path / "astria.key"}"' in str(caught.value)


@posix_only
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666])
def test_a_key_file_others_can_read_is_refused_with_the_command_to_run(key_file: Path, mode: int):
    key_file.chmod(mode)
    with pytest.raises(AstriaSettingsError, match=f'Run: chmod 600 "{key_file}"'):
        read_settings({}, key_file)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"one\ntwo", b"\xff\xfe", b"x" * 600, b"x" * 9000])
def test_a_key_file_without_one_key_is_refused_by_name(key_file: Path, content: bytes):
    key_file.write_bytes(content)
    with pytest.raises(AstriaSettingsError) as caught:
        read_key_file(key_file)
    assert str(key_file) in str(caught.value)


def test_a_folder_is_no_key_file(tmp_path: Path):
    with pytest.raises(AstriaSettingsError, match="cannot be read"):
        read_key_file(tmp_path)


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:80", "http://faceid.localhost:1/x"]
)
def test_this_machine_needs_no_tls(base_url: str):
    assert AstriaSettings(Secret(KEY), base_url).base_url == base_url


@pytest.mark.parametrize(
    "base_url", ["http://api.astria.ai", "http://192.168.1.4:8080", "http://127.0.0.1.example.com"]
)
def test_another_machine_needs_tls_unless_allowed(base_url: str):
    with pytest.raises(AstriaSettingsError, match="without TLS everyone on the network path could read the key"):
        read_settings({"ASTRIA_API_KEY": KEY, "ASTRIA_BASE_URL": base_url})
    allowed = read_settings({"ASTRIA_API_KEY": KEY, "ASTRIA_BASE_URL": base_url, "ASTRIA_ALLOW_INSECURE": "1"})
    assert allowed.base_url == base_url


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("api.astria.ai", "not an address"),
        ("ftp://api.astria.ai", "not an address"),
        ("https://", "not an address"),
        ("https://[::1", "not an address"),
        ("https://api.astria.ai:port", "not an address"),
        ("https://me:pass@api.astria.ai", "without a user, password"),
        ("https://api.astria.ai?key=1", "without a user, password"),
    ],
)
def test_an_address_that_is_not_one_is_refused(base_url: str, words: str):
    with pytest.raises(AstriaSettingsError, match=f"ASTRIA_BASE_URL.*{words}") as caught:
        AstriaSettings(Secret(KEY), base_url)
    assert "pass@" not in str(caught.value)


def test_a_workspace_that_no_header_can_carry_is_refused():
    with pytest.raises(AstriaSettingsError, match="ASTRIA_WORKSPACE_ID"):
        AstriaSettings(Secret(KEY), workspace="1\r\nX: y")


def test_a_bare_string_is_not_a_key():
    with pytest.raises(AstriaSettingsError, match="wrapped") as caught:
        AstriaSettings(KEY)
    assert KEY not in str(caught.value)
