"""The address of the remote API, and the key. Never from a widget: workflows and pictures are shared."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..disk import open_regular
from .errors import AstriaSettingsError
from .secret import Secret

DEFAULT_BASE_URL = "https://api.astria.ai"
KEY_VARIABLE = "ASTRIA_API_KEY"
BASE_URL_VARIABLE = "ASTRIA_BASE_URL"
WORKSPACE_VARIABLE = "ASTRIA_WORKSPACE_ID"
INSECURE_VARIABLE = "ASTRIA_ALLOW_INSECURE"
PER_DAY_VARIABLE = "FACEID_REMOTE_PER_DAY"

KEY_FILE = "astria_key"  # beside the tunes
_MAX_KEY_FILE = 4096  # bytes; a key is one line
_WORKSPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class AstriaSettings:
    """How to reach the API, and how much of it. ``workspace`` is an id or ``all``; None: the account's personal scope.

    ``per_day`` is the most that may be ordered in a day, by all processes that share a home; None: there is no limit.

    Raises:
        AstriaSettingsError: an address that is not http(s), carries a password, or has no TLS although it is not this
            machine (unless ``allow_insecure``).
    """

    key: Secret
    base_url: str = DEFAULT_BASE_URL
    workspace: str | None = None
    allow_insecure: bool = False
    per_day: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.key, Secret):
            raise AstriaSettingsError("The API key must be wrapped: AstriaSettings(Secret(key)).")
        object.__setattr__(self, "base_url", _checked_base_url(self.base_url, self.allow_insecure))
        if self.workspace is not None and not _WORKSPACE.fullmatch(self.workspace):
            raise AstriaSettingsError(f"{WORKSPACE_VARIABLE} is neither a workspace id nor 'all'.")


def read_settings(environ: Mapping[str, str] | None = None, key_file: str | Path | None = None) -> AstriaSettings:
    """Settings from the environment; the key from ``ASTRIA_API_KEY``, else from ``key_file``.

    Variables: ``ASTRIA_API_KEY``, ``ASTRIA_BASE_URL`` (default https://api.astria.ai), ``ASTRIA_WORKSPACE_ID``,
    ``ASTRIA_ALLOW_INSECURE`` (1: an address without TLS is allowed), ``FACEID_REMOTE_PER_DAY``. ``key_file`` contains
    the key on one line and only its owner may be able to read it.

    Raises:
        AstriaSettingsError: there is no key, or one of them cannot be used; the message says where to correct it.
    """
    environ = os.environ if environ is None else environ
    return AstriaSettings(
        key=_read_key(environ, Path(key_file) if key_file else None),
        base_url=environ.get(BASE_URL_VARIABLE, "").strip() or DEFAULT_BASE_URL,
        workspace=environ.get(WORKSPACE_VARIABLE, "").strip() or None,
        allow_insecure=environ.get(INSECURE_VARIABLE, "").strip().lower() in ("1", "true", "yes"),
        per_day=read_per_day(environ),
    )


def read_per_day(environ: Mapping[str, str] | None = None) -> int | None:
    """``FACEID_REMOTE_PER_DAY``: pictures and uploads a day; None: it is not set.

    Raises:
        AstriaSettingsError: it is no whole number; that is not taken for "no limit".
    """
    value = (os.environ if environ is None else environ).get(PER_DAY_VARIABLE, "").strip()
    if not value:
        return None
    if not re.fullmatch("[0-9]{1,9}", value):
        raise AstriaSettingsError(
            f"{PER_DAY_VARIABLE} is not a whole number: write how many pictures and uploads a day are allowed, or 0."
        )
    return int(value)


def read_key_file(path: str | Path) -> Secret:
    """The key in a file that only its owner may read. Raises AstriaSettingsError, with the command that corrects it."""
    try:
        with open_regular(path) as file:
            _refuse_shared_file(os.fstat(file.fileno()), path)
            content = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise AstriaSettingsError(f'The key file "{path}" cannot be read: {error.strerror or error}.') from None
    if len(content) > _MAX_KEY_FILE:
        raise AstriaSettingsError(
            f'The key file "{path}" is too long: it must contain the key on one line, nothing else.'
        )
    try:
        return Secret(content.decode("utf-8-sig", "replace").strip())
    except AstriaSettingsError as error:
        raise error.with_advice(f'It was read from "{path}".') from None


def _read_key(environ: Mapping[str, str], key_file: Path | None) -> Secret:
    if environ.get(KEY_VARIABLE, "").strip():
        return Secret(environ[KEY_VARIABLE].strip())
    if key_file and key_file.exists():
        return read_key_file(key_file)
    place = f', or write it into "{key_file}" and run: chmod 600 "{key_file}"' if key_file else ""
    raise AstriaSettingsError(
        f"There is no key for the remote API. Set the environment variable {KEY_VARIABLE} before starting{place}."
    )


def _refuse_shared_file(status: os.stat_result, path: str | Path) -> None:
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise AstriaSettingsError(
            f'The key file "{path}" can be read by other users of this machine. Run: chmod 600 "{path}"'
        )


def _checked_base_url(base_url: str, allow_insecure: bool) -> str:
    try:
        url = urlsplit(base_url.strip())
        host, _ = url.hostname, url.port
    except ValueError:
        url, host = urlsplit(""), None
    if url.scheme not in ("http", "https") or not host:
        raise AstriaSettingsError(
            f"{BASE_URL_VARIABLE} is not an address of the API: write it as in {DEFAULT_BASE_URL}."
        )
    if url.username or url.password or url.query or url.fragment:
        raise AstriaSettingsError(
            f"{BASE_URL_VARIABLE} must be only the address, without a user, password, '?' or '#': the key comes from "
            f"{KEY_VARIABLE}."
        )
    if url.scheme == "http" and not is_this_machine(host) and not allow_insecure:
        raise AstriaSettingsError(
            f"{BASE_URL_VARIABLE} is http://{host}: without TLS everyone on the network path could read the key. "
            f"Use https://, or set {INSECURE_VARIABLE}=1 if you trust the network."
        )
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"


def is_this_machine(host: str) -> bool:
    """Whether a host, without its port, is loopback by its name or number."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
        return (getattr(found, "ipv4_mapped", None) or found).is_loopback
    except ValueError:
        return False
