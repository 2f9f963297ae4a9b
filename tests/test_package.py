"""The package as a whole: what importing it costs, which way imports run, sizes, examples, equations."""

import ast
import doctest
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import chainrule

SOURCE = Path(chainrule.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(("chainrule", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


# ── Importing ──────────────────────────────────────────────────────────────────────────────────────────


def modules_after(statement):
    """Return the modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


HEAVY = {
    "sklearn",
    "scipy",
    "pandas",
    "polars",
    "matplotlib",
    "pyarrow",
    "narwhals",
    "typer",
    "rich",
    "jinja2",
}


def test_importing_chainrule_imports_nothing_heavy():
    imported = modules_after("import chainrule; dir(chainrule)")
    assert "chainrule" in imported
    assert not imported & (HEAVY | {"numpy"})


def test_a_network_needs_numpy_alone():
    work = "import chainrule as cr; net = cr.Network(2, [3], likelihood=cr.likelihoods.Normal())"
    imported = modules_after(f"{work}; net.initial_parameters()")
    assert "numpy" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("name", chainrule.__all__)
def test_public_names_resolve(name):
    assert getattr(chainrule, name) is not None
    assert name in dir(chainrule)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'chainrule' has no attribute 'nothing'$"):
        _ = chainrule.nothing


@pytest.mark.parametrize("module", [module for module in sorted(MODULES) if not module.endswith("__main__")])
def test_what_a_module_exports_is_there(module):
    imported = import_module(module)
    for name in getattr(imported, "__all__", ()):
        assert hasattr(imported, name), name


# ── Which way imports run ──────────────────────────────────────────────────────────────────────────────

# Each room may import from those before it, and from itself.
ROOMS = [
    {"errors"},
    {"architecture", "likelihoods", "optimization", "tables"},
    {"engine"},
    {"network"},
    {"training"},
    {"estimators"},
    {"inspection", "model_file", "data"},
    {"report"},
    {"cli"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}
# In one rank: likelihoods compute with the equations, and the penalty knows the layout of θ. Some look up
# when they are asked: save() belongs with fit(), and the file knows all the estimators; a notebook asks
# networks and models for HTML, and inspection draws it.
BESIDE = {
    ("likelihoods", "architecture"),
    ("optimization", "architecture"),
    ("estimators", "model_file"),
    ("estimators", "inspection"),
    ("network", "inspection"),
}


def room_of(module):
    return module.split(".")[1] if "." in module else "chainrule"


def home_of(module, name):
    """Return the module that a name imported from a module belongs to."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if module == "chainrule" and name == "__version__":
        return "chainrule.errors"  # of the ground, as everything may know it
    return chainrule._HOME[name] if module == "chainrule" else module


def imports_of(path):
    """Return the modules of chainrule that a file uses, also inside functions, but not for types alone."""
    nodes = list(ast.walk(tree(path)))
    for_types = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes:
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.partition(".")[0] == "chainrule"]
            yield from (name for name in names if name != "chainrule")  # this one is what it is used for:
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "chainrule":
            yield home_of("chainrule", node.attr)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module.partition(".")[0] == "chainrule":
                yield from (home_of(node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("module", [module for module in sorted(MODULES) if module != "chainrule"])
def test_imports_run_downward_only(module):
    room = room_of(module)
    assert room in RANK, f"the room {room} has no place in the order"
    for imported in imports_of(MODULES[module]):
        other = room_of(imported)
        if other == room:
            continue
        assert other in RANK, f"{module} imports {imported}"
        assert RANK[other] < RANK[room] or (room, other) in BESIDE, f"{module} imports {imported}"
        if other == "tables":
            assert room in {"estimators", "cli", "model_file"}, f"{module} imports {imported}"


def test_likelihoods_take_the_equations_alone_from_architecture():
    for module, path in MODULES.items():
        if room_of(module) == "likelihoods":
            for imported in imports_of(path):
                assert room_of(imported) in {"likelihoods", "errors"} or imported in {
                    "chainrule.architecture.equations",
                    "chainrule.architecture.activations",
                }


# ── Sizes ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_and_functions_are_short(module):
    path = MODULES[module]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"
        elif isinstance(node, ast.ClassDef):
            methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            assert len(methods) < 30, f"{node.name} has {len(methods)} methods"


# ── Examples ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("module", [module for module in sorted(MODULES) if not module.endswith("__main__")])
def test_the_examples_in_docstrings_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(module))
    assert result.failed == 0


# ── Equation numbers ───────────────────────────────────────────────────────────────────────────────────


def numbers_in(folder, *patterns):
    """Return the equation numbers in the files of a folder."""
    numbers = set()
    for pattern in patterns:
        for path in sorted(folder.rglob(pattern)):
            numbers |= {int(n) for n in re.findall(r"\bN(\d{1,2})\b", path.read_text(encoding="utf-8"))}
    return numbers


def test_equation_numbers_are_the_same_in_the_notes_the_code_and_the_tests():
    """docs/notes.md introduces each as **N7** (or several: **N10, N11**); each is in code and in a test."""
    notes = (ROOT / "docs" / "notes.md").read_text(encoding="utf-8")
    introduced = {
        int(n)
        for bold in re.findall(r"\*\*([^*\n]+)\*\*", notes)
        for n in re.findall(r"\bN(\d{1,2})\b", bold)
    }
    assert introduced == set(range(1, len(introduced) + 1))
    assert numbers_in(SOURCE, "*.py") | numbers_in(ROOT / "native", "*.hpp", "*.cpp") == introduced
    assert numbers_in(ROOT / "tests", "*.py") == introduced
    assert {int(n) for n in re.findall(r"\bN(\d{1,2})\b", notes)} == introduced
