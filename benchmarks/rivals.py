"""The nets, and for each library how it trains one of them for an epoch and how it predicts with one.

Each library is imported by the functions that need it; one that is not installed takes no part. All do the
same work in float32: the rows are shuffled, each batch is one step of Adam, and the mean loss is returned.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.engine import Descent
from chainrule.optimization import Adam
from chainrule.training.batches import epoch_order

Array = NDArray[np.float32]
Epoch = Callable[[], float]  # trains for one epoch, returns the mean of the batches' losses
Predict = Callable[[Array], Any]  # from rows (n_rows, n_inputs) to logits (n_rows, n_logits)
Weights = Sequence[tuple[Array, Array]]  # of each layer (d_l, d_{l-1}) and (d_l,)
LEARNING_RATE = 1e-3


class Data(NamedTuple):
    """Random rows: X (n_rows, n_inputs), y (n_rows,) class numbers or float32 numbers."""

    X: Array
    y: NDArray[Any]


@dataclass(frozen=True)
class Net:
    """A net with ReLU, and the rows that it is trained on.

    Parameters
    ----------
    sizes : tuple of int
        d_0, …, d_L: inputs, hidden units, logits.
    batch : int
        Rows a step.
    kind : {"categorical", "normal"}
        The likelihood.
    n_rows : int
        Rows an epoch, a multiple of ``batch``: JAX's scan takes batches that are all alike.
    """

    sizes: tuple[int, ...]
    batch: int
    kind: Literal["categorical", "normal"]
    n_rows: int

    @property
    def name(self) -> str:
        """Such as "10-100-3"."""
        return "-".join(map(str, self.sizes))

    @property
    def flop(self) -> int:
        """Floating-point operations of the products of an epoch.

        Each weight is multiplied and added three times a row, but the input gradient of the first layer
        is needed by nobody.
        """
        weights = [above * below for below, above in itertools.pairwise(self.sizes)]
        return 2 * self.n_rows * (3 * sum(weights) - weights[0])

    def data(self) -> Data:
        """Return random rows; the target depends on them, so that there is something to learn."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.n_rows, self.sizes[0])).astype(np.float32)
        scores = X @ rng.normal(size=(self.sizes[0], self.sizes[-1])) / np.sqrt(self.sizes[0])
        if self.kind == "categorical":
            return Data(X, scores.argmax(axis=1))
        return Data(X, scores[:, 0].astype(np.float32))

    def network(self) -> cr.Network:
        """Return it as chainrule's Network."""
        likelihood = (
            cr.likelihoods.Categorical(self.sizes[-1])
            if self.kind == "categorical"
            else cr.likelihoods.Normal(self.sizes[-1])
        )
        return cr.Network(self.sizes[0], self.sizes[1:-1], likelihood=likelihood)


NETS = (
    Net((10, 100, 3), 200, "categorical", 20_000),
    Net((16, 64, 64, 1), 128, "normal", 19_968),
    Net((54, 256, 256, 256, 7), 256, "categorical", 19_968),
    Net((784, 1024, 1024, 10), 512, "categorical", 6_144),
)


def chainrule_epochs(net: Net, data: Data, n_threads: int | None = None) -> Epoch:
    """Return what trains by the native engine as chainrule's own training loop does."""
    network = net.network()
    engine = network.engine("native", n_threads)
    descent = Descent(network.initial_parameters(seed=0), Adam(LEARNING_RATE))
    y = np.ascontiguousarray(network.likelihood.prepare(data.y, net.n_rows), dtype=np.float32)
    n_steps = net.n_rows // net.batch
    rates = np.full(n_steps, LEARNING_RATE)
    numbers = itertools.count()

    def epoch() -> float:
        order = epoch_order(net.n_rows, 0, next(numbers))
        losses = np.empty(n_steps)
        done = 0
        while done < n_steps:
            taken = engine.run_steps(
                descent, data.X, y, None, order[done * net.batch :], net.batch, rates[done:]
            )
            losses[done : done + len(taken)] = taken
            done += len(taken)
        return float(losses.mean())

    return epoch


def sklearn_epochs(net: Net, data: Data) -> Epoch:
    """Return what trains by scikit-learn's MLP: ``partial_fit`` is one epoch."""
    networks = import_module("sklearn.neural_network")
    classes = {"classes": np.arange(net.sizes[-1])} if net.kind == "categorical" else {}
    model = (networks.MLPClassifier if classes else networks.MLPRegressor)(
        hidden_layer_sizes=net.sizes[1:-1],
        batch_size=net.batch,
        learning_rate_init=LEARNING_RATE,
        alpha=0.0,
        random_state=0,
    )
    return lambda: float(model.partial_fit(data.X, data.y, **classes).loss_)


def torch_model(net: Net) -> Any:
    """Return the net as a module of PyTorch."""
    nn = import_module("torch.nn")
    layers = [
        module
        for below, above in itertools.pairwise(net.sizes)
        for module in (nn.Linear(below, above), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1])


def torch_epochs(net: Net, data: Data) -> Epoch:
    """Return what trains by PyTorch's usual loop, eagerly."""
    torch = import_module("torch")
    torch.manual_seed(0)
    model = torch_model(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    # PyTorch's squared error has no ½, which changes the loss and with Adam not the steps
    criterion, factor = (
        (torch.nn.CrossEntropyLoss(), 1.0) if net.kind == "categorical" else (torch.nn.MSELoss(), 0.5)
    )
    X = torch.from_numpy(data.X)
    y = torch.from_numpy(data.y if net.kind == "categorical" else data.y[:, None])

    def epoch() -> float:
        losses = []
        for rows in torch.randperm(net.n_rows).split(net.batch):
            optimizer.zero_grad()
            loss = criterion(model(X.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return factor * float(torch.stack(losses).mean())

    return epoch


def jax_epochs(net: Net, data: Data) -> Epoch:
    """Return what trains by JAX: one compiled call an epoch, a scan over its batches."""
    jax = import_module("jax")
    jnp, tree = jax.numpy, jax.tree
    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8

    def loss(parameters: Any, X: Any, y: Any) -> Any:
        for weight, bias in parameters[:-1]:
            X = jax.nn.relu(X @ weight + bias)
        weight, bias = parameters[-1]
        logits = X @ weight + bias
        if net.kind == "categorical":
            chosen = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
            return (jax.nn.logsumexp(logits, axis=1) - chosen).mean()
        return 0.5 * ((logits[:, 0] - y) ** 2).mean()

    def run_epoch(state: Any, X: Any, y: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            parameters, first, second, t = state
            value, gradient = jax.value_and_grad(loss)(parameters, X[rows], y[rows])
            t = t + 1.0
            rate = LEARNING_RATE * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            first = tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, first, gradient)
            second = tree.map(lambda u, g: beta_2 * u + (1 - beta_2) * g * g, second, gradient)
            parameters = tree.map(
                lambda p, m, u: p - rate * m / (jnp.sqrt(u) + epsilon), parameters, first, second
            )
            return (parameters, first, second, t), value

        state, losses = jax.lax.scan(step, state, order)
        return state, losses.mean()

    compiled = jax.jit(run_epoch, donate_argnums=0)
    network = net.network()
    parameters = [
        (jnp.array(weight.T), jnp.array(bias))
        for weight, bias in network.unpack(network.initial_parameters(seed=0))
    ]
    state = (
        parameters,
        tree.map(jnp.zeros_like, parameters),
        tree.map(jnp.zeros_like, parameters),
        jnp.float32(0),
    )
    X, y = jnp.asarray(data.X), jnp.asarray(data.y)
    rng = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal state
        # NumPy shuffles several times as fast as JAX does on a CPU
        order = rng.permutation(net.n_rows).astype(np.int32).reshape(-1, net.batch)
        state, value = compiled(state, X, y, order)
        return float(value)

    return epoch


def chainrule_predict(net: Net, theta: Array) -> Predict:
    """Return `Network.forward`, checks included."""
    network = net.network()
    return lambda X: network.forward(theta, X)


def sklearn_predict(net: Net, weights: Weights) -> Predict:
    """Return scikit-learn's ``MLPRegressor.predict``."""
    model: Any = import_module("sklearn.neural_network").MLPRegressor(hidden_layer_sizes=net.sizes[1:-1])
    data = net.data()
    model.partial_fit(data.X[:2], data.y[:2])  # an estimator predicts only after a fit
    model.coefs_ = [np.ascontiguousarray(weight.T) for weight, _ in weights]
    model.intercepts_ = [bias for _, bias in weights]
    predict: Predict = model.predict
    return predict


def torch_predict(net: Net, weights: Weights) -> Predict:
    """Return PyTorch's module without gradients, from and to NumPy."""
    torch = import_module("torch")
    model = torch_model(net)
    with torch.no_grad():
        for module, (weight, bias) in zip(model[::2], weights, strict=True):
            module.weight.copy_(torch.tensor(weight))
            module.bias.copy_(torch.tensor(bias))

    def predict(X: Array) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(X)).numpy()

    return predict


def onnx_predict(net: Net, weights: Weights) -> Predict:
    """Return a session of ONNX Runtime."""
    onnx, runtime = import_module("onnx"), import_module("onnxruntime")
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    nodes, constants, last = [], [], "x"
    for i, (weight, bias) in enumerate(weights):
        constants += [
            onnx.numpy_helper.from_array(weight, f"weight {i}"),
            onnx.numpy_helper.from_array(bias, f"bias {i}"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"weight {i}", f"bias {i}"], [f"s {i}"], transB=1))
        last = f"s {i}"
        if i < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"h {i}"]))
            last = f"h {i}"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", numbers, ["n", net.sizes[0]])],
        [helper.make_tensor_value_info(last, numbers, ["n", net.sizes[-1]])],
        constants,
    )
    # versions that every ONNX Runtime of the last years reads
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda X: session.run(None, {"x": X})[0]


@dataclass(frozen=True)
class Rival:
    """A library, the modules that it needs, and what it can do of the two."""

    name: str
    modules: tuple[str, ...]
    epochs: Callable[[Net, Data], Epoch] | None = None
    predict: Callable[[Net, Weights], Predict] | None = None

    @property
    def is_installed(self) -> bool:
        """Whether it can take part."""
        return all(find_spec(module) for module in self.modules)


RIVALS = (
    Rival("JAX", ("jax",), epochs=jax_epochs),
    Rival("PyTorch", ("torch",), epochs=torch_epochs, predict=torch_predict),
    Rival("scikit-learn", ("sklearn",), epochs=sklearn_epochs, predict=sklearn_predict),
    Rival("ONNX Runtime", ("onnx", "onnxruntime"), predict=onnx_predict),
)
