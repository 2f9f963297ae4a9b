"""Pages about a fit and about one row: HTML files that need nothing else. They need the extra "cli"."""

from os import PathLike
from pathlib import Path

from chainrule.report.evaluation import Evaluation, KnownRows, evaluate
from chainrule.report.page import write_page
from chainrule.report.scores import Score
from chainrule.report.sections import Fit, sections_of
from chainrule.report.trace_page import write_trace

__all__ = ["Evaluation", "Fit", "KnownRows", "Score", "evaluate", "write_report", "write_trace"]


def write_report(path: str | PathLike[str], fit: Fit) -> None:
    """Write the page about a fit: data, scores, errors, learning, columns and how to repeat it.

    Parameters
    ----------
    path : str or path
        The HTML file; one that is there is replaced.
    fit : Fit
        The model, its data and its scores.

    Examples
    --------
    >>> import tempfile, numpy as np, chainrule as cr
    >>> from chainrule.report import Fit, write_report
    >>> x = np.linspace(0, 1, 40).reshape(-1, 1)
    >>> model = cr.TabularRegressor(hidden=(), epochs=5, random_state=0).fit(x, 2 * x[:, 0])
    >>> fit = Fit(model, target="y", data="a line", n_train=40, n_test=0, split="No row was held out.")
    >>> with tempfile.NamedTemporaryFile(suffix=".html") as file:
    ...     write_report(file.name, fit)
    """
    lead = f"A multi-layer perceptron, learnt by chainrule from {fit.data}."
    write_page(Path(path), f"Predicting {fit.target}", lead, sections_of(fit))
