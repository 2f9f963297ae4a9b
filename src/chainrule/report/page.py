"""What a page is made of, and how it becomes one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import chainrule


@dataclass(frozen=True)
class Table:
    """Rows of text below a header.

    Parameters
    ----------
    header : tuple of str
        The names of the columns.
    rows : tuple of tuples of str
        The cells.
    n_text : int, default 1
        How many columns from the left hold text; the others hold numbers and are set to the right.
    folded : bool, default False
        Whether the reader opens it first: for long tables.
    title : str, default ""
        What it shows; needed when it is folded.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int = 1
    folded: bool = False
    title: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Drawing:
    """A drawing with its title.

    Parameters
    ----------
    title : str
        What it shows, above it.
    svg : str
        The drawing, from `chainrule.report.figures`.
    description : str
        What a reader who cannot see it should know.
    caption : str
        How to read it, below it.
    """

    title: str
    svg: str
    description: str
    caption: str
    kind: str = field(default="drawing", init=False)


@dataclass(frozen=True)
class Commands:
    """Command lines to copy, each with what it does."""

    lines: tuple[tuple[str, str], ...]
    kind: str = field(default="commands", init=False)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    title : str
        Its heading.
    text : tuple of str
        Paragraphs.
    blocks : tuple of Table, Drawing or Commands
        What follows them.
    """

    title: str
    text: tuple[str, ...] = ()
    blocks: tuple[Table | Drawing | Commands, ...] = ()


@cache
def environment() -> Environment:
    """Return the templates of the pages; what is put into them is escaped."""
    loader = PackageLoader("chainrule.report", "templates")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write sections as one HTML file that needs nothing else: no network, no script, no other file."""
    template = environment().get_template("page.html.jinja")
    html = template.render(title=title, lead=lead, sections=sections, version=chainrule.__version__)
    path.write_text(html, encoding="utf-8")
