"""Links in the repository lead somewhere, its pictures are small, every public name is in the reference."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import chainrule

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000  # bytes of a picture
MADE_BY_THE_BUILD = ("examples/", "../examples/", "../images/likelihoods/")
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md"))
    if "_build" not in path.parts
]


def heading_anchors(text):
    """The names by which the headings and the targets of a page can be reached."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        if path.startswith(MADE_BY_THE_BUILD) or (not path and "docs" in page.parts):
            continue  # the build checks what it makes, and its own names of targets
        target = page if not path else page.parent / path
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in heading_anchors(target.read_text(encoding="utf-8")), link


def test_the_pictures_are_small_and_each_is_shown():
    shown = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown += " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "gallery").glob("*.py"))
    pictures = list(IMAGES.glob("*.png"))
    assert len(pictures) >= 6
    for path in pictures:
        assert path.stat().st_size <= LARGEST, path.name
        assert path.name in shown


def test_the_readme_shows_trace_report_and_notes_at_two_widths():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("trace", "report", "notes"):
        for ending in ("", "-narrow"):
            assert f"docs/images/{name}-page{ending}.png" in readme


def public_names():
    """(module, name) of all that a room says is public."""
    rooms = [
        chainrule,
        *(
            importlib.import_module(f"chainrule.{m.name}")
            for m in pkgutil.iter_modules(chainrule.__path__)
            if m.name != "__main__"
        ),
    ]
    return [(room.__name__, name) for room in rooms for name in getattr(room, "__all__", ())]


def in_the_reference():
    """The objects that the reference has, however they are reached."""
    found = []
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for kind, name, options in re.findall(
            r"^\.\. auto(\w+):: (\S+)\n((?:   :.*\n)*)", text, re.MULTILINE
        ):
            if kind != "module":
                home, _, attribute = name.rpartition(".")
                found.append(getattr(importlib.import_module(home), attribute))
                continue
            module = importlib.import_module(name)
            listed = re.search(r":members: (.+)", options)
            names = listed[1].split(", ") if listed else getattr(module, "__all__", vars(module))
            out = re.search(r":exclude-members: (.+)", options)
            found += [getattr(module, each) for each in names if not out or each not in out[1].split(", ")]
    return found


@pytest.mark.parametrize(("room", "name"), public_names(), ids=".".join)
def test_every_public_name_is_in_the_reference(room, name):
    value = getattr(importlib.import_module(room), name)
    if type(value).__name__ == "module" or not callable(value):
        return  # a room of its own, or a table that its room's page describes
    assert any(value is each for each in in_the_reference())
