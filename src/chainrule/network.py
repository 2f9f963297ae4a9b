"""Network: an architecture, a likelihood and the engines that compute them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.architecture import Architecture, Dense, Layer
from chainrule.architecture.initialization import initial_parameters
from chainrule.engine import Engine, RowPredictor, make_engine
from chainrule.errors import InputError, rows_with
from chainrule.likelihoods import Likelihood
from chainrule.optimization import Penalty

Array = NDArray[np.floating[Any]]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class Network:
    """A multi-layer perceptron with a likelihood on top: x → h_1 → … → s → ŷ (N4).

    A network holds no parameters: θ is one flat array that the caller keeps and passes in.

    Parameters
    ----------
    n_inputs : int
        d_0, the length of a row.
    hidden : sequence of Dense, Dropout, Scale or int, default ()
        The hidden layers from the input upwards; a number is a `Dense` of so many ReLU units. Without
        any, the network is the linear model.
    likelihood : Likelihood
        What is between the logits and y.

    Raises
    ------
    InputError
        When a layer is unknown or a size is not positive.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> net = cr.Network(n_inputs=2, hidden=[cr.Dense(8, "tanh")], likelihood=cr.likelihoods.Normal())
    >>> net.n_parameters
    33
    >>> theta = net.initial_parameters(seed=0, dtype="float64")
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, -1.0])
    >>> loss, gradient = net.loss_and_gradient(theta, X, y)
    >>> gradient.shape
    (33,)
    """

    def __init__(self, n_inputs: int, hidden: Sequence[Layer | int] = (), *, likelihood: Likelihood) -> None:
        if not isinstance(likelihood, Likelihood):
            raise InputError(
                f"likelihood={likelihood!r} must be one of chainrule.likelihoods, such as Normal()."
            )
        layers = tuple(
            Dense(int(layer)) if isinstance(layer, int | np.integer) else layer for layer in hidden
        )
        self.architecture = Architecture(
            n_inputs, layers, likelihood.n_logits, likelihood.top_bias, likelihood.n_scales
        )
        self.likelihood = likelihood
        self._engines: dict[tuple[str, int | None], Engine] = {}

    @property
    def n_inputs(self) -> int:
        """d_0."""
        return self.architecture.n_inputs

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The hidden layers, from the input upwards."""
        return self.architecture.hidden

    @property
    def n_logits(self) -> int:
        """d_L."""
        return self.architecture.n_logits

    @property
    def n_parameters(self) -> int:
        """The length of θ."""
        return self.architecture.n_parameters

    def __repr__(self) -> str:
        return (
            f"Network(n_inputs={self.n_inputs}, hidden={list(self.hidden)}, likelihood={self.likelihood!r})"
        )

    def _repr_html_(self) -> str:
        """Return the layers, their shapes and parameter counts, for a notebook."""
        # It looks up: drawing belongs to inspection, and is there when it is asked for.
        from chainrule.inspection.representation import network_html  # noqa: PLC0415

        return network_html(self)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_engines": {},
        }  # engines hold native memory and are made again when asked for

    def engine(self, name: str = "native", n_threads: int | None = None) -> Engine:
        """Return an engine bound to this network.

        Parameters
        ----------
        name : {"native", "reference"}, default "native"
            Which text of the mathematics computes. There is no silent change from one to the other.
        n_threads : int, optional
            How many threads the native engine may use; None for the cores that the process may use.
        """
        key = (name, n_threads)
        if key not in self._engines:
            self._engines[key] = make_engine(name, self.architecture, self.likelihood, n_threads)
        return self._engines[key]

    def initial_parameters(self, seed: int | np.random.Generator = 0, dtype: str = "float32") -> NDArray[Any]:
        """Return a new θ (n_parameters,): random weights sized for each activation, biases of zero.

        Learned numbers of the likelihood begin where it says (`Likelihood.initial_scales`).

        Parameters
        ----------
        seed : int or numpy.random.Generator, default 0
            Where the random numbers come from.
        dtype : {"float32", "float64"}, default "float32"
            The dtype of θ, and so of every computation with it.
        """
        if np.dtype(dtype) not in DTYPES:
            raise InputError(f"dtype={dtype!r}: choose 'float32' or 'float64'.")
        theta = initial_parameters(self.architecture, seed, dtype)
        self.architecture.scales(theta)[...] = self.likelihood.initial_scales()
        return theta

    def unpack(self, theta: Array) -> list[tuple[Array, Array | None]]:
        """Return views (weight, bias) of θ for each dense layer in order (N3).

        The weight is (d_l, d_{l-1}), the bias (d_l,), or None for a layer that has none. Writing into a
        view changes θ.
        """
        return self.architecture.unpack(self._checked_theta(theta))

    def input_scale(self, theta: Array) -> Array:
        """Return s (n_inputs,) of the first layer, a `Scale` (N27); ones where there is none."""
        a = self.architecture.of_scale(self._checked_theta(theta))
        return 1 + self.architecture.scale_rate * a if len(a) else np.ones(self.n_inputs, theta.dtype)

    def folded(self, theta: Array) -> "tuple[Network, Array]":
        """Return the same function without a `Scale`: the network of the other layers, and its θ (N27).

        The scale is multiplied into the weights of the layer above it. Where there is none, they are this
        network and this θ.

        Parameters
        ----------
        theta : (n_parameters,), float32 or float64
            θ.

        Examples
        --------
        >>> import numpy as np, chainrule as cr
        >>> net = cr.Network(2, [cr.Scale(), cr.Dense(3, "tanh")], likelihood=cr.likelihoods.Normal())
        >>> theta = net.initial_parameters(seed=0, dtype="float64")
        >>> theta[:2] = 0.5, -0.1
        >>> plain, folded = net.folded(theta)
        >>> plain.hidden, net.n_parameters - plain.n_parameters
        ((Dense(units=3, activation='tanh', bias=True),), 2)
        >>> X = np.array([[1.0, 2.0]])
        >>> bool(np.isclose(plain.forward(folded, X), net.forward(theta, X)))
        True
        """
        theta = self._checked_theta(theta)
        if not self.architecture.scale_rate:
            return self, theta
        plain = Network(self.n_inputs, self.hidden[1:], likelihood=self.likelihood)
        folded = theta[self.n_inputs :].copy()
        plain.unpack(folded)[0][0][...] = self.architecture.folded(theta)[0][0]
        return plain, folded

    def scales(self, theta: Array) -> Array:
        """Return a view (n_scales,) of the likelihood's learned numbers, the end of θ (N14)."""
        return self.architecture.scales(self._checked_theta(theta))

    def forward(
        self, theta: Array, X: ArrayLike, engine: str = "native", *, offset: ArrayLike | None = None
    ) -> Array:
        """Return the logits s (n_rows, n_logits) of each row: N1 to N4.

        Parameters
        ----------
        theta : (n_parameters,), float32 or float64
            θ.
        X : array_like, (n_rows, n_inputs)
            The rows, finite numbers; floats must have the dtype of θ.
        engine : {"native", "reference"}, default "native"
            Which engine computes.
        offset : array_like, (n_rows,), (n_rows, n_locations) or (n_rows, n_logits), optional
            What is added to the logits, such as the log of an exposure. The first two move the logits of the
            locations, and leave those of scales as they are (`Likelihood.n_locations`).
        """
        theta = self._checked_theta(theta)
        rows = self._checked_rows(theta, X)
        moved = self._checked_offset(offset, len(rows), theta.dtype)
        logits = self.engine(engine).forward(theta, rows)
        return logits if moved is None else logits + moved

    def predict(
        self, theta: Array, X: ArrayLike, engine: str = "native", *, offset: ArrayLike | None = None
    ) -> Array:
        """Return ŷ = E[y given s] for each row; for classes, probabilities. ``offset``: see `forward`."""
        logits = self.forward(theta, X, engine, offset=offset)
        return self.likelihood.mean(logits, self.architecture.scales(theta))

    def predictor(self, theta: Array, engine: str = "native") -> RowPredictor:
        """Return a function that predicts one row at a time, in about a microsecond.

        It keeps a copy of θ in the engine's own layout, and checks nothing but the length of the row.

        Parameters
        ----------
        theta : (n_parameters,), float32 or float64
            θ.
        engine : {"native", "reference"}, default "native"
            Which engine computes.

        Returns
        -------
        callable
            From a row (n_inputs,), in the dtype of θ and contiguous, to ŷ: (n_logits,). The native
            engine's array is the same one in each call, so copy what you keep; one thread at a time may
            call.

        Examples
        --------
        >>> import numpy as np, chainrule as cr
        >>> net = cr.Network(2, likelihood=cr.likelihoods.Bernoulli())
        >>> predict = net.predictor(np.zeros(3))
        >>> predict(np.array([1.0, 2.0]))
        array([0.5])
        """
        return self.engine(engine).predictor(self._checked_theta(theta))

    def loss(
        self,
        theta: Array,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        engine: str = "native",
        *,
        offset: ArrayLike | None = None,
    ) -> float:
        """Return the weighted mean over the rows of the loss, without dropout or penalty."""
        theta, X, y, sample_weight, moved = self._checked(theta, X, y, sample_weight, offset)
        return self.engine(engine).loss(theta, X, y, sample_weight, moved)

    def loss_and_gradient(
        self,
        theta: Array,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        dropout_seed: int | None = None,
        engine: str = "native",
        penalty: Penalty = Penalty(),
        *,
        offset: ArrayLike | None = None,
    ) -> tuple[float, Array]:
        """Return the loss and its gradient ∂loss/∂θ: N1 to N12.

        Parameters
        ----------
        theta : (n_parameters,), float32 or float64
            θ.
        X : array_like, (n_rows, n_inputs)
            The rows, finite numbers; floats must have the dtype of θ.
        y : array_like, (n_rows,) or (n_rows, n_outputs)
            The target, in the likelihood's domain; class numbers (n_rows,) for `Categorical`.
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0 with a sum above 0; the loss is the weighted mean.
        dropout_seed : int, optional
            The seed of the dropout masks; None for no dropout.
        engine : {"native", "reference"}, default "native"
            Which engine computes.
        penalty : Penalty, default Penalty()
            What is added to the loss, and its gradient to the gradient.
        offset : array_like, optional
            What is added to the logits, as in `forward`.

        Returns
        -------
        loss : float
            It belongs to the gradient, always; ±inf where it is too large, never NaN.
        gradient : (n_parameters,)
            In the dtype of θ.
        """
        theta, X, y, sample_weight, moved = self._checked(theta, X, y, sample_weight, offset)
        return self.engine(engine).loss_and_gradient(
            theta, X, y, sample_weight, penalty, dropout_seed, offset=moved
        )

    def loss_and_input_gradient(
        self,
        theta: Array,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        dropout_seed: int | None = None,
        engine: str = "native",
        penalty: Penalty = Penalty(),
        *,
        offset: ArrayLike | None = None,
    ) -> tuple[float, Array]:
        """Return the loss and ∂loss/∂X (n_rows, n_inputs): N10 carried on to l = 0.

        The arguments are those of `loss_and_gradient`, and so is the loss.
        """
        theta, X, y, sample_weight, moved = self._checked(theta, X, y, sample_weight, offset)
        G = np.empty_like(X)
        loss, _ = self.engine(engine).loss_and_gradient(
            theta, X, y, sample_weight, penalty, dropout_seed, G, offset=moved
        )
        return loss, G

    def _checked_theta(self, theta: Array) -> Array:
        if (
            not isinstance(theta, np.ndarray)
            or theta.dtype not in DTYPES
            or theta.shape != (self.n_parameters,)
        ):
            given = f"{theta.dtype} {theta.shape}" if isinstance(theta, np.ndarray) else type(theta).__name__
            raise InputError(
                f"theta must be a float32 or float64 array of shape ({self.n_parameters},), not {given}; "
                "initial_parameters() makes one."
            )
        return np.ascontiguousarray(theta)

    def _checked_rows(self, theta: Array, X: ArrayLike) -> Array:
        rows = np.asarray(X)
        if rows.dtype.kind in "iub":
            rows = rows.astype(theta.dtype)
        if rows.dtype != theta.dtype:
            raise InputError(
                f"X has dtype {rows.dtype} and theta {theta.dtype}: "
                "convert one of them, X.astype(theta.dtype)."
            )
        if rows.ndim != 2 or rows.shape[1] != self.n_inputs:
            raise InputError(f"X must have the shape (n_rows, {self.n_inputs}), not {rows.shape}.")
        if len(rows) == 0:
            raise InputError("X has no rows.")
        require_finite("X", rows)
        return np.ascontiguousarray(rows)

    def _checked_offset(self, offset: ArrayLike | None, n_rows: int, dtype: np.dtype[Any]) -> Array | None:
        """Return the offset as (n_rows, n_logits), with 0 for the logits that it does not move."""
        if offset is None:
            return None
        try:
            given = np.asarray(offset, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"offset must hold finite numbers: {error}.") from None
        n_locations = self.likelihood.n_locations
        widths = {1: n_locations, n_locations: n_locations, self.n_logits: self.n_logits}
        columns = given[:, None] if given.ndim == 1 else given
        if columns.ndim != 2 or len(columns) != n_rows or columns.shape[1] not in widths:
            allowed = " or ".join([f"({n_rows},)", *(f"({n_rows}, {width})" for width in sorted(widths))])
            raise InputError(f"offset must have the shape {allowed}, not {given.shape}.")
        bad = np.flatnonzero(~np.isfinite(columns).all(axis=1))
        if len(bad):
            raise InputError(f"offset must hold finite numbers; {rows_with('something else', bad)}.")
        full = np.zeros((n_rows, self.n_logits), dtype=dtype)
        full[:, : widths[columns.shape[1]]] = columns
        return full

    def _checked(
        self,
        theta: Array,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        offset: ArrayLike | None = None,
    ) -> tuple[Array, Array, NDArray[Any], Array | None, Array | None]:
        theta = self._checked_theta(theta)
        rows = self._checked_rows(theta, X)
        target = self.likelihood.prepare(y, len(rows))
        weight = checked_weight(sample_weight, len(rows), theta.dtype)
        return theta, rows, target, weight, self._checked_offset(offset, len(rows), theta.dtype)


def require_finite(what: str, values: Array) -> None:
    """Raise unless every entry is finite; say where the first one is that is not."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is looked at below
        if np.isfinite(values.sum(dtype=np.float64)):  # one pass without a temporary: finite if all are
            return
    bad = ~np.isfinite(values)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{what} has {int(bad.sum())} entries that are NaN or infinite (the first at {place}); "
            "a Network takes finite numbers. TabularClassifier and TabularRegressor fill in missing ones."
        )


def checked_weight(sample_weight: ArrayLike | None, n_rows: int, dtype: np.dtype[Any]) -> Array | None:
    """Return the weights as an array (n_rows,) of the dtype, or None; raise if they are unusable (N9)."""
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight must hold finite numbers ≥ 0: {error}.") from None
    if weight.shape != (n_rows,):
        raise InputError(f"sample_weight must have the shape ({n_rows},), not {weight.shape}.")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError("sample_weight must hold finite numbers ≥ 0.")
    most = weight.max(initial=0.0)
    if not most > 0:
        raise InputError("sample_weight is zero for every row (it sums to 0): at least one row must count.")
    if not 1e-20 < most < 1e20:  # only ratios count, and the sum must fit the dtype
        weight = weight / most
    return np.ascontiguousarray(weight, dtype=dtype)
