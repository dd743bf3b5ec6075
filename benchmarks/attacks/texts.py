"""Texts, tags, parameters of a prompt, and arguments of the command line."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
from functools import partial

from .trick import Area, Place, Tricks
from .values import ODD, ODD_TEXTS, named

_TEXTS = (
    *("<" * 100_000, "(" * 100_000, ("(" * 500 + "x" + ")" * 500), "<faceid:" * 20_000, "--" * 50_000, ":1)" * 30_000),
    *("<faceid:../../../../etc/passwd:1>", "<lora:../../../../etc/passwd:1>", "<lora:/etc/passwd:1>", "<lora:C:\\x:1>"),
    *(
        "<lora:..%2f..%2fsecret:1>",
        "<faceid:12:1:1>",
        "<faceid::>",
        "<faceid:12>",
        "<faceid:12:-1>",
        "<faceid:12:1e99>",
    ),
    *("<faceid:" + "9" * 5000 + ":1>", "<faceid:12:" + "9" * 5000 + ">", "<faceid:'; DROP TABLE faceid_tunes; --:1>"),
    *("<faceid:1\0:1>", "<faceid:\u202e12:1>", "<faceid:²:1>", "<faceid:١٢:1>", "<FACEID:12:1>", "<faceid :12:1>"),
    *("<faceid:12:nan>", "<faceid:12:inf>", "<faceid:12:0x1>", "<faceid:12:1_0>", "<faceid:12:1,5>", "<faceid:12:--1>"),
    *("a --seed", "a --seed x", "a --seed -1", "a --seed 1 --seed 2", "a --seed " + "9" * 400, "a --num_images 0"),
    *(
        "a --num_images 999999",
        "a --w 1 --h 1",
        "a --w 99999999",
        "a --brand_new_flag",
        "a --cfg_scale nan",
        "a --ar 1:0",
    ),
    *(
        "a --ar 0:0",
        "a --ar 99999:1",
        "a --scheduler ../../x",
        "a --style ../../x",
        "a --negative_prompt",
        "a -- -- --",
    ),
    *("(a:1e400)", "(a:-5)", "(a:nan)", "((((a:9)9)9)9)", "[a:b:" + "9" * 400 + "]", "{a|b|" + "c|" * 50_000 + "}"),
    *("\u0301" * 50_000, "\U000e0041" * 1000, "\ufdfa" * 20_000, "e\u0301" * 40_000, "\u200d".join("👩" * 5000)),
)


def _prompts(place: Place) -> Tricks:
    from dataclasses import fields

    from faceid_tunes.faceid_core.errors import printable
    from faceid_tunes.faceid_core.prompts import Prompt, lint, resolve

    def tried(**given: object) -> object:
        prompt = Prompt(**{"text": "a lake", **given})
        advice = " ".join(found.message for found in lint(prompt))
        resolve(prompt, 512)
        return printable(advice) or (str(prompt.parsed) and None)

    for text in (*_TEXTS, *ODD_TEXTS):
        yield f"text {named(text)}", partial(tried, text=text)
    chosen = random.Random(0)
    for field in fields(Prompt):
        for value in chosen.sample(ODD, 6):
            yield f"{field.name} = {named(value)}", partial(tried, **{field.name: value})


def _tags(place: Place, draw: random.Random) -> Tricks:
    from faceid_tunes.faceid_core.errors import printable
    from faceid_tunes.faceid_core.prompts import Prompt, lint
    from support.tag_mutations import garbled

    def read(text: str) -> str:
        prompt = Prompt(text)
        advice = " ".join(found.message for found in lint(prompt))
        assert prompt.parsed.faces or prompt.parsed.loras or advice, f"words: {text!r}"
        return printable(advice) or "read as the tag that it is"

    while True:
        tag = garbled(draw)
        yield tag, partial(read, f"portrait of {tag}, a woman")


def _no_tricks(place: Place) -> Tricks:
    yield from ()


def _arguments(place: Place) -> Tricks:
    from faceid_tunes.cli import _parser, main
    from support.command_line import all_parsers, is_command

    draws_or_loads = ("demo", "serve", "worker", "weights fetch", "generate", "swap")

    def tried(words: list[str]) -> str:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            status = main([*words, "--home", str(place.inside / "home")])
        assert status in (0, 1), status
        lines = said.getvalue()
        assert "Traceback" not in lines
        return lines.strip() or "done, and nothing to say"

    commands = [
        (name, parser)
        for name, parser in all_parsers(_parser())
        if name and is_command(parser) and not name.startswith(draws_or_loads)
    ]
    chosen = random.Random(1)
    for name, parser in commands:
        if not any("--home" in action.option_strings for action in parser._actions):
            continue
        places = [action for action in parser._actions if not action.option_strings and not _is_group(action)]
        for value in chosen.sample(_typed(), 8):
            words = [*name.split(), *[value] * len(places)]
            yield " ".join(named(word) for word in words), partial(tried, words)


def _typed() -> list[str]:
    """What a shell can hand over: no NUL, and bytes that are no UTF-8 as Python reads them."""
    return [text.replace("\ud800", "\udcff") for text in ODD_TEXTS if "\0" not in text and len(text) < 6000]


def _is_group(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)


def _tables(place: Place) -> Tricks:
    from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models

    def read(content: bytes) -> object:
        table = place.inside / "base_models.toml"
        table.write_bytes(content)
        models = base_models(table)
        for model in models:
            json.dumps(model.title)
            assert model.id < 2**63, "an id that no database holds"
            model.installed(["x.safetensors"])
        return f"{len(models)} base models"

    whole = SHIPPED.read_bytes()
    entry = "[[base_models]]\nid = {}\ntitle = {}\ncheckpoints = {}\n"
    tricks = {
        "a byte order mark": b"\xef\xbb\xbf" + whole,
        "UTF-16": whole.decode().encode("utf-16"),
        "random bytes": random.Random(0).randbytes(4096),
        "NUL bytes": bytes(1000),
        "nothing": b"",
        "arrays 5,000 deep": b"a = " + b"[" * 5000 + b"]" * 5000,
        "arrays 100,000 deep": b"a = " + b"[" * 100_000,
        "tables 100,000 deep": b"a" + b".a" * 100_000 + b" = 1",
        "inline tables 5,000 deep": b"a = " + b"{a=" * 5000 + b"1" + b"}" * 5000,
        "an array instead of tables": b"base_models = 5",
        "a table instead of an array": b"[base_models]\nid = 1",
        "an empty title": entry.format(1, '""', '["a"]').encode(),
        "no checkpoints": entry.format(1, '"a"', "[]").encode(),
        "checkpoints of numbers": entry.format(1, '"a"', "[1]").encode(),
        "a title of a megabyte": entry.format(1, '"' + "a" * 10**6 + '"', '["a"]').encode(),
        "a checkpoint outside": entry.format(1, '"a"', '["../../../../etc/passwd"]').encode(),
        "one id twice": entry.format(1, '"a"', '["a"]').encode() * 2,
        "a title that steers": entry.format(1, '"\\u001b[2J"', '["a"]').encode(),
    }
    for number in ("-1", "0", "1e3", "true", '"1"', "nan", "9" * 400, "9" * 5000, str(2**63), "0x" + "f" * 5000):
        tricks[f"an id of {named(number)}"] = entry.format(number, '"a"', '["a"]').encode()
    for name, content in tricks.items():
        yield name, partial(read, content)


def _damaged_tables(place: Place, draw: random.Random) -> Tricks:
    from faceid_tunes.faceid_core.astria.base_models import SHIPPED, base_models

    from .trick import damaged, written

    while True:
        content = damaged(SHIPPED.read_bytes(), draw)
        yield (
            "a damaged table",
            lambda content=content: (
                f"{len(base_models(written(place.inside / 'base_models.toml', content)))} base models"
            ),
        )


AREAS = (
    Area("prompts", _prompts),
    Area("tags", _no_tricks, _tags, 0.10),
    Area("command line", _arguments),
    Area("base_models.toml", _tables, _damaged_tables, 0.08),
)
