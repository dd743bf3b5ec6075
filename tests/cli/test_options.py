"""The options of every command: each says what it does, and the home is named before or after the subcommand."""

from __future__ import annotations

import argparse

import pytest
from faceid_tunes.cli import _parser, main
from support.command_line import all_parsers

PARSERS = dict(all_parsers(_parser()))
STORES = ("generate", "tunes", "prompt", "serve")  # the subjects with a store


@pytest.mark.parametrize("command", PARSERS)
def test_every_option_and_argument_says_what_it_does(command):
    silent = [
        "/".join(action.option_strings) or action.dest
        for action in PARSERS[command]._actions
        if not isinstance(action, argparse._SubParsersAction) and not (action.help or "").strip()
    ]
    assert not silent
    below = [action for action in PARSERS[command]._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        described = {choice.dest for choice in action._choices_actions if choice.help}
        assert described == set(action.choices), "every subcommand has a line in the help of its group"


@pytest.mark.parametrize("command", [name for name in PARSERS if name.split(" ")[0] in STORES])
def test_every_command_with_a_store_takes_its_home(command):
    assert "--home" in PARSERS[command]._option_string_actions


@pytest.mark.slow
def test_the_home_is_named_before_or_after_the_subcommand_alike(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FACEID_TUNES_HOME", str(tmp_path / "nowhere"))
    home = ("--home", str(tmp_path / "home"))
    for line in (
        ("tunes", *home, "list"),
        ("tunes", "list", *home),
        ("prompt", *home, "check", "a man"),
        ("prompt", "check", "a man", *home),
        ("serve", *home, "tokens"),
        ("serve", "tokens", *home),
    ):
        assert main(line) == 0, capsys.readouterr().err
        assert (tmp_path / "home" / "tunes.sqlite3").exists() and not (tmp_path / "nowhere").exists(), line
        (tmp_path / "home" / "tunes.sqlite3").unlink()
    assert main(("tunes", *home, "list", "--home", str(tmp_path / "other"))) == 0
    assert (tmp_path / "other").exists(), "the later one counts"


def test_the_tokens_are_those_of_the_database_that_the_server_uses(tmp_path, capsys):
    database = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    home = ("--home", str(tmp_path))
    assert main(("serve", *home, "--database", database, "token", "laptop")) == 0
    capsys.readouterr()
    assert main(("serve", *home, "tokens", "--database", database)) == 0
    assert "laptop" in capsys.readouterr().out
    assert main(("serve", *home, "tokens")) == 0
    assert "laptop" not in capsys.readouterr().out, "the home's own database has other tokens"


def test_no_client_may_have_the_service_call_a_comfyui_that_it_draws_with():
    from faceid_tunes.cli.serve import _settings

    urls = ("--comfyui", "http://127.0.0.1:8001", "--comfyui", "http://127.0.0.1:8002")
    options = _parser().parse_args(("serve", *urls, "--port", "8003"))
    assert {8001, 8002, 8003, 8188} <= set(_settings(options).closed_ports)
    assert 8188 in _settings(_parser().parse_args(("serve",))).closed_ports
