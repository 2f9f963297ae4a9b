"""What a fit takes of the memory: the data once, θ about seven times, the activations of a batch."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="this system does not tell the peak of a process's memory")

PROGRAM = """
import resource, sys
import numpy as np
import chainrule as cr
from chainrule.training import Training, train

n_rows, n_inputs, units = (int(argument) for argument in sys.argv[1:])
net = cr.Network(n_inputs, [units, units], likelihood=cr.likelihoods.Normal())
theta = net.initial_parameters(0)
small = np.zeros((600, n_inputs), dtype=np.float32)
tiny = cr.Network(n_inputs, [2], likelihood=cr.likelihoods.Normal())
# so that everything is imported
train(tiny, tiny.initial_parameters(0), small, small[:, 0], settings=Training(epochs=1))
X = np.ones((n_rows, n_inputs), dtype=np.float32)
y = np.ones(n_rows, dtype=np.float32)
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
train(net, theta, X, y, settings=Training(epochs=1, batch_size=256))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(after - before, X.nbytes, theta.nbytes)
"""


def growth(n_rows, n_inputs, units):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(n_rows), str(n_inputs), str(units)],
        check=True,
        capture_output=True,
        text=True,
    )
    return (int(word) for word in run.stdout.split())


def test_the_rows_are_not_copied():
    more, data, _ = growth(1_500_000, 20, 4)
    # 8 bytes a row for their order and some for losses; a copy of the rows would be all of it
    assert more < 0.35 * data


def test_theta_is_there_seven_times():
    more, _, theta = growth(600, 1000, 2000)
    # beside the caller's own: one, two moments, the best one, both passes' panels, part of the gradient
    assert more < 6.8 * theta
