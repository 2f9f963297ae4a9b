"""How Sphinx builds these pages: `sphinx-build -W -n -b html docs docs/_build`."""

import sys
from pathlib import Path

from sphinx.util.nodes import make_refnode

import chainrule

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # its neighbours
from draw_losses import draw  # noqa: E402 (it stands beside this file)

project = "chainrule"
author = "the chainrule developers"
copyright = "2026, the chainrule developers"
version = release = chainrule.__version__

extensions = [
    "equation_links",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",  # for its role "autolink"
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the pages need no network for their formulas
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "data"]
html_theme = "furo"
html_title = f"chainrule {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# `Name` in a docstring is a link where there is a page about it, and plain text where there is none.
default_role = "autolink"
# Types, shapes and units stand in the docstrings in words; the signatures stay short.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
numpydoc_show_class_members = False  # they follow with their own docstrings

# The examples are run by the build, from docs/gallery into docs/examples. One that fails, or warns, ends it.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"[\\/]",  # all of them
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "run_examples.refuse_warnings"),
    "reset_modules_order": "both",
    "doc_module": ("chainrule",),
    "reference_url": {"chainrule": None},
    "image_srcset": ["2x"],
    "min_reported_time": 3600,  # times of a busy machine say nothing
    "write_computation_times": False,
    "remove_config_comments": True,
}


def find_by_last_name(app, env, node, contnode):
    """Find `Dense`, written in any module, under the one name that the reference gives it."""
    if node.get("refdomain") != "py":
        return None
    last = "." + node["reftarget"].rpartition(".")[2]
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.get_domain("py").objects.items()
        if name.endswith(last) and not entry.aliased
    }
    if len(found) != 1:
        return None
    docname, anchor = found.pop()
    return make_refnode(app.builder, node["refdoc"], docname, anchor, contnode)


def leave_out(*event):
    """Leave out the members that are scikit-learn's own: score, get_params and what routes metadata."""
    member, skip = event[3:5]
    return skip or (getattr(member, "__module__", None) or "").startswith("sklearn.")


def draw_pictures(*event):  # noqa: ARG001 (Sphinx hands it over)
    """Draw the losses of the likelihoods, as the code of today computes them."""
    draw(HERE / "images" / "likelihoods")


def setup(app):
    """Connect what is above."""
    app.connect("builder-inited", draw_pictures)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("missing-reference", find_by_last_name)
