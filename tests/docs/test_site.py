"""What the documentation site is made of: links from equations to lines of code, figures, examples, data."""

import ast
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
    monkeypatch.syspath_prepend(DOCS)
    before = set(sys.modules)
    yield __import__
    for name in set(sys.modules) - before:
        if name in {"equation_links", "draw_figures"}:
            del sys.modules[name]


@pytest.fixture
def linked_notes(from_docs):
    pytest.importorskip("docutils", reason="the extra 'docs' is not installed")
    source = [NOTES]
    from_docs("equation_links").name_the_lines(None, "notes", source)
    return source[0]


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


def test_the_rest_of_the_notes_and_other_pages_stay_as_they_are(linked_notes, from_docs):
    assert re.sub(r" Line by line: .*?\.$", "", linked_notes, flags=re.MULTILINE) == NOTES
    other = ["In code: nothing"]
    from_docs("equation_links").name_the_lines(None, "index", other)
    assert other == ["In code: nothing"]


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
