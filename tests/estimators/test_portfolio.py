"""Members of several kinds: what each sees, what each is worth, and that nothing behind them knows of it."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import TabularClassifier, TabularRegressor
from chainrule.estimators import members as members_module
from chainrule.estimators import recipe as recipes
from chainrule.estimators.greedy import MOST_PICKS, greedy_counts
from chainrule.estimators.members import Kind
from chainrule.estimators.recipe import Recipe
from chainrule.inspection import column_importances, health
from chainrule.inspection.importance import Method
from chainrule.training import METRICS, Training, train

PORTFOLIO = (
    Recipe(n_members=3, epochs=4, width=12, n_ramps=8),
    Recipe(n_members=2, epochs=4, width=9, n_ramps=0),
    Recipe(n_members=2, epochs=3, width=6, n_ramps=8, activation="relu"),
)


@pytest.fixture
def several(monkeypatch):
    monkeypatch.setitem(recipes.PORTFOLIOS, "best", (PORTFOLIO, PORTFOLIO))


def fitted(homes, target, **settings):
    kind = TabularRegressor if target in ("number", "numbers", "counts") else TabularClassifier
    return kind(preset="best", random_state=0, **settings).fit(homes.table, homes.targets[target])


# ── The weights ──


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(
            st.lists(st.floats(-3, 3, width=16), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
)
def test_greedy_weights_are_those_of_the_rule_and_no_worse_than_the_best_model(outputs):
    models = [np.array(output)[:, None] for output in outputs]

    def cost(mean):
        return float(np.abs(mean - 1).sum())

    counts = greedy_counts(cost, models, n_picks=5)
    assert 1 <= sum(counts) <= 5
    mean = sum(count * model for count, model in zip(counts, models, strict=True)) / sum(counts)
    assert cost(mean) <= min(map(cost, models)) + 1e-12
    picked = []  # the rule, written out
    best = (math.inf, [])
    for _ in range(5):
        means = [np.mean([models[k] for k in [*picked, new]], axis=0) for new in range(len(models))]
        picked = [*picked, int(np.argmin(np.round([cost(mean) for mean in means], 9)))]
        reached = cost(np.mean([models[k] for k in picked], axis=0))
        best = min(best, (reached, picked), key=lambda pair: round(pair[0], 9))
    assert cost(mean) == pytest.approx(best[0], abs=1e-9)


def test_two_picks_find_the_best_pair_that_holds_the_best_model():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 1))
    models = [y + rng.normal(size=y.shape) for _ in range(5)]

    def cost(mean):
        return float(((mean - y) ** 2).mean())

    first = int(np.argmin([cost(model) for model in models]))
    pair = min(
        (p for p in itertools.combinations_with_replacement(range(5), 2) if first in p),
        key=lambda p: cost((models[p[0]] + models[p[1]]) / 2),
    )
    assert greedy_counts(cost, models, n_picks=2) == [pair.count(k) for k in range(5)]


def test_where_nothing_can_be_told_all_count():
    assert greedy_counts(lambda _: math.nan, [np.zeros((1, 1))] * 3) == [1, 1, 1]


# ── What a kind sees ──


@pytest.mark.parametrize("likelihood", [cr.likelihoods.Normal(), cr.likelihoods.StudentT(scale="learned")])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 3), (cr.Scale(2.5), 5)])
def test_a_kept_network_says_the_same_of_all_inputs(likelihood, hidden):
    rng = np.random.default_rng(0)
    network = cr.Network(3, hidden, likelihood=likelihood)
    theta = network.initial_parameters(0) + rng.normal(size=network.n_parameters)
    kind = Kind(network, Training(), inputs=np.array([1, 4, 5]))
    wide, its_theta = kind.kept(theta, 7, likelihood)
    X = rng.normal(size=(20, 7))
    np.testing.assert_allclose(
        wide.forward(its_theta, X), network.forward(theta, X[:, kind.inputs]), rtol=1e-12
    )
    np.testing.assert_array_equal(wide.scales(its_theta), network.scales(theta))
    assert wide.n_inputs == 7
    assert not any(isinstance(layer, cr.Scale) for layer in wide.hidden)
    assert (wide.unpack(its_theta)[0][0][:, [0, 2, 3, 6]] == 0).all()


@pytest.mark.parametrize("target", ["number", "numbers", "counts", "boolean", "three", "labels"])
def test_predictions_are_the_weighted_mean_over_kinds(homes, target, several):
    model = fitted(homes, target)
    assert len(model.steps_done_) == 7
    kinds = {member.network.hidden: [] for member in model.members_}
    for member in model.members_:
        kinds[member.network.hidden].append(member.weight)
    for weights in kinds.values():  # the members of a kind share its weight
        assert len(set(weights)) == 1
        assert sum(weights) == pytest.approx(round(sum(weights)), abs=1e-12)
    assert 1 <= round(sum(map(sum, kinds.values()))) <= MOST_PICKS
    X = model.encoder_.transform(homes.table)
    each = [member.network.forward(member.theta, X).astype(float) for member in model.members_]
    to, back = (np.exp, np.log) if target == "counts" else (np.asarray, np.asarray)
    logits = back(np.average(to(each), axis=0, weights=[member.weight for member in model.members_]))
    np.testing.assert_allclose(model._logits(X), logits, rtol=1e-6, atol=1e-9)


LOG_LINKS = ["poisson", "negative_binomial", "gamma", "tweedie"]


@pytest.mark.parametrize("likelihood", [*LOG_LINKS, "normal", "normal_with_variance", "student_t"])
@pytest.mark.parametrize("metric", [None, "rmse", "mae"])
def test_weights_predictions_and_losses_are_of_one_mean(homes, several, likelihood, metric, monkeypatch):
    """What a weight costs is what the members together predict, and so is the loss of an importance."""
    seen = {}

    def counts(cost, outputs):
        seen["found"] = greedy_counts(cost, outputs)
        mean = np.average(outputs, axis=0, weights=seen["found"])
        seen["cost"], seen["outputs"] = cost(mean), outputs
        return seen["found"]

    monkeypatch.setattr("chainrule.estimators.members.greedy_counts", counts)
    held = []
    whole = members_module.Plan.held_out
    monkeypatch.setattr(members_module.Plan, "held_out", lambda *args: held.append(whole(*args)) or held[-1])
    X, y = homes.table, homes.targets["counts"] + (likelihood == "gamma")
    offset = np.linspace(0, 0.5, len(y))
    model = TabularRegressor(preset="best", random_state=0, likelihood=likelihood, metric=metric)
    model.fit(X, y, offset=offset)
    of_kinds = held[:3]  # what each kind says about the rows that all kinds held out
    rows = np.array(sorted(set.intersection(*(set(kind.numbers) for kind in of_kinds))))
    target = model.target_.encode(np.asarray(y, dtype=float)[rows])
    means = []
    for kind in of_kinds:
        each = [(view.rows, view.mean(model.network_.likelihood)) for view in kind.views]
        n, total = np.zeros(len(kind.numbers)), np.zeros((len(kind.numbers), 1))
        for its, mean in each:
            n[its] += 1
            total[its] += mean
        means.append((total / n[:, None])[np.isin(kind.numbers, rows)])
    mean = np.average(means, axis=0, weights=seen["found"])
    if metric is not None:
        assert seen["cost"] == pytest.approx(METRICS[metric].function(target, mean, None), rel=1e-9)
    likelihood = model.network_.likelihood
    logits = model._moved_logits(*model._table_rows(X, offset))
    together = likelihood.mean(logits, model._scales())
    np.testing.assert_allclose(model.target_.decode(together), model.predict(X, offset), rtol=1e-6)
    losses, _ = likelihood.loss_and_gradient(
        likelihood.extended(logits, model._scales()), likelihood.prepare(model.target_.encode(y))
    )
    assert column_importances(model, X, y, offset=offset, n_repeats=1).loss == pytest.approx(losses.mean())


def test_members_without_ramps_look_at_none(homes, several, monkeypatch):
    # so that no kind is left out
    monkeypatch.setattr("chainrule.estimators.members.greedy_counts", lambda _, outputs: [1] * len(outputs))
    model = fitted(homes, "number")
    is_ramp = model.encoder_.is_ramp
    assert is_ramp.tolist() == [" from " in name for name in model.encoder_.input_names]
    for member in model.members_:
        first = member.network.unpack(member.theta)[0][0]
        assert (first[:, ~is_ramp] != 0).any()
        assert (first[:, is_ramp] != 0).any() == (member.network.hidden[0].units != 9)
    assert sorted(member.network.hidden[0].units for member in model.members_) == [6, 6, 9, 9, 12, 12, 12]
    np.testing.assert_allclose([m.weight for m in model.members_], [1 / 3, 0.5, 0.5, 1 / 3, 0.5, 0.5, 1 / 3])


@pytest.mark.parametrize("target", ["number", "three"])
def test_nothing_behind_the_members_knows_of_their_kinds(homes, target, several, monkeypatch, tmp_path):
    monkeypatch.setattr("chainrule.estimators.members.greedy_counts", lambda *_: [1, 3, 0])
    model = fitted(homes, target)
    assert model.n_members_ == 5
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    for name in ("predict", "predict_proba")[: 1 + (target == "three")]:
        np.testing.assert_array_equal(getattr(again, name)(homes.table), getattr(model, name)(homes.table))
    np.testing.assert_array_equal(
        again.predict_distribution(homes.table).mean, model.predict_distribution(homes.table).mean
    )
    x = model.encoder_.transform(homes.table.iloc[:1])
    for k, member in enumerate(again.members_):
        trace = cr.trace(again, homes.table.iloc[0], homes.targets[target][0], member=k)
        np.testing.assert_allclose(
            trace.logits, member.network.forward(member.theta, x)[0], rtol=1e-4, atol=1e-6
        )
    y = homes.targets[target]
    for method in get_args(Method):
        assert len(column_importances(model, homes.table, y, method=method).names) == 5
    assert health(model, homes.table, y) is not None


# N27
@pytest.mark.parametrize("hidden", [None, (6, 4), (cr.Scale(2.0), 6), (cr.Dense(6), 4), ()])
def test_the_recipe_scales_the_inputs_before_layers_that_are_numbers(homes, several, hidden, monkeypatch):
    kinds = tuple(replace(recipe, input_scale=6.0) for recipe in PORTFOLIO)
    monkeypatch.setitem(recipes.PORTFOLIOS, "best", (kinds, kinds))
    trained = []
    monkeypatch.setattr(
        "chainrule.estimators.members.train",
        lambda network, *args, **settings: trained.append(network) or train(network, *args, **settings),
    )
    y = homes.targets["number"]
    model = fitted(homes, "number", hidden=hidden, n_threads=1)
    rates = {network.architecture.scale_rate for network in trained}
    by_hand = hidden is not None and any(isinstance(layer, cr.Scale | cr.Dense) for layer in hidden)
    assert rates == (
        {2.0 if cr.Scale(2.0) in hidden else 0.0} if by_hand else {6.0} if hidden != () else {0.0}
    )
    for member in model.members_:
        assert member.network.architecture.scale_rate == 0
        assert member.network.n_inputs == model.encoder_.n_inputs
    x = model.encoder_.transform(homes.table.iloc[:1])
    trace = cr.trace(model, homes.table.iloc[0], y[0])
    first = model.members_[0]
    np.testing.assert_allclose(trace.logits, first.network.forward(first.theta, x)[0], rtol=1e-4, atol=1e-6)
    assert health(model, homes.table, y) is not None


@pytest.mark.parametrize("n_members", [1, 2, 4])
def test_the_kinds_take_turns(homes, several, n_members):
    model = fitted(homes, "number", n_members=n_members)
    assert len(model.steps_done_) == n_members
    assert {m.network.hidden[0].units for m in model.members_} <= {12, 9, 6}


def test_a_linear_model_is_one_whatever_the_portfolio(homes, several):
    model = fitted(homes, "number", hidden=())
    assert model.n_members_ == 1
    assert not model.encoder_.is_ramp.any()


def test_weights_are_found_on_the_rows_that_were_not_learned(homes, several, monkeypatch):
    """A kind that is noise gets no weight, with held-out rows as with an eval_set."""
    good = Recipe(n_members=2, epochs=30, width=32)
    noise = Recipe(n_members=2, epochs=1, width=32, learning_rate=3.0)
    monkeypatch.setitem(recipes.PORTFOLIOS, "best", ((noise, good), (noise, good)))
    model = TabularRegressor(preset="best", random_state=0).fit(homes.table, homes.targets["number"])
    assert min(len(m.history.epochs) for m in model.members_) > 1
    eval_set = (homes.table, homes.targets["number"])
    model.fit(homes.table, homes.targets["number"], eval_set=eval_set)
    assert min(len(m.history.epochs) for m in model.members_) > 1
    model.set_params(validation_fraction=0).fit(homes.table, homes.targets["number"])
    assert model.n_members_ == 4  # nothing says what they are worth
    assert {m.weight for m in model.members_} == {1.0}


def test_the_documentation_has_the_numbers_of_the_recipe():
    presets = [recipes.PORTFOLIOS[preset] for preset in ("fast", "default", "best")]

    def members(portfolio):
        return sum(recipe.n_members for recipe in portfolio if not recipe.codes)

    few, many = ([members(sizes[size]) for sizes in presets] for size in (0, 1))
    (fast, epochs, best), (fast_many, epochs_many, best_many) = (
        [sizes[size][0].epochs for sizes in presets] for size in (0, 1)
    )
    text = " ".join(TabularClassifier.__doc__.split())
    from_many = f"from {recipes.MANY_ROWS:,} rows on"
    assert "{}, {} or {} members, ".format(*few) + from_many + " {}, {} or {}.".format(*many) in text
    assert best == epochs
    assert f'None: {epochs}, of "fast" {fast}; {from_many} {epochs_many}, of "fast" {fast_many}, ' in text
    assert f'of "best" {best_many}; fewer' in text
    page = (Path(__file__).parents[2] / "docs" / "guides" / "tables.md").read_text(encoding="utf-8")
    for preset, *numbers in zip(("fast", "default", "best"), few, many, strict=True):
        assert f'| `"{preset}"` | {numbers[0]} | {numbers[1]} |' in page
