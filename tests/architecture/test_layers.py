"""Layer specs and the layout of θ (N3)."""

import dataclasses

import numpy as np
import pytest

from chainrule import Dense, Dropout, InputError, Scale
from chainrule.architecture import Architecture


# N3
def test_theta_holds_weights_row_by_row_and_then_the_bias_layer_by_layer():
    architecture = Architecture(2, (Dense(3, "tanh"), Dense(2, "relu", bias=False)), 1)
    theta = np.arange(architecture.n_parameters, dtype=float)
    (w1, b1), (w2, b2), (w3, b3) = architecture.unpack(theta)
    assert w1.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert b1.tolist() == [6, 7, 8]
    assert w2.tolist() == [[9, 10, 11], [12, 13, 14]]
    assert b2 is None
    assert w3.tolist() == [[15, 16]]
    assert b3.tolist() == [17]
    assert architecture.n_parameters == 18
    assert np.flatnonzero(~architecture.weight_mask).tolist() == [6, 7, 8, 17]
    w2[1, 0] = -1
    assert theta[12] == -1


# N3 N27
def test_a_scale_stands_first_in_theta_and_nothing_shrinks_it():
    architecture = Architecture(2, (Scale(5), Dense(3, "tanh")), 1, n_scales=1)
    theta = np.arange(architecture.n_parameters, dtype=float)
    assert architecture.n_parameters == 2 + 9 + 4 + 1
    assert architecture.of_scale(theta).tolist() == [0, 1]
    (w1, b1), _ = architecture.unpack(theta)
    assert w1.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert b1.tolist() == [8, 9, 10]
    (w, b), rest = architecture.folded(theta)
    assert w.tolist() == [[2, 3 * 6], [4, 5 * 6], [6, 7 * 6]]  # s = (1, 6)
    assert b.tolist() == b1.tolist()
    assert rest[0].tolist() == [[11, 12, 13]]
    assert np.flatnonzero(architecture.weight_mask).tolist() == [*range(2, 8), *range(11, 14)]
    assert np.flatnonzero(architecture.shrinkable(biases=True)).tolist() == [*range(2, 15)]
    assert architecture.scale_rate == 5
    assert Architecture(2, (Dense(3),), 1).scale_rate == 0


def test_the_top_layer_may_have_no_bias():
    architecture = Architecture(4, (), 2, top_bias=False)
    assert architecture.n_parameters == 8
    assert architecture.unpack(np.zeros(8))[0][1] is None


def test_dropout_acts_on_the_input_of_the_layer_above():
    hidden = (Dropout(0.1), Dense(3), Dense(4), Dropout(0.5))
    assert [layer.dropout for layer in Architecture(2, hidden, 1).dense] == [0.1, 0.0, 0.5]


@pytest.mark.parametrize("integer", [int, np.int32, np.int64])
def test_three_billion_weights_have_a_layout(integer):
    """Places in θ beyond 2³¹ are right, whatever kind of integer the sizes are; nothing is allocated."""
    architecture = Architecture(integer(60_000), (Dense(integer(50_000)), Dense(integer(10))), integer(3))
    places = [(layer.weight_start, layer.weight_stop, layer.stop) for layer in architecture.dense]
    assert places == [
        (0, 3_000_000_000, 3_000_050_000),
        (3_000_050_000, 3_000_550_000, 3_000_550_010),
        (3_000_550_010, 3_000_550_040, 3_000_550_043),
    ]
    assert architecture.n_parameters == 3_000_550_043


def test_specs_are_frozen_and_equal_by_value():
    assert Dense(3, "tanh") == Dense(3, "tanh")
    assert Dense(3) != Dense(3, bias=False)
    assert Architecture(2, (Dense(3),), 1) == Architecture(2, (Dense(3),), 1)
    assert len({Dropout(0.5), Dropout(0.5), Dropout(0.25)}) == 2
    for spec, field in [(Dense(3), "units"), (Dropout(0.5), "rate"), (Architecture(2, (), 1), "n_inputs")]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "Dense(units=0): units must be a whole number of at least 1."),
        (lambda: Dense(2.5), "Dense(units=2.5): units must be a whole number of at least 1."),
        (lambda: Dense(True), "Dense(units=True): units must be a whole number of at least 1."),
        (lambda: Dropout(1.0), "Dropout(rate=1.0): the rate must be at least 0 and below 1."),
        (lambda: Dropout(-0.1), "Dropout(rate=-0.1): the rate must be at least 0 and below 1."),
        (lambda: Dropout(np.nan), "Dropout(rate=nan): the rate must be at least 0 and below 1."),
        (lambda: Dropout("half"), "Dropout(rate='half'): the rate must be at least 0 and below 1."),
        (lambda: Architecture(0, (), 1), "n_inputs=0: it must be a whole number of at least 1."),
        (lambda: Architecture(1.5, (), 1), "n_inputs=1.5: it must be a whole number of at least 1."),
        (
            lambda: Architecture(2, ("relu",), 1),
            "hidden has 'relu': each layer must be a Dense, a Dropout or a Scale.",
        ),
        (lambda: Scale(0), "Scale(rate=0): the rate must be a finite number above 0."),
        (lambda: Scale(np.nan), "Scale(rate=nan): the rate must be a finite number above 0."),
        (lambda: Scale(np.inf), "Scale(rate=inf): the rate must be a finite number above 0."),
        (lambda: Scale("fast"), "Scale(rate='fast'): the rate must be a finite number above 0."),
        (
            lambda: Architecture(2, (Dropout(0.1), Scale()), 1),
            "hidden has Scale(rate=6.0) above Dropout(rate=0.1): a Scale must be the first layer.",
        ),
        (
            lambda: Architecture(2, (Scale(), Scale()), 1),
            "hidden has Scale(rate=6.0) above Scale(rate=6.0): a Scale must be the first layer.",
        ),
        (
            lambda: Architecture(2, (Dropout(0.1), Dropout(0.2)), 1),
            "hidden has two Dropout layers in a row: write one with the rate of both.",
        ),
    ],
)
def test_what_makes_no_layer_is_an_error(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
