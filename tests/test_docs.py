"""The documents as promises: what they cite, name and show exists."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import Namespace
from functools import cache
from pathlib import Path

import pytest
from faceid_tunes.cli import _parser
from faceid_tunes.faceid_core.weights.manifest import groups
from support.node_schemas import node_schemas

ROOT = Path(__file__).parents[1]
FACTS = ROOT / "docs" / "facts"
SOURCES = sorted(
    path
    for folder in ("nodes", "cli", "faceid_core", "weights", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)
)

# "docs/facts/astria.md 4.2, 5.2 and 9 to 12", "docs/facts/astria.md 17, item 9".
NUMBER = r"\d+(?:\.\d+)*"
CITATION = re.compile(rf"docs/facts/([\w-]+)\.md((?: {NUMBER}(?:(?:, | and | to ){NUMBER})*)?)(?:, item (\d+))?")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def headings(name: str) -> dict[str, str]:
    """Number of a heading -> the text below it, for a page of facts."""
    parts = re.split(r"(?m)^#{2,4} (\d+(?:\.\d+)*)\.? .+$", (FACTS / f"{name}.md").read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def citations() -> list[tuple[str, str, list[str], str | None]]:
    """(file, page, numbers of headings, number of an item) of each citation in code, also of one over two lines."""
    found = []
    for path in SOURCES:
        text = re.sub(r"\s*\n\s*(# ?)?", " ", path.read_text())
        for page, numbers, item in CITATION.findall(text):
            found.append((str(path.relative_to(ROOT)), page, re.findall(NUMBER, numbers), item or None))
    return found


def test_every_fact_that_code_cites_has_a_heading():
    cited = citations()
    assert len(cited) >= 33
    for file, page, numbers, item in cited:
        assert (FACTS / f"{page}.md").is_file(), f"{file} cites docs/facts/{page}.md, which is not there"
        assert numbers, f"{file} cites docs/facts/{page}.md without the number of a heading"
        known = headings(page)
        assert set(numbers) <= set(known), f"{file} cites docs/facts/{page}.md {numbers}"
        if item:
            assert re.search(rf"(?m)^{item}\. ", known[numbers[-1]]), (
                f"{file} cites item {item} of {page} {numbers[-1]}"
            )


@pytest.mark.parametrize("page", sorted(path.stem for path in FACTS.glob("*.md")))
def test_the_headings_of_facts_have_numbers_of_their_own(page):
    lines = re.sub(r"(?s)```.*?```", "", (FACTS / f"{page}.md").read_text()).splitlines()
    found = [line for line in lines if re.match(r"#{2,4} ", line)]
    numbers = [re.match(r"#{2,4} (\d+(?:\.\d+)*)\.? \S", line) for line in found]
    assert all(numbers), [line for line, number in zip(found, numbers, strict=True) if not number]
    assert len({number[1] for number in numbers}) == len(numbers)


def test_code_cites_nothing_outside_the_repository():
    for path in [*SOURCES, *ROOT.glob("*.toml")]:
        assert not re.search(r"reference/\w+\.md|DESIGN\.md", path.read_text()), path


NODES = sorted(path.stem for path in (ROOT / "web" / "docs").glob("*.md"))


def described(page: str, chapter: str) -> list[str]:
    """The names at the start of the items of a chapter: ``- **start_at**, **end_at** (advanced): ...``."""
    found = re.search(rf"(?ms)^## {chapter}$(.*?)(?=^## |\Z)", page)
    assert found, f"no chapter {chapter}"
    items = re.findall(r"(?m)^- (\*\*[^:]+):", found[1])
    return [name for item in items for name in re.findall(r"\*\*(\w+)\*\*", item)]


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("chapter", ["Inputs", "Outputs"])
def test_a_help_page_has_a_line_for_each_input_and_output_in_their_order(node, chapter):
    page = (ROOT / "web" / "docs" / f"{node}.md").read_text()
    assert described(page, chapter) == [socket["id"] for socket in node_schemas()[node][chapter.lower()]]


@pytest.mark.parametrize("node", NODES)
def test_every_input_and_output_has_a_tooltip(node):
    sockets = node_schemas()[node]["inputs"] + node_schemas()[node]["outputs"]
    assert not [socket["id"] for socket in sockets if not socket["tooltip"]]


def error_classes() -> dict[str, tuple[str, str]]:
    """Name of each error below FaceIDError -> (its parent, the file that defines it, relative to faceid_core)."""
    bases = {}
    for path in (ROOT / "faceid_core").rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.bases:
                bases[node.name] = (ast.unparse(node.bases[0]), str(path.relative_to(ROOT / "faceid_core")))
    found, more = {}, {"FaceIDError"}
    while more:
        more = {name for name, (parent, _) in bases.items() if parent in more}
        found |= {name: bases[name] for name in more}
    return found


def error_tree() -> dict[str, tuple[str, str]]:
    """The same, from the tree in the docstring of errors.py; an error without a file is in that of its parent."""
    text = ast.get_docstring(ast.parse((ROOT / "faceid_core" / "errors.py").read_text()))
    found, parents = {"FaceIDError": ("Exception", "errors.py")}, ["FaceIDError"]
    for line in re.findall(r"(?m)^ {4}[│├└].*", text):
        branch, name, file = re.fullmatch(r" {4}([│├└─ ]+)(\w+)  (?:\((\S+\.py)\) )?\S.*", line).groups()
        depth = len(branch) // 4
        parent = parents[depth - 1]
        found[name] = (parent, file or found[parent][1])
        parents[depth:] = [name]
    del found["FaceIDError"]
    return found


def test_the_tree_of_errors_is_that_of_the_classes():
    assert len(error_classes()) >= 30
    assert error_tree() == error_classes()


def test_every_error_for_users_is_defined_in_the_core():
    for folder in ("cli", "nodes"):
        for path in (ROOT / folder).rglob("*.py"):
            classes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
            assert not [node.name for node in classes if node.name.endswith("Error")], path


# What people read; docs/facts describes other projects.
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "web" / "docs").glob("*.md")]
FENCED = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parse_command(line: str, capsys) -> tuple[Namespace | None, str]:
    """The options of a ``faceid ...`` line, or what the parser says against it."""
    try:
        return _parser().parse_args(shlex.split(line, comments=True)[1:]), ""
    except SystemExit as stop:
        return None, "" if stop.code == 0 else capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_faceid_line_of_the_documents_parses(page, capsys):
    text = page.read_text()
    lines = [line for _, block in FENCED.findall(text) for line in re.findall(r"(?m)(?:^|bin/)(faceid .*)$", block)]
    for line in lines:
        options, problem = parse_command(line, capsys)
        assert not problem, f"{line}: {problem}"
        if group := getattr(options, "group", None):
            assert group in groups(), line
    for line in re.findall(r"`(faceid [^`]+)`", FENCED.sub("", text)):
        _, problem = parse_command(line, capsys)
        assert not problem or "are required" in problem, f"{line}: {problem}"  # a sentence may leave arguments out


def test_the_readme_shows_commands():
    assert len(re.findall(r"(?m)(?:^|bin/)faceid \w", (ROOT / "README.md").read_text())) >= 3


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", FENCED.sub("", page.read_text())):
        if "://" not in target:
            assert (page.parent / target).exists(), target


CODE_PATH = re.compile(
    r"((?:nodes|cli|faceid_core|weights|tests|benchmarks|docs|web|workflows|typings|\.ci)(?:/[\w.*-]+)*/?"
    r"|(?:[\w*-]+/)*[\w*-]+\.(?:py|md))(?:: (\w+).*)?"
)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_of_code_in_the_documents_exists(page):
    """``faces/confirm.py: CONFIDENT`` is below faceid_core and has that name in it; NAME.md stands for any page."""
    codes = re.findall(r"`([^`\n]+)`", FENCED.sub("", page.read_text()))
    codes += [word for command in codes if command.startswith("./dev ") for word in command.split()]
    for code in codes:
        found = CODE_PATH.fullmatch(code)
        if not found or re.search(r"(^|/)(NAME|NODE)\.md$", found[1]):
            continue
        path, name = found.groups()
        files = [*ROOT.glob(path), *(ROOT / "faceid_core").glob(path)]
        assert files, f"{page_id(page)}: `{code}` is not there"
        if name:
            assert any(re.search(rf"\b{name}\b", file.read_text()) for file in files), f"{page_id(page)}: `{code}`"


def test_every_promise_is_held_by_a_test_that_exists():
    table = (ROOT / "SECURITY.md").read_text().partition("## Promises")[2]
    rows = [row for row in re.findall(r"(?m)^\| (.+) \|$", table) if "tests/" in row]
    assert len(rows) >= 23
    for row in rows:
        promise, _, tests = row.partition(" | ")
        assert re.sub(r"`tests/[\w/]+\.py: test_\w+`", "", tests).strip(", ") == "", f"{promise}: {tests}"
        for file, test in re.findall(r"`(tests/[\w/]+\.py): (test_\w+)`", tests):
            assert re.search(rf"(?m)^(async )?def {test}\(", (ROOT / file).read_text()), (
                f"{promise}: no {test} in {file}"
            )


def messages() -> set[str]:
    """Every text in the code, with an ellipsis where a value stands."""
    found = set()
    for path in [*SOURCES, ROOT / "install.py"]:
        if ROOT / "tests" in path.parents:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_every_message_of_the_troubleshooting_page_is_one_of_the_code():
    rows = re.findall(r"(?m)^\| (`.*?) \|", (ROOT / "docs" / "troubleshooting.md").read_text())
    quoted = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    texts = messages()
    assert len(quoted) >= 15
    for message in quoted:
        parts = [part.strip() for part in message.split("…")]
        assert any(all(part in text for part in parts) for text in texts), message


def test_every_environment_variable_has_a_line_in_the_documents_and_the_other_way_round():
    name = re.compile(r"(?:ASTRIA|FACEID|HF)_[A-Z_]+")
    sockets = re.findall(r'"(FACEID_\w+)"', (ROOT / "nodes" / "sockets.py").read_text())
    read = {text for text in messages() if name.fullmatch(text)} - set(sockets)
    described = set(re.findall(r"`([A-Z_]+)(?:=\w+)?`", "".join(page.read_text() for page in PAGES)))
    assert len(read) >= 9
    assert read <= described
    tests = "".join(path.read_text() for path in SOURCES if ROOT / "tests" in path.parents)
    unread = {variable for variable in described - read if name.fullmatch(variable) and variable not in tests}
    assert not unread


def test_the_map_has_a_line_for_every_room_and_names_no_other():
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Rooms")[2].partition("## ")[0]
    named = set(re.findall(r"(?m)^\| `([\w/]+)` \|", table))
    rooms = {
        page_id(path.parent)
        for path in ROOT.glob("*/__init__.py")
        if path.parent.name in ("nodes", "cli", "service", "weights")
    }
    rooms |= {
        page_id(path.parent) for folder in ("nodes", "faceid_core") for path in ROOT.glob(f"{folder}/*/__init__.py")
    }
    assert named == rooms
