import math

import numpy as np
import pytest

from chainrule.errors import InputError
from chainrule.optimization import LBFGS, SGD, Cosine
from chainrule.training import Training


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("optimizer", value) for value in ("adam", None, SGD)],
        *[("schedule", value) for value in ("cosine", None, 1.0)],
        *[("penalty", value) for value in (0.1, None)],
        *[(field, value) for field in ("epochs", "batch_size") for value in (0, -1, 2.5, None, "10", True)],
        *[(field, value) for field in ("patience", "n_threads") for value in (0, -1, 2.5, "10", False)],
        *[(field, v) for field in ("clip_norm", "time_limit") for v in (0, -1.0, math.nan, "1", True)],
        *[(field, value) for field in ("decay_biases", "shuffle") for value in (0, 1, None, "yes")],
        *[("tolerance", value) for value in (-1e-9, math.inf, math.nan, None)],
        *[("monitor", value) for value in (None, 1)],
        *[("seed", value) for value in (-1, 2**63, 1.0, None, True)],
        *[("engine", value) for value in ("torch", None)],
        *[("verbose", value) for value in (-1, 2, None)],
    ],
)
def test_a_setting_that_is_not_allowed_is_named_with_what_is(field, value):
    with pytest.raises(InputError, match=rf"^Training\({field}=.*\): it must be "):
        Training(**{field: value})


@pytest.mark.parametrize("given", [{"schedule": Cosine()}, {"clip_norm": 1.0}])
def test_lbfgs_refuses_what_it_would_ignore(given):
    (field,) = given
    with pytest.raises(InputError, match=rf"Training\({field}=.*with LBFGS"):
        Training(optimizer=LBFGS(), **given)


def test_numbers_of_numpy_are_numbers():
    settings = Training(
        epochs=np.int64(3),
        tolerance=np.float32(0.1),
        seed=np.uint8(7),
        clip_norm=np.float64(1),
        shuffle=np.True_,
    )
    assert (settings.epochs, settings.seed) == (3, 7)
