"""gradient_check says "right" for right gradients, and for wrong ones where they are wrong."""

import numpy as np
import pytest

from chainrule import Dense, Dropout, InputError, Network, Scale, gradient_check
from chainrule.likelihoods import Likelihood, Normal, Poisson
from chainrule.optimization import Penalty


# N27
def test_it_names_the_scale_of_the_inputs(engine, make_problem, monkeypatch):
    problem = make_problem("gamma/learned", [Scale(), Dense(4, "tanh")], n_rows=20)
    data = (problem.network, problem.theta, 5 * problem.X, problem.y)
    check = gradient_check(*data, engine=engine)
    assert check.ok, str(check)
    assert [layer.name for layer in check.layers] == ["scales", "layer 2", "layer 1", "input scale", "x"]
    assert check.layers[3].n_entries == 3
    right = Network.loss_and_gradient

    def wrong(*args, **settings):
        loss, gradient = right(*args, **settings)
        gradient[1] *= 1.5
        return loss, gradient

    monkeypatch.setattr(Network, "loss_and_gradient", wrong)
    check = gradient_check(*data, engine=engine)
    assert not check
    assert "in input scale, N27 gives" in str(check)
    assert "for a[1] and" in str(check)


def test_it_is_true_of_right_gradients(case, engine, make_problem):
    hidden = [Dense(4, "relu"), Dropout(0.3), Dense(3, "gelu", bias=False)]
    problem = make_problem(case, hidden, outputs=3, n_rows=20, dropout_seed=2, weighted=True)
    theta, X = problem.theta.copy(), problem.X.copy()
    check = gradient_check(
        problem.network,
        problem.theta,
        problem.X,
        problem.y,
        sample_weight=problem.weight,
        penalty=Penalty(0.1),
        dropout_seed=2,
        engine=engine,
    )
    assert check
    assert check.ok
    assert check.error == max(layer.error for layer in check.layers) < 1e-7
    assert (check.engine, check.tolerance, check.n_rows, check.n_left_out) == (engine, 1e-7, 20, 0)
    likelihood = problem.network.likelihood
    top = likelihood.n_logits * (3 + likelihood.top_bias)
    names = ["layer 3", "layer 2", "layer 1", "x"]
    entries = [top, 12, 16, 60]
    if likelihood.n_scales:
        names, entries = ["scales", *names], [likelihood.n_scales, *entries]
    assert [layer.name for layer in check.layers] == names
    assert [layer.n_entries for layer in check.layers] == entries
    assert problem.theta.tobytes() == theta.tobytes()
    assert problem.X.tobytes() == X.tobytes()


def test_the_result_is_that_of_the_same_call(engine, make_problem):
    problem = make_problem("poisson", [Dense(4, "tanh")], weighted=True)
    arguments = (problem.theta, problem.X, problem.y)
    check = gradient_check(problem.network, *arguments, sample_weight=problem.weight, engine=engine)
    loss, gradient = problem.network.loss_and_gradient(*arguments, problem.weight, engine=engine)
    _, G = problem.network.loss_and_input_gradient(*arguments, problem.weight, engine=engine)
    assert check.loss == loss
    for layer, (weight, bias) in zip(check.layers[1::-1], problem.network.unpack(gradient), strict=True):
        assert layer.largest == max(np.abs(weight).max(), np.abs(bias).max())
        assert layer.gradient == {"weight": weight, "bias": bias}[layer.part][layer.index]
    assert check.layers[2].largest == np.abs(G).max()
    assert check.layers[2].gradient == G[check.layers[2].index]


class OffBy:
    """An engine whose gradient is off in one entry of θ or of x."""

    def __init__(self, engine, entry, of_x, amount):
        self.engine, self.entry, self.of_x, self.amount = engine, entry, of_x, amount

    def loss_and_gradient(self, *arguments, **more):
        loss, gradient = self.engine.loss_and_gradient(*arguments, **more)
        if not self.of_x:
            gradient[self.entry] += self.amount
        elif len(arguments) > 6:
            arguments[6][self.entry] += self.amount
        return loss, gradient


def check_with_a_fault(problem, monkeypatch, entry, of_x, amount):
    right = problem.network.engine("reference")
    wrong = OffBy(right, entry, of_x, amount)
    monkeypatch.setattr(problem.network, "engine", lambda _: wrong)
    return gradient_check(problem.network, problem.theta, problem.X, problem.y, engine="reference")


# N10 N11 N12
FAULTS = [
    (0, "layer 1", "weight[0, 0]", "N11"),
    (11, "layer 1", "weight[3, 2]", "N11"),
    (13, "layer 1", "bias[1]", "N12"),
    (16, "layer 2", "weight[0, 0]", "N11"),
    (19, "layer 2", "weight[0, 3]", "N11"),
    (20, "layer 2", "bias[0]", "N12"),
    ((3, 1), "x", "row 3, column 1", "N10"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("amount", [2e-5, 20.0])
def test_it_names_the_place_of_a_fault(fault, amount, make_problem, monkeypatch):
    entry, layer, place, equation = fault
    problem = make_problem("normal", [Dense(4, "tanh")])
    check = check_with_a_fault(problem, monkeypatch, entry, layer == "x", amount)
    assert not check
    (wrong,) = [found for found in check.layers if found.error > 1e-7]
    assert (wrong.name, wrong.place) == (layer, place)
    assert wrong.gradient - wrong.difference == pytest.approx(amount, rel=1e-4)
    verdict = str(check).splitlines()[-1]
    assert verdict == (
        f"Wrong (reference engine): in {layer}, {equation} gives {wrong.gradient:.9g} for {place} and the "
        f"central difference {wrong.difference:.9g}; the error is {wrong.error:.1e} of the layer's largest "
        "entry, above 1e-07."
    )


def test_of_several_faults_the_highest_layer_is_named(make_problem, monkeypatch):
    problem = make_problem("normal", [Dense(4, "tanh"), Dense(4, "tanh")])
    check = check_with_a_fault(problem, monkeypatch, np.arange(20), False, 1.0)  # layer 1, and 2 from 16 on
    assert [layer.error > 1e-7 for layer in check.layers] == [False, True, True, False]
    assert "in layer 2, N11 gives" in str(check)


def test_nan_is_never_right(make_problem, monkeypatch):
    for entry, of_x in [(20, False), (3, False), ((0, 0), True)]:
        problem = make_problem("normal", [Dense(4, "tanh")])
        check = check_with_a_fault(problem, monkeypatch, entry, of_x, np.nan)
        assert not check
        assert check.error == np.inf
        assert "nan" in str(check)


def test_a_loss_without_its_penalty_is_found(make_problem, monkeypatch):
    """The loss that the call returned is what counts: a gradient of something else is wrong."""
    problem = make_problem("normal", [Dense(4, "tanh")])
    right = problem.network.engine("reference")

    class Forgetful:
        def loss_and_gradient(self, theta, X, y, weight, penalty, *rest, **more):
            loss, _ = right.loss_and_gradient(theta, X, y, weight, Penalty(), *rest, **more)
            return loss, right.loss_and_gradient(theta, X, y, weight, penalty, *rest, **more)[1]

    monkeypatch.setattr(problem.network, "engine", lambda _: Forgetful())
    check = gradient_check(problem.network, problem.theta, problem.X, problem.y, penalty=Penalty(0.1))
    assert not check
    assert [layer.error > 1e-7 for layer in check.layers] == [True, True, False]


def test_rows_at_a_kink_are_left_out_and_counted(engine):
    network = Network(2, [Dense(3, "relu", bias=False)], likelihood=Normal())
    theta = network.initial_parameters(seed=0, dtype="float64")
    X, y = np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, 1.0]]), np.array([1.0, 2.0, 3.0])
    check = gradient_check(network, theta, X, y, engine=engine)
    assert check
    assert check.n_left_out == 1
    assert "\n1 of 3 rows are left out: a pre-activation is at a kink.\n" in str(check)
    assert check.loss == network.loss(theta, X, y, [1, 0, 1], engine=engine)
    assert not gradient_check(network, theta, X, y, engine=engine, kink_margin=0)


def test_when_every_row_is_at_a_kink_it_says_so():
    network = Network(2, [Dense(3, "relu")], likelihood=Normal())
    with pytest.raises(InputError) as error:
        gradient_check(
            network, np.zeros(network.n_parameters), np.ones((2, 2)), np.ones(2), engine="reference"
        )
    assert str(error.value) == (
        "Each row has a pre-activation within 0.001 of a kink, where a difference means nothing; "
        "give more rows, another theta, or a smaller kink_margin."
    )


def test_it_is_true_at_a_minimum(engine):
    """Where the gradient is 0 but for rounding, rounding is not called an error."""
    rng = np.random.default_rng(0)
    X, network = rng.normal(size=(30, 3)), Network(3, likelihood=Normal())
    y = X @ [1.0, -2.0, 0.5] + 3 + rng.normal(size=30)
    theta = np.linalg.lstsq(np.column_stack([X, np.ones(30)]), y)[0]
    check = gradient_check(network, theta, X, y, engine=engine)
    assert check.layers[0].largest < 1e-14
    assert check


def test_large_inputs_get_a_larger_step(engine):
    network = Network(2, [Dense(4, "tanh")], likelihood=Normal())
    theta = network.initial_parameters(seed=1, dtype="float64")
    theta[: 4 * 2] *= 1e-6
    X = np.array([[3e5, -2e6], [1e6, 4e5]])
    assert gradient_check(network, theta, X, np.array([0.3, -0.4]), engine=engine)


def test_it_prints_an_aligned_table(make_problem):
    problem = make_problem("normal", [Dense(12, "tanh")], n_rows=11)
    check = gradient_check(problem.network, problem.theta, problem.X, problem.y, engine="reference")
    head, *rows, verdict = str(check).splitlines()
    assert head.split() == ["entries", "largest", "error", "worst", "entry", "gradient", "difference"]
    assert [row.split("  ")[0] for row in rows] == ["layer 2", "layer 1", "x"]
    for row in (head, *rows):
        assert len(row) == len(head)
    assert verdict == (
        "Right (reference engine): N10, N11 and N12 agree with central differences to 1e-07 of each layer's "
        "largest entry."
    )


def test_float32_is_an_error_that_asks_for_float64(make_problem):
    problem = make_problem("normal", dtype="float32")
    with pytest.raises(InputError) as error:
        gradient_check(problem.network, problem.theta, problem.X, problem.y)
    assert str(error.value) == (
        "theta is float32, whose losses are too coarse for differences; check in float64: "
        "theta.astype('float64') and X.astype('float64')."
    )


SMALL = Network(2, likelihood=Poisson())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0}, "tolerance=0: it must be a finite number above 0."),
        ({"step": np.nan}, "step=nan: it must be a finite number above 0."),
        ({"engine": "gpu"}, "engine='gpu' is unknown; choose 'native' or 'reference'."),
        (
            {"theta": np.full(3, 1e3)},
            "The loss at this theta is inf: check where it is finite, with smaller weights or inputs.",
        ),
        ({"X": np.ones((1, 3))}, "X must have the shape (n_rows, 2), not (1, 3)."),
    ],
)
def test_what_cannot_be_checked_is_an_error(arguments, message):
    with pytest.raises(InputError) as error:
        gradient_check(**{"network": SMALL, "theta": np.zeros(3), "X": np.ones((1, 2)), "y": [1]} | arguments)
    assert str(error.value) == message


class Heavy(Likelihood):
    """A location, a log-scale and a learned number; its derivative may be off in one entry."""

    n_logits, n_columns, n_scales = 2, 1, 1

    def __init__(self, row=None, column=None):
        self.row, self.column = row, column

    def loss_and_gradient(self, logits, y):
        s, t, c = logits.T
        z = (y[:, 0] - s) * np.exp(-t)
        slope = np.tanh(z)
        losses = np.logaddexp(z, -z) + t + 0.5 * (c - s) ** 2
        by_s = -slope * np.exp(-t) - (c - s)
        gradient = np.column_stack([by_s, 1 - slope * z, c - s])
        if self.row is not None:
            gradient[self.row, self.column] += 1e-3
        return losses, gradient


OWN_THETA = np.linspace(-0.5, 0.6, Network(3, [4], likelihood=Heavy()).n_parameters)


def check_of_own(likelihood, engine, weight=None, **more):
    rng = np.random.default_rng(4)
    network = Network(3, [Dense(4, "tanh")], likelihood=likelihood)
    X, y = rng.normal(size=(6, 3)), rng.normal(size=6)
    return gradient_check(network, OWN_THETA, X, y, engine=engine, sample_weight=weight, **more)


@pytest.mark.parametrize("more", [{}, {"offset": np.linspace(-1, 1, 6)}, {"penalty": Penalty(0.1)}])
def test_a_likelihood_of_ones_own_is_checked_by_itself_first(engine, more):
    check = check_of_own(Heavy(), engine, **more)
    assert check
    assert [layer.name for layer in check.layers] == ["∂loss/∂s", "scales", "layer 2", "layer 1", "x"]
    assert check.layers[0].n_entries == 6 * 3


@pytest.mark.parametrize("row", [0, 3, 5])
@pytest.mark.parametrize(("column", "place"), [(0, "logit 0"), (1, "logit 1"), (2, "scale 0")])
def test_a_wrong_derivative_of_ones_own_is_named_by_row_and_logit(row, column, place, engine):
    check = check_of_own(Heavy(row, column), engine)
    assert not check
    wrong = check.layers[0]
    assert (wrong.name, wrong.place) == ("∂loss/∂s", f"row {row}, {place}")
    assert wrong.gradient - wrong.difference == pytest.approx(1e-3, rel=1e-4)
    assert str(check).splitlines()[-1] == (
        f"Wrong ({engine} engine): in ∂loss/∂s, loss_and_gradient of the likelihood gives "
        f"{wrong.gradient:.9g} for row {row}, {place} and the central difference {wrong.difference:.9g}; the "
        f"error is {wrong.error:.1e} of the layer's largest entry, above 1e-07."
    )


def test_a_wrong_derivative_in_a_row_of_weight_0_does_not_count(engine):
    assert check_of_own(Heavy(3, 0), engine, [1, 2, 1, 0, 1, 1])
    assert not check_of_own(Heavy(3, 0), engine, [1, 2, 0, 1, 1, 1])
