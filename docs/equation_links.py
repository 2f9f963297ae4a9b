"""A Sphinx extension: every number N1, N2, … leads to the notes, and from the notes to the lines of code.

The pages of the files with these lines are made here, with an anchor for each line, so that the site needs no
other one.
"""

from html import escape

from docutils import nodes
from docutils.parsers.rst import roles
from equation_lines import NUMBER, ROOT, lines_of_equations, with_links_to_lines
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename


def name_the_lines(app, docname, source):  # noqa: ARG001 (what Sphinx calls it with)
    """Put the links into the notes."""
    if docname == "notes":
        source[0] = with_links_to_lines(source[0])


def code_line(name, rawtext, text, lineno, inliner, options=None, content=None):  # noqa: ARG001 (a role's arguments)
    """Make the role `code-line`: in the notes, FILE:LINE is a link to that line of the file's page."""
    file, _, line = text.rpartition(":")
    return [nodes.reference(rawtext, line, refuri=f"code/{file}.html#line-{line}", internal=True)], []


def code_pages(app):
    """Make a page for each file that computes an equation; the numbers in it lead back to the notes."""
    files = sorted({file for found in lines_of_equations().values() for file in found})
    formatter = HtmlFormatter(linenos="inline", linespans="line", wrapcode=True)
    for file in files:
        page = f"code/{file}"
        notes = app.builder.get_relative_uri(page, "notes")
        text = (ROOT / file).read_text(encoding="utf-8")
        code = highlight(text, get_lexer_for_filename(file), formatter)
        code = NUMBER.sub(lambda n, notes=notes: f'<a href="{notes}#n{n[1]}">{n[0]}</a>', code)
        yield page, {"title": file, "body": f"<h1>{escape(file)}</h1>\n{code}"}, "page.html"


def link_the_numbers(app, doctree, docname):
    """Make every number of an equation in running text a link to the notes."""
    apart = (nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.title)
    if docname == "notes" or app.builder.format != "html":
        return
    notes = app.builder.get_relative_uri(docname, "notes")
    for text in list(doctree.findall(nodes.Text)):
        pieces = NUMBER.split(text.astext())
        inside = text.parent
        while inside is not None and not isinstance(inside, apart):
            inside = inside.parent
        if len(pieces) == 1 or inside is not None:
            continue
        linked = [nodes.Text(pieces[0])]
        for number, after in zip(pieces[1::2], pieces[2::2], strict=True):
            link = nodes.reference("", f"N{number}", refuri=f"{notes}#n{number}", internal=True)
            linked += [link, nodes.Text(after)]
        text.parent.replace(text, linked)


def setup(app):
    """Connect what is above."""
    roles.register_local_role("code-line", code_line)
    app.connect("source-read", name_the_lines)
    app.connect("doctree-resolved", link_the_numbers)
    app.connect("html-collect-pages", code_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
