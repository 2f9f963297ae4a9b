"""train(): from rows and a starting θ to the best θ and the history."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.engine import Descent
from chainrule.errors import InputError
from chainrule.network import Network, require_finite
from chainrule.optimization import LBFGS, Optimizer
from chainrule.training.batches import Array, Data, batch_totals, epoch_order
from chainrule.training.history import StoppedBy
from chainrule.training.metrics import Metric, checked_metrics
from chainrule.training.planning import planned_steps
from chainrule.training.run import Callback, Run, TrainingResult
from chainrule.training.settings import Training
from chainrule.training.whole_data import descend_by_lbfgs


def train(
    network: Network,
    theta: Array,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    *,
    validation: Sequence[Any] | None = None,
    settings: Training = Training(),  # noqa: B008 (frozen)
    metrics: Iterable[Metric | str] = (),
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Fit θ to rows: descend (N13) until the epochs are done, or until something ends it before.

    With validation rows, the θ that is returned is the one after the epoch that was best by
    ``settings.monitor``; without them it is the last one. Ctrl-C ends the training and returns that θ
    too: no exception comes out.

    Parameters
    ----------
    network : Network
        What is trained.
    theta : (n_parameters,), float32 or float64
        The start, such as ``network.initial_parameters(seed)``. It is not changed.
    X : array_like, (n_rows, n_inputs)
        The training rows, finite numbers; floats must have the dtype of θ.
    y : array_like, (n_rows,) or (n_rows, n_columns)
        The target, in the likelihood's domain.
    sample_weight : array_like, (n_rows,), optional
        Weights ≥ 0. A row of weight 0 counts for nothing, as if it were not there.
    offset : array_like, optional
        What is added to the logits of each row, as in `Network.forward`.
    validation : tuple (X, y), (X, y, sample_weight) or (X, y, sample_weight, offset), optional
        Rows that are looked at after each epoch and not learned from.
    settings : Training, default Training()
        How to train.
    metrics : iterable of Metric or str, optional
        What else to compute after each epoch, for the training and the validation rows: metrics, or
        names out of "accuracy", "error", "log_loss", "auc", "rmse", "mae" and "r2".
    callbacks : sequence of callable, optional
        Each is called with an `EpochReport` after each epoch; one that returns True ends the training.

    Returns
    -------
    TrainingResult
        θ, the history, why it ended, and which engine ran on how many threads.

    Raises
    ------
    InputError
        When something that was given cannot be used; nothing has been computed then.
    DivergenceError
        When the loss stopped being finite; it says the likely cause and what to change.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.training import Training, train
    >>> X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> network = cr.Network(n_inputs=1, hidden=[cr.Dense(16, "tanh")], likelihood=cr.likelihoods.Normal())
    >>> settings = Training(optimizer=cr.optimization.Adam(0.01), epochs=50, batch_size=16)
    >>> result = train(network, network.initial_parameters(seed=0), X, np.sin(3 * X[:, 0]), settings=settings)
    >>> result.stopped_by
    'epochs'
    >>> first, *_, last = result.history.columns()["train_loss"]
    >>> bool(last < first)
    True
    """
    if not isinstance(settings, Training):
        raise InputError(f"settings={settings!r} must be a Training, such as Training(epochs=20).")
    wanted = checked_metrics(metrics)
    monitors = ("loss", *(metric.name for metric in wanted))
    if settings.monitor not in monitors:
        raise InputError(
            f"Training(monitor={settings.monitor!r}) is not computed; monitor one of {', '.join(monitors)}, "
            "or name it in metrics as well."
        )
    if isinstance(settings.optimizer, LBFGS) and any(layer.dropout for layer in network.architecture.dense):
        raise InputError(
            "LBFGS needs a loss without randomness, but the network has Dropout: take it out, or use Adam."
        )
    data = _checked_data(network, theta, X, y, sample_weight, offset)
    require_finite("theta", theta)
    run = Run(
        network=network,
        theta=theta,
        data=data,
        validation=_checked_validation(network, theta, validation),
        settings=settings,
        metrics=wanted,
        callbacks=callbacks,
    )
    # What overflows shows in the loss, and is reported there.
    with run.progress, np.errstate(over="ignore", invalid="ignore"):
        try:
            stopped_by = _descend(run)
        except KeyboardInterrupt:
            stopped_by = "interrupt"
        result = run.result(stopped_by)
        run.progress.ended(result.history)
    return result


def _descend(run: Run) -> StoppedBy:
    optimizer = run.settings.optimizer
    if isinstance(optimizer, LBFGS):
        return descend_by_lbfgs(run, optimizer)
    return _descend_by_batches(run, optimizer)


def _descend_by_batches(run: Run, optimizer: Optimizer) -> StoppedBy:
    """Take the steps of all epochs from ``run.theta``, which is changed, and return why it ended."""
    settings, (X, y, weight, offset) = run.settings, run.data
    batch_size = settings.batch_size
    n_steps = math.ceil(len(X) / batch_size)  # in one epoch
    n_planned, n_whole = planned_steps(run, optimizer, n_steps), settings.epochs * n_steps
    run.plan(None if n_planned == n_whole else n_planned, math.ceil(n_planned / n_steps))
    descent = Descent(
        run.theta,
        optimizer,
        settings.penalty,
        settings.clip_norm,
        settings.decay_biases,
        dropout_seed=settings.seed,
    )
    for first in range(0, n_planned, n_steps):
        epoch, n_here = first // n_steps, min(n_steps, n_planned - first)
        order = epoch_order(len(X), settings.seed, epoch) if settings.shuffle else np.arange(len(X))
        order = order[: n_here * batch_size]
        rates = optimizer.learning_rate * settings.schedule.factors(first, first + n_here, n_planned)
        losses = np.empty(n_here)
        done = 0
        while done < n_here:
            over = run.limit_reached
            if done and over is not None:
                return over
            stop = done + min(n_here - done, run.steps_left)
            rows, its_rates = order[done * batch_size : stop * batch_size], rates[done:stop]
            taken = run.engine.run_steps(descent, X, y, weight, rows, batch_size, its_rates, offset=offset)
            run.history.n_steps += len(taken)
            losses[done : done + len(taken)] = taken
            done += len(taken)
            if not math.isfinite(taken[-1]):
                when = f"in epoch {epoch + 1}, at step {done} of {n_here}"
                raise run.diverged(float(taken[-1]), when, float(rates[done - 1]))
            run.progress.moved(epoch + done / n_steps)
        train_loss = np.average(losses, weights=batch_totals(weight, order, batch_size))
        stopped_by = run.end_of_epoch(float(train_loss), float(rates[-1]))
        if stopped_by is not None:
            return stopped_by
    if n_planned == n_whole:
        return "epochs"
    return "time" if settings.planned_steps is None else "steps"


def _checked_data(
    network: Network,
    theta: Array,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> Data:
    _, rows, target, weight, moved = network._checked(theta, X, y, sample_weight, offset)
    # y in the dtype that the engines compute in, once and not in each of their calls
    return Data(rows, np.ascontiguousarray(target, dtype=rows.dtype), weight, moved).that_count()


def _checked_validation(network: Network, theta: Array, validation: Sequence[Any] | None) -> Data | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3, 4):
        raise InputError(
            "validation must be a tuple (X, y), (X, y, sample_weight) or (X, y, sample_weight, offset)."
        )
    try:
        return _checked_data(network, theta, *validation)
    except InputError as error:
        raise InputError(f"The validation rows: {error}") from error
