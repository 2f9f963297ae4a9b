import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import InputError
from chainrule.training.batches import Data, batch_totals, epoch_order, split_validation


@given(n_rows=st.integers(1, 300), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
def test_an_order_has_each_row_once_and_depends_on_seed_and_epoch(n_rows, seed, epoch):
    order = epoch_order(n_rows, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(n_rows))
    assert np.array_equal(order, epoch_order(n_rows, seed, epoch))


def test_orders_of_other_seeds_and_epochs_are_others():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400


@given(
    weights=st.none() | st.lists(st.floats(0.125, 8, width=16), min_size=1, max_size=40),
    batch_size=st.integers(1, 50),
)
def test_batch_totals_are_the_sums_of_the_weights(weights, batch_size):
    n_rows = 40 if weights is None else len(weights)
    order = epoch_order(n_rows, 0, 0)
    totals = batch_totals(None if weights is None else np.array(weights, dtype=np.float32), order, batch_size)
    counts = [1.0 if weights is None else weights[row] for row in order]
    expected = [sum(counts[k : k + batch_size]) for k in range(0, n_rows, batch_size)]
    assert totals.tolist() == expected  # exact: they are sums of small multiples of a power of 2


def test_rows_of_weight_zero_are_taken_out():
    X, y = np.arange(8.0).reshape(4, 2), np.arange(4.0)[:, None]
    data = Data(X, y, np.array([1.0, 0.0, 2.0, 0.0])).that_count()
    assert np.array_equal(data.X, X[[0, 2]])
    assert np.array_equal(data.y, y[[0, 2]])
    assert data.weight.tolist() == [1.0, 2.0]
    for whole in (Data(X, y, None), Data(X, y, np.ones(4))):
        assert whole.that_count() is whole


fractions = st.floats(0.001, 0.999)
seeds = st.integers(0, 1000)


@given(n_rows=st.integers(2, 500), fraction=fractions, seed=seeds)
def test_a_split_has_each_row_on_one_side(n_rows, fraction, seed):
    train_rows, validation_rows = split_validation(n_rows, fraction, seed)
    assert sorted([*train_rows, *validation_rows]) == list(range(n_rows))
    assert len(train_rows) >= 1
    assert len(validation_rows) == min(max(round(fraction * n_rows), 1), n_rows - 1)
    for rows in (train_rows, validation_rows):
        assert np.array_equal(rows, np.sort(rows))
    again = split_validation(n_rows, fraction, seed)
    assert np.array_equal(validation_rows, again[1])


@given(classes=st.lists(st.sampled_from("abcde"), min_size=2, max_size=200), fraction=fractions, seed=seeds)
def test_a_stratified_split_keeps_each_class_in_training(classes, fraction, seed):
    classes = np.array(classes)
    train_rows, validation_rows = split_validation(len(classes), fraction, seed, stratify=classes)
    assert sorted([*train_rows, *validation_rows]) == list(range(len(classes)))
    assert len(train_rows) >= 1
    assert len(validation_rows) >= 1
    for name in "abcde":
        n_rows = (classes == name).sum()
        if n_rows >= 2:
            assert (classes[train_rows] == name).any()


@given(sizes=st.lists(st.integers(20, 120), min_size=1, max_size=6), fraction=st.floats(0.1, 0.9), seed=seeds)
def test_a_stratified_split_gives_each_class_its_share(sizes, fraction, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    _, validation_rows = split_validation(len(classes), fraction, seed, stratify=classes)
    assert len(validation_rows) == round(fraction * len(classes))
    counts = np.bincount(classes[validation_rows], minlength=len(sizes))
    assert (np.abs(counts - fraction * np.array(sizes)) <= 1.5).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("sizes", "fraction", "in_validation"),
    [
        # nearest to the share of each: 0.2, 0.2, 0.2 and 90 rows
        ([2, 2, 2, 900], 0.1, [0, 0, 0, 91]),
        ([4, 4, 392], 0.5, [2, 2, 196]),
        # one row of each class stays, although 1.8 rows would be the share of the small ones
        ([2, 2, 2, 94], 0.9, [1, 1, 1, 87]),
        # no class of one row goes to the validation while another can give one
        ([1, 1, 1, 2], 0.6, [0, 0, 0, 1]),
    ],
)
def test_the_rows_that_each_class_gives(sizes, fraction, in_validation, seed):
    classes = np.repeat(np.arange(len(sizes)), sizes)
    _, validation_rows = split_validation(len(classes), fraction, seed, stratify=classes)
    assert np.bincount(classes[validation_rows], minlength=len(sizes)).tolist() == in_validation


def test_rows_of_a_split_are_drawn_and_not_the_first_ones():
    counts = np.zeros(20)
    for seed in range(400):
        counts[split_validation(20, 0.25, seed, stratify=np.arange(20) % 2)[1]] += 1
    assert counts.sum() == 400 * 5
    assert (np.abs(counts - 100) < 5 * np.sqrt(400 * 0.25 * 0.75)).all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"n_rows": 1, "fraction": 0.5}, "n_rows=1: .* at least 2"),
        ({"n_rows": 10, "fraction": 0.0}, r"fraction=0\.0: .* above 0 and below 1"),
        ({"n_rows": 10, "fraction": 1.0}, r"fraction=1\.0: .* above 0 and below 1"),
        ({"n_rows": 10, "fraction": float("nan")}, "fraction=nan: .* above 0 and below 1"),
        (
            {"n_rows": 10, "fraction": 0.5, "stratify": [1, 2]},
            r"stratify must have the shape \(10,\), not \(2,\)",
        ),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(given, text):
    with pytest.raises(InputError, match=text):
        split_validation(seed=0, **given)
