"""Plots after scikit-learn's convention: ``from_estimator``, ``plot``, ``ax_`` and ``figure_``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from chainrule.errors import InputError
from chainrule.estimators.targets import read_target
from chainrule.inspection.health import LayerHealth, health
from chainrule.inspection.importance import Importances, Method, column_importances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's blue and vermilion: people who are colour-blind tell them apart.
BLUE, VERMILION = "#0072B2", "#D55E00"
MOST_BARS = 20


class Display:
    """What all displays share: the axes they were drawn on.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of ``ax_``.
    """

    ax_: "Axes"
    figure_: "Figure"

    def _axes(self, ax: "Axes | None") -> "Axes":
        if ax is None:
            try:
                from matplotlib import pyplot  # noqa: PLC0415 (an extra, and heavy)
            except ImportError:
                raise ImportError(
                    "Displays are drawn by Matplotlib: pip install 'chainrule[cli]' brings it."
                ) from None
            _, ax = pyplot.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure  # type: ignore[assignment]  # no subfigure's figure is wanted
        return ax


class TrainingCurvesDisplay(Display):
    """The loss, or another quantity, of each epoch; the epoch that was kept is marked.

    Parameters
    ----------
    train : array_like, (n_epochs,)
        The training rows'.
    validation : array_like, (n_epochs,), optional
        The validation rows'.
    kept_epoch : int, optional
        The epoch whose parameters were kept, from 1.
    quantity : str, default "loss"
        What it is.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import TrainingCurvesDisplay
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> model = cr.TabularRegressor(hidden=(8,), epochs=5, random_state=0).fit(X, X[:, 0])
    >>> display = TrainingCurvesDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        train: ArrayLike,
        validation: ArrayLike | None = None,
        *,
        kept_epoch: int | None = None,
        quantity: str = "loss",
    ) -> None:
        self.train = np.asarray(train, dtype=np.float64)
        self.validation = None if validation is None else np.asarray(validation, dtype=np.float64)
        self.kept_epoch, self.quantity = kept_epoch, quantity

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None) -> Self:
        """Draw the loss of a fitted model over its epochs.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
            Fitted, with at least one epoch.
        ax : matplotlib.axes.Axes, optional
            Where to; None for a new figure.

        Raises
        ------
        InputError
            When there is no record of epochs.
        """
        check_is_fitted(estimator, "theta_")
        history = getattr(estimator, "history_", None)
        if history is not None and history.epochs:
            curves = history.columns()
            validation = curves.get("validation_loss")
            kept = history.best_epoch if validation is not None else None
            return cls(curves["train_loss"], validation, kept_epoch=kept).plot(ax)
        curve = getattr(estimator, "loss_curve_", None)
        if curve:
            return cls(curve, getattr(estimator, "validation_loss_curve_", None)).plot(ax)
        raise InputError(f"This {type(estimator).__name__} has no record of epochs to draw.")

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on the axes, or on those of a new figure."""
        axes = self._axes(ax)
        epochs = np.arange(1, len(self.train) + 1)
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, self.train, color=BLUE, label="training rows", marker=marker)
        if self.validation is not None:
            axes.plot(epochs, self.validation, color=VERMILION, label="validation rows", marker=marker)
        if self.kept_epoch is not None:
            label = f"kept: epoch {self.kept_epoch}"
            axes.axvline(self.kept_epoch, color="0.5", linewidth=1, linestyle="--", label=label)
        axes.set(xlabel="epoch", ylabel=self.quantity)
        axes.legend()
        return self


class GradientFlowDisplay(Display):
    """The size of the gradient in each layer, from the logits down: whether the signal dies or explodes.

    Parameters
    ----------
    layers : sequence of LayerHealth
        From `health`.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import GradientFlowDisplay
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> model = cr.TabularRegressor(hidden=(8, 8), epochs=5, random_state=0).fit(X, X[:, 0])
    >>> display = GradientFlowDisplay.from_estimator(model, X, X[:, 0])
    >>> [label.get_text().split() for label in display.ax_.get_xticklabels()]
    [['1', 'silu'], ['2', 'silu'], ['3', 'logits']]
    """

    def __init__(self, layers: Sequence[LayerHealth]) -> None:
        self.layers = tuple(layers)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, *, ax: "Axes | None" = None) -> Self:
        """Draw how the gradient of the loss of these rows flows through a fitted model.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
            Fitted.
        X, y
            Rows and targets, as its `score` takes them.
        ax : matplotlib.axes.Axes, optional
            Where to; None for a new figure.
        """
        return cls(health(estimator, X, y)).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on the axes, or on those of a new figure."""
        axes = self._axes(ax)
        places = np.arange(1, len(self.layers) + 1)
        series = (
            ("error signal δ, root mean square (N9)", "o", BLUE, [layer.delta for layer in self.layers]),
            ("‖∂loss/∂w‖ (N11)", "s", VERMILION, [layer.gradient for layer in self.layers]),
        )
        for label, marker, colour, values in series:
            axes.plot(places, values, marker=marker, color=colour, label=label)
        if all(value > 0 for _, _, _, values in series for value in values):
            axes.set_yscale("log")
        names = [layer.activation for layer in self.layers[:-1]] + ["logits"]
        axes.set_xticks(places, [f"{k}\n{name}" for k, name in zip(places, names, strict=True)])
        axes.set(xlabel="layer", ylabel="size")
        axes.legend()
        return self


class ImportanceDisplay(Display):
    """Bars for the columns that a model's loss rests on, the most important on top.

    Parameters
    ----------
    importances : Importances
        From `column_importances`.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import ImportanceDisplay
    >>> X = np.random.default_rng(0).normal(size=(80, 3))
    >>> model = cr.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, 2 * X[:, 1])
    >>> display = ImportanceDisplay.from_estimator(model, X, 2 * X[:, 1])
    >>> display.ax_.get_yticklabels()[-1].get_text()
    'x1'
    """

    def __init__(self, importances: Importances) -> None:
        self.importances = importances

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        method: Method = "permutation",
        n_repeats: int = 5,
        random_state: int = 0,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the importance of each column; the parameters are those of `column_importances`."""
        found = column_importances(
            estimator, X, y, method=method, n_repeats=n_repeats, random_state=random_state
        )
        return cls(found).plot(ax)

    def plot(self, ax: "Axes | None" = None, *, most: int = MOST_BARS) -> Self:
        """Draw on the axes, or on those of a new figure, at most so many columns."""
        axes = self._axes(ax)
        found = self.importances
        order = found.order[:most][::-1]
        spread: NDArray[Any] | None = found.std[order] if found.values.shape[1] > 1 else None
        axes.barh(np.arange(len(order)), found.mean[order], xerr=spread, color=BLUE, ecolor="0.4")
        axes.set_yticks(np.arange(len(order)), [found.names[c] for c in order])
        what = "mean ‖∂loss/∂x‖" if found.method == "gradient" else "growth of the loss when it is permuted"
        axes.set(xlabel=what)
        return self


class IntervalDisplay(Display):
    """Prediction intervals beside what was true, the rows in the order of their predictions.

    Parameters
    ----------
    actual, predicted : array_like, (n_rows,)
        In the units of y.
    interval : array_like, (n_rows, 2)
        Lower and upper ends.
    coverage : float
        The share of rows that the intervals are to hold.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import IntervalDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1))
    >>> y = X[:, 0] + rng.normal(size=300)
    >>> model = cr.TabularRegressor(hidden=(8,), epochs=5, random_state=0).fit(X, y)
    >>> display = IntervalDisplay.from_estimator(model, X, y, coverage=0.8)
    >>> display.ax_.get_ylabel()
    'target'
    """

    def __init__(self, actual: ArrayLike, predicted: ArrayLike, interval: ArrayLike, coverage: float) -> None:
        self.actual, self.predicted, self.interval = map(np.asarray, (actual, predicted, interval))
        self.coverage = coverage

    @property
    def held(self) -> float:
        """The share of rows whose target lies in its interval."""
        lower, upper = self.interval.T
        return float(np.mean((lower <= self.actual) & (self.actual <= upper)))

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, coverage: float = 0.9, ax: "Axes | None" = None
    ) -> Self:
        """Draw the intervals of a fitted regressor of one target.

        Parameters
        ----------
        estimator : TabularRegressor
            Fitted.
        X, y
            Rows and targets, as its `score` takes them.
        coverage : float, default 0.9
            As in `predict_interval`.
        ax : matplotlib.axes.Axes, optional
            Where to; None for a new figure.

        Raises
        ------
        InputError
            When the model has no intervals, or several targets.
        """
        if not hasattr(estimator, "predict_interval"):
            raise InputError(
                f"{type(estimator).__name__} gives no intervals; TabularRegressor and MLPRegressor do."
            )
        interval = estimator.predict_interval(X, coverage)
        actual, _ = read_target(y)
        if interval.ndim != 2 or actual.ndim != 1:
            raise InputError("Intervals are drawn for one target: this model has several.")
        return cls(actual, estimator.predict(X), interval, coverage).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on the axes, or on those of a new figure."""
        axes = self._axes(ax)
        order = np.argsort(self.predicted, kind="stable")
        places = np.arange(1, len(order) + 1)
        lower, upper = self.interval[order].T
        label = f"interval for {100 * self.coverage:g} %, holds {100 * self.held:.1f} %"
        axes.fill_between(places, lower, upper, color=BLUE, alpha=0.25, linewidth=0, label=label)
        axes.plot(places, self.predicted[order], color=BLUE, label="prediction")
        axes.plot(places, self.actual[order], linestyle="none", marker=".", color=VERMILION, label="actual")
        axes.set(xlabel="rows, by their prediction", ylabel="target")
        axes.legend()
        return self
