"""The architecture as rules: imports go down only, nothing heavy at registration, no module name that is ComfyUI's."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest requires it there

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEV = runpy.run_path(str(ROOT / "dev"))
# A room imports the rooms of the rows below its own, and itself; never its neighbours, never upwards.
ROWS = (
    {"nodes", "cli"},
    {"service"},
    {"engines", "doctor"},
    {"jobs"},
    {"astria", "retouch"},
    {"tunes", "adapter", "pictures"},
    {"prompts", "faces", "weights"},
    {"model_files"},
    {"said"},
    {"errors", "cache", "disk", "surroundings", "damaged_zip", "example_photo"},
)
COMFYUI = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "server", "execution", "nodes"}
HEAVY = {
    "cv2",
    "onnxruntime",
    "onnx",
    "insightface",
    "diffusers",
    "scipy",
    "skimage",
    "sqlalchemy",
    "alembic",
    "fsspec",
}

SOURCES = [
    path
    for folder in ("nodes", "cli", "service", "faceid_core")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> list[tuple[int, str]]:
    """(level, dotted name) of every import in a file, wherever in it."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def own_imports(name: str) -> set[str]:
    """The modules of this repository that a module imports, wherever in it: at its top, in a function, for types."""
    path = MODULES[name]
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = package[: len(package) - node.level + 1]
            target = ".".join([*start, *(node.module.split(".") if node.module else [])])
            members = {f"{target}.{alias.name}" for alias in node.names}
            found |= members & MODULES.keys() or {target}
    return found & MODULES.keys()


def room_of(module: str) -> str:
    first, *rest = module.split(".")
    return rest[0] if first == "faceid_core" and rest else first


def circles(imports: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """The first circle of modules that import one another, if there is one."""
    try:
        tuple(TopologicalSorter(imports).static_order())
    except CycleError as error:
        return [tuple(error.args[1])]
    return []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    assert not [name for level, name in imported(path) if not level and name.split(".")[0] == "faceid_tunes"], (
        "ComfyUI loads the folder under a name of its own"
    )
    here = module_name(path)
    rank = {room: number for number, row in enumerate(ROWS) for room in row}
    for target in own_imports(here):
        room, other = room_of(here), room_of(target)
        assert room == other or rank[room] < rank[other], f"{here} imports {target}"


def test_every_room_has_a_row():
    assert {room_of(module) for module in MODULES} - {"faceid_core"} == set().union(*ROWS)


def test_no_modules_import_one_another_in_a_circle():
    imports = {module: own_imports(module) for module in MODULES}
    assert sum(map(len, imports.values())) > 400
    assert circles(imports) == []


def test_a_circle_is_found_over_several_modules():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert not circles({"a": {"b", "c"}, "b": {"c"}, "c": set()})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_host_touches_comfyui_and_the_core_never_does(path):
    used = {name.split(".")[0] for level, name in imported(path) if not level} & COMFYUI
    parts = path.relative_to(ROOT).parts
    if parts[0] == "nodes":
        allowed = COMFYUI if parts[1] == "host" else {"comfy_api"}
        assert used <= allowed
    else:
        assert not used


def docstrings(path: Path) -> list[ast.Constant]:
    """Of the module, its classes and functions, and those below attributes."""
    bodies = [node.body for node in ast.walk(tree(path)) if isinstance(getattr(node, "body", None), list)]
    values = [statement.value for body in bodies for statement in body if isinstance(statement, ast.Expr)]
    return [value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


@pytest.mark.slow
def test_docstrings_put_code_between_double_backticks():
    single = re.compile(r"(?<!`)`(?!`)")
    folders = ("benchmarks", "cli", "faceid_core", "nodes", "tests", "weights")
    files = [*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    found = [
        f"{path.relative_to(ROOT)}:{docstring.lineno}"
        for path in files
        for docstring in docstrings(path)
        if single.search(docstring.value)
    ]
    assert len(files) > 300
    assert not found


@pytest.mark.slow
def test_importing_the_core_that_nodes_use_pulls_in_nothing_heavy():
    modules = [
        "adapter.attention",
        "adapter.model",
        "adapter.tokens",
        "faces",
        "engines.plan",
        "tunes.refs",
        "tunes.tune",
    ]
    code = "import sys\n" + "\n".join(f"import faceid_tunes.faceid_core.{name}" for name in modules)
    code += "\nprint(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(run.stdout.split())


def test_continuous_integration_runs_the_readmes_test_command():
    assert "<!-- test command -->\n```bash\npython3 -m venv .venv && " in (ROOT / "README.md").read_text()


def test_continuous_integration_fails_where_the_tests_or_the_check_do():
    commands = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    tests = commands.index('eval "$command" 2>&1 | tee "$scratch/tests.log" || status=$?')
    check = commands.index("./dev check || status=1")
    assert commands.index("status=0") < tests < check
    assert commands[-1] == 'exit "$status"'


def test_what_contributing_says_can_be_run_is_there():
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    commands = re.findall(r"\./dev (\w+)", contributing)
    assert {"check", "test", "inside"} == set(commands)
    assert all(callable(DEV[command]) for command in commands)
    for path in ("dev", ".ci/run"):
        assert os.access(ROOT / path, os.X_OK)
    assert '.venv/bin/pip install -e ".[test]"' in contributing
    assert "test" in PROJECT["project"]["optional-dependencies"]


def test_every_mark_is_one_that_the_fast_suite_leaves_out_and_contributing_explains():
    marks = {line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert marks == set(DEV["NOT_FAST"])
    assert not [mark for mark in marks if f"`{mark}`" not in (ROOT / "CONTRIBUTING.md").read_text()]


def test_every_node_has_a_help_page_and_a_line_in_the_readme():
    ids = set()
    for path in (ROOT / "nodes").glob("*.py"):
        ids |= {line.split('"')[1] for line in path.read_text().splitlines() if line.strip().startswith("node_id=")}
    assert len(ids) >= 7
    assert ids == {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    titles = {path.read_text().splitlines()[0].removeprefix("# ") for path in (ROOT / "web" / "docs").glob("*.md")}
    readme = (ROOT / "README.md").read_text()
    assert not [title for title in titles if f"**{title}**" not in readme]


def test_no_installed_module_takes_a_name_comfyui_owns():
    code = "import importlib.metadata as m; print(*{f.parts[0] for f in m.files('faceid-tunes') or []})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert not {"nodes", "tests", "weights"} & set(run.stdout.split())
