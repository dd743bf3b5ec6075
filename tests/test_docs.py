"""The documents as promises: what they cite, name and show exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
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
        for node in ast.walk(ast.parse(path.read_text())):
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
            classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
            assert not [node.name for node in classes if node.name.endswith("Error")], path
