"""Every subcommand on streams as people have them: other encodings, the C locale, a closed pipe, a full disk."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from faceid_tunes.cli import _parser, main
from support.command_line import all_parsers, is_command
from support.photos import INSIGHTFACE

FACEID = [sys.executable, "-c", "import sys; from faceid_tunes.cli import main; sys.exit(main())"]
TITLE, OTHER = "Żółć 张三 🙂", "Άννα أنا"
PHOTO = str(INSIGHTFACE / "Tom_Hanks_54745.png")

# What is typed, and the exit status where all is well. {home} has a tune of PHOTO under TITLE, exported to {file},
# and a token.
COMMANDS = {
    "generate": ((PHOTO, "--text", f"<faceid:{OTHER}:1> man", "--engine", "embedded", "--models", "{empty}"), 1),
    "swap": ((PHOTO, "--tune", TITLE, "--models", "{empty}"), 1),
    "demo": (("--output", "{file}"), 1),
    "tunes create": ((PHOTO, "--title", OTHER), 0),
    "tunes list": ((), 0),
    "tunes show": ((TITLE,), 0),
    "tunes photo": ((TITLE, "1", "--use"), 0),
    "tunes add-photo": ((TITLE, PHOTO), 0),
    "tunes drop-photo": ((TITLE, "1"), 1),
    "tunes rename": ((TITLE, OTHER), 0),
    "tunes delete": ((TITLE,), 0),
    "tunes export": ((TITLE, "{new}"), 0),
    "tunes import": (("{file}", "--title", OTHER), 0),
    "tunes check": ((), 0),
    "tunes backup": (("{new}",), 0),
    "tunes restore": (("{file}",), 1),
    "tunes purge": ((), 0),
    "tunes accept": ((), 0),
    "remote today": ((), 0),
    "remote allow": (("5",), 0),
    "prompt check": ((f"<faceid:{TITLE}:1> 男",), 0),
    "serve": (("--engine", "embedded", "--models", "{empty}"), 1),
    "worker": (("--engine", "embedded", "--models", "{empty}"), 1),
    "serve token": ((OTHER,), 0),
    "serve tokens": ((), 0),
    "serve revoke": ((TITLE,), 0),
    "doctor": (("--models", "{empty}"), 1),
    "weights list": (("--models", "{empty}"), 0),
    "weights fetch": (("swapper-nowhere", "--models", "{empty}"), 1),
    "weights verify": (("faceid-sd15", "--models", "{empty}"), 1),
}
FEW = ("tunes create", "weights fetch", "generate")
FULL = "faceid: Standard output cannot be written to (No space left on device)."
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
UTF_8 = {"PYTHONIOENCODING": "utf-8"}


def test_every_subcommand_is_tried_on_every_stream():
    assert {name for name, parser in all_parsers(_parser()) if is_command(parser)} == set(COMMANDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with a store of one person and one token, and that person exported."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "empty").mkdir()
    home = ("--home", str(folder / "home"))
    assert main(["tunes", *home, "create", PHOTO, "--title", TITLE, "--name", "man"]) == 0
    assert main(["serve", *home, "token", TITLE]) == 0
    assert main(["tunes", *home, "export", TITLE, str(folder / "file")]) == 0
    return folder


class Run:
    """One command in a copy of the prepared folder."""

    def __init__(self, prepared: Path, folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        self.folder = folder
        self.places = {name: str(folder / name) for name in ("home", "file", "new", "empty")}

    def __call__(
        self, command: str, *arguments: str, env: dict[str, str] | None = None, closed: int | None = None, **streams
    ) -> subprocess.CompletedProcess[bytes]:
        own = ("LC_", "LANG", "PYTHONUNBUFFERED")  # a buffer makes Python report a lost line once more at its exit
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        environment |= {"FACEID_TUNES_HOME": self.places["home"], "XDG_CACHE_HOME": str(self.folder / "cache")}
        environment |= env or {}
        typed = [*FACEID, *command.split(), *(argument.format(**self.places) for argument in arguments)]
        if closed is not None:
            typed = ["sh", "-c", f'exec "$@" {closed}{"<>"[closed > 0]}&-', "sh", *typed]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | streams
        return subprocess.run(typed, env=environment, cwd=self.folder, **streams)


def gone() -> IO[str]:
    """A pipe whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.fixture
def run(prepared, tmp_path) -> Run:
    return Run(prepared, tmp_path / "run")


@pytest.fixture
def run_here(run, monkeypatch, capsys):
    """One command in this process, which is quicker; what came out on standard error, and the exit status."""

    def call(command: str, stdout: IO[str]) -> tuple[str, int]:
        arguments = [argument.format(**run.places) for argument in COMMANDS[command][0]]
        monkeypatch.setenv("FACEID_TUNES_HOME", run.places["home"])
        monkeypatch.setenv("XDG_CACHE_HOME", str(run.folder / "cache"))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stdout)
            status = main([*command.split(), *arguments])
        return capsys.readouterr().err, status

    return call


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_subcommand_does_its_work_in_every_encoding(run_here, command, encoding):
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as stdout:
        message, status = run_here(command, stdout)
    assert status == COMMANDS[command][1], message
    assert message.count("faceid: ") == status


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_subcommand_does_its_work_in_the_c_locale(run, command):
    arguments, expected = COMMANDS[command]
    done = run(command, *arguments, env=C_LOCALE)
    assert b"Traceback" not in done.stderr and b"surrogate" not in done.stderr, done.stderr.decode()
    assert done.returncode == expected and done.stderr.count(b"faceid: ") == expected, done.stderr.decode()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_behind_standard_output_is_an_error_in_a_sentence(run_here, command):
    with open("/dev/full", "w") as full:
        message, status = run_here(command, full)
    assert status == 1 and message.count("faceid: ") == 1, message
    assert COMMANDS[command][1] == 1 or FULL in message


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_ends_every_subcommand_quietly(run_here, command):
    with gone() as pipe:
        message, status = run_here(command, pipe)
    assert (status == 141 and "faceid: " not in message) or status == 1 == COMMANDS[command][1]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device")
@pytest.mark.parametrize("command", ["", "generate", "tunes", "tunes create"])
def test_help_that_cannot_be_written_is_an_error_too(run, command):
    with open("/dev/full", "w") as full:
        done = run(command, "--help", stdout=full)
    assert done.returncode == 1 and done.stderr.decode().splitlines() == [FULL]
    assert run(command, "--help", stdout=gone()).returncode == 141
    assert run(command, "--help").stdout.startswith(b"usage: faceid")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "stream"), [*((command, 1) for command in COMMANDS), *((some, n) for some in FEW for n in (0, 2))]
)
def test_a_closed_stream_harms_nothing(run, command, stream):
    arguments, expected = COMMANDS[command]
    done = run(command, *arguments, closed=stream)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == (1 if stream == 1 else expected), done.stderr.decode()
    assert run("tunes check").returncode == 0, "the database took the number of a closed stream"


@pytest.mark.slow
def test_characters_that_the_terminal_lacks_are_written_as_their_numbers(run):
    listed = run("tunes list", env={"PYTHONIOENCODING": "cp1252"}).stdout.decode("cp1252")
    assert "\\u017b\xf3\\u0142\\u0107 \\u5f20\\u4e09 \\U0001f642" in listed


@pytest.mark.slow
def test_the_c_locale_changes_no_title(run):
    assert run("tunes create", PHOTO, "--title", OTHER, env=C_LOCALE).returncode == 0
    assert OTHER in run("tunes list", env=UTF_8).stdout.decode()


@pytest.mark.slow
def test_bytes_that_are_no_text_are_refused_in_a_sentence(run):
    done = run("tunes rename", TITLE, os.fsdecode(b"caf\xe9"), env=UTF_8)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"faceid: title: 'caf\\udce9' holds bytes that are no text in UTF-8" in done.stderr


@pytest.mark.slow
def test_a_photo_whose_name_is_no_text_is_a_photo(run):
    shutil.copy(PHOTO, os.fsencode(run.folder) + b"/caf\xe9.png")
    done = run("tunes add-photo", TITLE, os.fsdecode(b"caf\xe9.png"), env=UTF_8)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device")
def test_messages_and_bars_that_cannot_be_written_stop_nothing(run):
    with open("/dev/full", "w") as full:
        done = run("generate", *COMMANDS["generate"][0], stderr=full)
        assert done.returncode == 1 and OTHER in run("tunes list", env=UTF_8).stdout.decode()
        assert run("tunes show", "nobody", stderr=full).returncode == 1
