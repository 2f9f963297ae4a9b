"""The displays: what they draw is what the functions beneath them say."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

import chainrule as cr
from chainrule.inspection import (
    GradientFlowDisplay,
    ImportanceDisplay,
    IntervalDisplay,
    TrainingCurvesDisplay,
    column_importances,
    health,
)


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context():
        mpl.use("Agg")
        yield
        pyplot.close("all")


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(120, 3))
    return X, X[:, 0] - 2 * X[:, 2]


@pytest.fixture(scope="module")
def model(data):
    return cr.TabularRegressor(hidden=(6, 4), epochs=4, random_state=0).fit(*data)


def lines_of(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_training_curves_of_a_tabular_model(model):
    display = TrainingCurvesDisplay.from_estimator(model)
    curves, lines = model.history_.columns(), lines_of(display.ax_)
    np.testing.assert_array_equal(lines["training rows"][:, 1], curves["train_loss"])
    np.testing.assert_array_equal(lines["validation rows"][:, 1], curves["validation_loss"])
    assert lines[f"kept: epoch {model.best_epoch_}"][0, 0] == model.best_epoch_
    assert display.figure_ is display.ax_.figure


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_curves_of_an_mlp(data, early_stopping):
    mlp = cr.MLPRegressor(
        hidden_layer_sizes=[4], max_iter=5, early_stopping=early_stopping, random_state=0
    ).fit(*data)
    lines = lines_of(TrainingCurvesDisplay.from_estimator(mlp).ax_)
    np.testing.assert_array_equal(lines["training rows"][:, 1], mlp.loss_curve_)
    if early_stopping:
        np.testing.assert_array_equal(lines["validation rows"][:, 1], mlp.validation_loss_curve_)
    else:
        assert set(lines) == {"training rows"}


def test_gradient_flow(model, data):
    display = GradientFlowDisplay.from_estimator(model, *data)
    layers, lines = health(model, *data), lines_of(display.ax_)
    np.testing.assert_allclose(
        lines["error signal δ, root mean square (N9)"][:, 1], [layer.delta for layer in layers]
    )
    np.testing.assert_allclose(lines["‖∂loss/∂w‖ (N11)"][:, 1], [layer.gradient for layer in layers])


@pytest.mark.parametrize("method", ["permutation", "gradient"])
def test_importances_stand_in_their_order(model, data, method):
    display = ImportanceDisplay.from_estimator(model, *data, method=method, n_repeats=2)
    found = column_importances(model, *data, method=method, n_repeats=2)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [found.names[c] for c in found.order[::-1]]
    widths = [bar.get_width() for bar in display.ax_.patches]
    np.testing.assert_allclose(widths, found.mean[found.order[::-1]])
    assert len(ImportanceDisplay(found).plot(most=2).ax_.patches) == 2


def test_displays_draw_on_axes_that_are_given(model, data):
    _, axes = pyplot.subplots(1, 3)
    displays = (
        TrainingCurvesDisplay.from_estimator(model, ax=axes[0]),
        GradientFlowDisplay.from_estimator(model, *data, ax=axes[1]),
        ImportanceDisplay.from_estimator(model, *data, n_repeats=1, ax=axes[2]),
    )
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert ax.get_xlabel()


def test_a_fit_without_epochs_has_no_curve(data):
    mlp = cr.MLPRegressor(hidden_layer_sizes=[4], solver="lbfgs", alpha=1.0, random_state=0).fit(*data)
    mlp.loss_curve_ = []
    with pytest.raises(cr.InputError, match="no record of epochs"):
        TrainingCurvesDisplay.from_estimator(mlp)


def test_intervals_are_those_of_the_model_in_the_order_of_its_predictions(model, data):
    display = IntervalDisplay.from_estimator(model, *data, coverage=0.5)
    X, y = data
    order = np.argsort(model.predict(X), kind="stable")
    lower, upper = model.predict_interval(X, 0.5).T
    lines = lines_of(display.ax_)
    np.testing.assert_allclose(lines["actual"][:, 1], y[order])
    np.testing.assert_allclose(lines["prediction"][:, 1], model.predict(X)[order])
    (band,) = display.ax_.collections
    ends = band.get_paths()[0].get_extents()
    assert (ends.y0, ends.y1) == pytest.approx((lower.min(), upper.max()))
    assert display.held == np.mean((lower <= y) & (y <= upper))
    with pytest.raises(cr.InputError, match="gives no intervals"):
        IntervalDisplay.from_estimator(cr.MLPClassifier(), X, y)
