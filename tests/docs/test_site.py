"""What the documentation site is made of: links from equations to lines of code, figures, examples, data."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTES = (DOCS / "notes.md").read_text(encoding="utf-8")
NUMBERS = [int(number) for number in re.findall(r"^\(n(\d+)\)=$", NOTES, re.MULTILINE)]
EXAMPLES = sorted((DOCS / "gallery").glob("*.py"))


@pytest.fixture
def from_docs(monkeypatch):
    """Import a module of docs for one test."""
    monkeypatch.syspath_prepend(DOCS)
    imported = []

    def of_name(name):
        imported.append(name)
        return importlib.import_module(name)

    yield of_name
    for name in imported:
        sys.modules.pop(name, None)


@pytest.fixture
def linked_notes(from_docs):
    return from_docs("equation_lines").with_links_to_lines(NOTES)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_equation_links_to_lines_that_carry_its_number(linked_notes, number):
    text = re.search(rf"^\(n{number}\)=\n(.*?)(?=^\([\w-]+\)=$|^#)", linked_notes, re.DOTALL | re.MULTILINE)[
        1
    ]
    links = re.findall(r"\{code-line\}`(.+?):(\d+)`", text)
    assert any(file.endswith(".py") for file, _ in links)
    for file, line in links:
        code = (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert re.search(rf"\bN{number}\b", code), f"{file}:{line}"


def test_the_rest_of_the_notes_stays_as_it_is(linked_notes):
    assert linked_notes != NOTES
    assert re.sub(r" Line by line: .*?\.$", "", linked_notes, flags=re.MULTILINE) == NOTES


def test_every_figure_of_the_notes_is_drawn_by_the_script(from_docs, tmp_path):
    from_docs("draw_figures").draw(tmp_path)
    shown = set(re.findall(r"\]\(images/(.+?)\)", NOTES))
    assert shown == {path.name for path in tmp_path.iterdir()}
    for name in shown:
        committed = (DOCS / "images" / name).read_text(encoding="utf-8")
        size = re.compile(r'viewBox="[^"]+"')
        assert size.search(committed)[0] == size.search((tmp_path / name).read_text(encoding="utf-8"))[0]


def test_the_figures_have_a_description():
    for alternative in re.findall(r"!\[(.*?)\]\(images/", NOTES):
        assert len(alternative) > 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_starts_with_its_title_and_claims_something(path):
    program = ast.parse(path.read_text(encoding="utf-8"))
    title, line = ast.get_docstring(program).splitlines()[:2]
    assert set(line) == {"="}
    assert len(line) == len(title)
    assert any(isinstance(node, ast.Assert) for node in ast.walk(program))


def test_there_are_a_dozen_examples_or_more():
    assert len(EXAMPLES) >= 12


def test_each_table_has_its_source_and_licence_beside_it():
    source = (DOCS / "data" / "SOURCE.md").read_text(encoding="utf-8")
    for path in (DOCS / "data").glob("*.csv"):
        section = source[source.index(f"# {path.name}") :]
        assert "**Source**" in section
        assert "**Licence**" in section
