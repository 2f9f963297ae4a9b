"""How the examples of the gallery are run: a warning in one of them is an error, as in the tests."""

import warnings

USUAL = list(warnings.filters)


def refuse_warnings(gallery_conf, path, when):  # noqa: ARG001 (what sphinx-gallery calls it with)
    """Turn warnings into errors before an example, and back into warnings after it."""
    if when == "before":
        warnings.simplefilter("error")
    else:
        warnings.filters[:] = USUAL
