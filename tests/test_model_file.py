import ast
import contextlib
import inspect
import json
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import chainrule as cr
from chainrule import (
    Dense,
    Dropout,
    InputError,
    MLPClassifier,
    MLPRegressor,
    ModelFileError,
    Scale,
    TabularClassifier,
    TabularRegressor,
    model_file,
)
from chainrule.likelihoods import Bernoulli, Categorical, Normal, Poisson
from chainrule.optimization import Cosine, WarmUp

RNG = np.random.default_rng(0)
N = 60
TABLE = pd.DataFrame(
    {
        "size": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)),
        "colour": RNG.choice(["red", "green", "blå\n\"'\U0001f3e0"], N),
        "code": pd.Categorical(RNG.integers(1, 4, N)),
        "share": pd.Categorical(RNG.choice([0.1, 1 / 3, 2.5], N)),
        "old": RNG.random(N) < 0.4,
        "street": [f"street {row}" for row in range(N)],
        "day": pd.date_range("2024-01-01 06:00", periods=N, freq="31h"),
        "zoned": pd.date_range("2024-01-01", periods=N, freq="7h", tz="Europe/Berlin"),
    }
)
X = RNG.normal(size=(N, 3))
NUMBER = X[:, 0] + X[:, 1] ** 2
THIRDS = np.digitize(NUMBER, np.quantile(NUMBER, [0.3, 0.6]))

TABULAR = {
    "number": (TabularRegressor, TABLE, NUMBER, {}),
    "two numbers": (TabularRegressor, TABLE, np.column_stack([NUMBER, 1e6 * X[:, 2]]), {}),
    "counts": (TabularRegressor, TABLE, THIRDS * 2, {"likelihood": Poisson()}),
    "likelihood object": (TabularRegressor, TABLE, NUMBER, {"likelihood": Normal(np.int64(1))}),
    "text": (TabularClassifier, TABLE, np.where(NUMBER > 0.5, "yes", "nö"), {}),
    "text objects": (TabularClassifier, TABLE, np.array(["a", "b", "c"], dtype=object)[THIRDS], {}),
    "int": (TabularClassifier, TABLE, THIRDS * 2**40 - 5, {}),
    "int8": (TabularClassifier, TABLE, THIRDS.astype("int8"), {}),
    "big-endian": (TabularClassifier, TABLE, THIRDS.astype(">i4"), {}),
    "bool": (TabularClassifier, TABLE, NUMBER > 0.5, {}),
    "float": (TabularClassifier, TABLE, THIRDS.astype(float), {}),
    "labels": (TabularClassifier, TABLE, np.column_stack([NUMBER > 0.5, X[:, 0] > 0]).astype(int), {}),
    "categorical": (TabularClassifier, TABLE, NUMBER > 0.5, {"likelihood": Categorical(2)}),
    "bernoulli": (TabularClassifier, TABLE, NUMBER > 0.5, {"likelihood": Bernoulli()}),
    "named target": (TabularRegressor, TABLE, pd.Series(NUMBER, name="prix €"), {}),
    "polars": (TabularRegressor, pl.from_pandas(TABLE), pl.Series("price", NUMBER), {}),
    "array": (TabularRegressor, X, NUMBER, {"n_threads": 2, "time_limit": 3600.0, "verbose": False}),
    "layers": (
        TabularRegressor,
        X,
        NUMBER,
        {"hidden": [Dropout(0.1), 4, Dense(3, "tanh", bias=False), Dropout(np.float32(0.5))]},
    ),
    "a scale": (TabularRegressor, X, NUMBER, {"hidden": [Scale(2.5), Dropout(0.1), 4]}),
    "layers of NumPy": (TabularRegressor, X, NUMBER, {"hidden": np.array([4, 3])}),
    "a NumPy number in a layer": (TabularRegressor, X, NUMBER, {"hidden": (Dense(np.int64(4)),)}),
    "linear": (TabularRegressor, X, NUMBER, {"hidden": ()}),
    "categorical features": (TabularRegressor, TABLE, NUMBER, {"categorical_features": ["size", "day"]}),
    "a mask": (TabularRegressor, X, THIRDS * 1.0, {"categorical_features": np.array([True, False, True])}),
    "numpy settings": (
        TabularRegressor,
        X,
        NUMBER,
        {"epochs": np.int64(3), "learning_rate": np.float32(0.01), "random_state": np.uint8(3)},
    ),
    "free seed": (TabularRegressor, X, NUMBER, {"random_state": None}),
}
MLP = {
    "mlp number": (MLPRegressor, X, NUMBER, {}),
    "mlp numbers": (MLPRegressor, X, X[:, :2] ** 2, {"hidden_layer_sizes": [4, 3]}),
    "mlp poisson": (MLPRegressor, X, THIRDS, {"loss": "poisson", "solver": "lbfgs"}),
    "mlp names": (MLPRegressor, pd.DataFrame(X, columns=["a", "b", "ç"]), NUMBER, {}),
    "mlp text": (MLPClassifier, X, np.array(["a", "b", "ç"])[THIRDS], {"n_iter_no_change": np.inf}),
    "mlp bool": (MLPClassifier, X, NUMBER > 0.5, {"early_stopping": True, "validation_fraction": 0.3}),
    "mlp int": (MLPClassifier, X, THIRDS * 3, {"hidden_layer_sizes": np.array([4]), "shuffle": np.True_}),
    "mlp labels": (MLPClassifier, X, np.column_stack([NUMBER > 0.5, X[:, 0] > 0]).astype(int), {}),
    "mlp all": (
        MLPClassifier,
        X,
        THIRDS,
        {
            "activation": ["gelu"],
            "hidden_layer_sizes": [4],
            "dropout": [0.2],
            "class_weight": {0: 1.0, 1: 2.5},
            "schedule": WarmUp(0.1, Cosine(0.2)),
            "loss": Categorical(3),
            "scoring": "accuracy",
        },
    ),
    "mlp sparse": (MLPRegressor, sparse.csr_array(X * (X > 0)), NUMBER, {"early_stopping": True}),
    "mlp float32": (MLPClassifier, X.astype("float32"), THIRDS, {"hidden_layer_sizes": 5}),
}


def fitted(name):
    kind, table, y, own = {**TABULAR, **MLP}[name]
    quick = (
        {"hidden": (6,), "epochs": 3}
        if name in TABULAR
        else {"hidden_layer_sizes": (6,), "max_iter": 3, "n_threads": 1}
    )
    return kind(**{"random_state": 0, **quick, **own}).fit(table, y), table


def outputs(model, table):
    kinds = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(model, kind)(table) for kind in kinds if hasattr(model, kind)]


def same(one, other):
    """Return whether two values are the same, types included; NumPy's numbers may have become Python's."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype.newbyteorder("=") == other.dtype
            and same(one.tolist(), other.tolist())
        )
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.generic):
        return same(one.item(), other)
    return type(one) is type(other) and (one == other or np.isnan([one, other]).all())


# The fits are too short to converge on purpose.
NOT_CONVERGED = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}"
)


@NOT_CONVERGED
@pytest.mark.parametrize("name", [*TABULAR, *MLP])
def test_a_model_comes_back_as_it_was(name, tmp_path):
    model, table = fitted(name)
    assert model.save(tmp_path / "model.safetensors") is None
    again = cr.load(str(tmp_path / "model.safetensors"))
    assert type(again) is type(model)
    for one, other in zip(outputs(model, table), outputs(again, table), strict=True):
        assert one.dtype.newbyteorder("=") == other.dtype
        np.testing.assert_array_equal(one, other)
    parameters = again.get_params(deep=False)
    assert parameters.keys() == model.get_params(deep=False).keys()
    for key, value in model.get_params(deep=False).items():
        assert same(value, parameters[key]), key
    for key in ("theta_", *model._saved):
        assert hasattr(again, key) == hasattr(model, key), key
    if name in TABULAR:
        assert again.history_ == model.history_
        assert (again.seed_, again.n_rows_, again.target_name_) == (model.seed_, N, model.target_name_)
        assert again.network_.hidden == model.network_.hidden
        assert again.network_.likelihood == model.network_.likelihood
        assert again.encoder_.describe()[0] == model.encoder_.describe()[0]
        assert (again.best_epoch_, again.engine_) == (model.best_epoch_, "native")
    else:
        assert again.t_ == model.t_
        assert getattr(again, "loss_curve_", None) == getattr(model, "loss_curve_", None)
    # and once more
    again.save(tmp_path / "again.safetensors")
    first, second = (model_file.describe(tmp_path / f"{part}.safetensors") for part in ("model", "again"))
    assert first == second


@NOT_CONVERGED
@pytest.mark.parametrize("name", ["number", "text", "mlp text"])
def test_what_was_loaded_fits_again(name, tmp_path):
    model, table = fitted(name)
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    y = {**TABULAR, **MLP}[name][2]
    np.testing.assert_array_equal(again.fit(table, y).theta_, model.theta_)


def test_unseen_values_are_encoded_as_before(tmp_path):
    model, table = fitted("number")
    model.save(tmp_path / "model.safetensors")
    strange = table.assign(colour="violet", size=np.inf, day=pd.NaT, street="elsewhere")
    again = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(strange), model.predict(strange))


def test_describe_tells_what_is_in_the_file(tmp_path):
    model, _ = fitted("text")
    model.save(tmp_path / "model.safetensors")
    described = model_file.describe(tmp_path / "model.safetensors")
    assert json.loads(json.dumps(described)) == described
    assert described["format_version"] == model_file.FORMAT_VERSION
    assert described["chainrule_version"] == cr.__version__
    assert described["estimator"] == "TabularClassifier"
    assert described["parameters"]["epochs"] == 3
    assert described["fitted"]["members_"]["items"][0]["network"]["hidden"][0] == {
        "layer": "Dense",
        "units": 6,
        "activation": model.network_.hidden[0].activation,
        "bias": True,
    }
    shape = [model.network_.n_parameters]
    assert described["arrays"]["members_.0.theta"] == {"shape": shape, "dtype": "float32"}


def test_the_file_is_a_safetensors_file(tmp_path):
    model, _ = fitted("number")
    model.save(tmp_path / "model.safetensors")
    arrays = load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(arrays["members_.0.theta"], model.theta_)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert set(file.metadata()) == {"chainrule", "sha256"}


# ── Damage ──


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a file."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    fitted("text")[0].save(path)
    return path.read_bytes()


def error_of(path):
    with pytest.raises(ModelFileError) as raised:
        cr.load(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    for read in (cr.load, model_file.describe):
        with pytest.raises(FileNotFoundError, match=r"none\.safetensors does not exist\."):
            read(tmp_path / "none.safetensors")


def test_what_is_no_model_file(tmp_path):
    assert error_of(tmp_path).endswith("is a folder, not a model file.")
    path = tmp_path / "model.safetensors"
    for content in (b"", b"\0" * 100, b"size,colour\n1,red\n" * 50, b"PK\x03\x04" * 30):
        path.write_bytes(content)
        assert "is no model file of chainrule, or it is damaged" in error_of(path)
    save_file({"theta": np.zeros(3)}, path)
    assert error_of(path).endswith("is a safetensors file, but not one that chainrule wrote.")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    assert error_of(path).endswith("is a safetensors file, but not one that chainrule wrote.")


def test_a_file_that_is_cut_off(tmp_path, whole):
    path = tmp_path / "model.safetensors"
    for size in [*range(40), *range(40, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        error_of(path)
    path.write_bytes(whole + b"\0")
    error_of(path)


def loaded_or_none(path):
    try:
        return cr.load(path)
    except ModelFileError:
        return None


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_changed_byte_makes_another_model(tmp_path, whole, place, byte):
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= byte
    path = tmp_path / "model.safetensors"
    path.write_bytes(damaged)
    model = loaded_or_none(path)
    if model:  # white space in the header, for example
        path.write_bytes(whole)
        np.testing.assert_array_equal(model.predict_proba(TABLE), cr.load(path).predict_proba(TABLE))


def rewrite(path, change):
    """Change the description and the arrays of a file as somebody would who gives it a right checksum."""
    with safe_open(path, framework="numpy") as file:
        description = file.metadata()["chainrule"]
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    description = change(description, arrays)
    if not isinstance(description, str):
        description = json.dumps(description)
    checksum = model_file._checksum(description, arrays)
    save_file(arrays, path, {"chainrule": description, "sha256": checksum})


def changed(*place, value):
    """Return a change that puts a value into the description, or an array into the file."""

    def change(text, arrays):
        description = json.loads(text)
        if place[0] == "arrays":
            arrays[place[1]] = value(arrays[place[1]])
            return description
        inner = description
        for key in place[:-1]:
            inner = inner[key]
        if value is None:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return description

    return change


FIRST = ("fitted", "members_", "items", 0)
WRONG_CONTENT = {
    "no members": changed("fitted", "members_", value=None),
    "an empty list of members": changed("fitted", "members_", "items", value=[]),
    "a member without weight": changed(*FIRST, "weight", value=0.0),
    "no JSON": lambda text, _: text[:-1],
    "a list": lambda *_: "[1]",
    "very deep": lambda *_: "[" * 100_000,
    "no version": changed("format_version", value=None),
    "a version that is no number": changed("format_version", value="one"),
    "an unknown estimator": changed("estimator", value="Popen"),
    "an estimator that is a list": changed("estimator", value=["TabularClassifier"]),
    "no estimator": changed("estimator", value=None),
    "an unknown parameter": changed("parameters", "depth", value=3),
    "a parameter that is not allowed": changed("parameters", "n_threads", value=-3),
    "an unknown attribute": changed("fitted", "predict", value=3),
    "an attribute of Python": changed("fitted", "__class__", value="dict"),
    "no network": changed(*FIRST, "network", value=None),
    "no encoder": changed("fitted", "encoder_", value=None),
    "no target": changed("fitted", "target_", value=None),
    "no history": changed(*FIRST, "history", value=None),
    "no seed": changed("fitted", "seed_", value=None),
    "another kind": changed("fitted", "encoder_", "kind", value="history"),
    "an unknown kind": changed("fitted", "encoder_", "kind", value="pickle"),
    "a number as network": changed(*FIRST, "network", value=3),
    "a number as history": changed(*FIRST, "history", value=3),
    "a best epoch that is not there": changed(*FIRST, "history", "history", "best_epoch", value=30),
    "other inputs": changed(*FIRST, "network", "n_inputs", value=3),
    "no inputs": changed(*FIRST, "network", "n_inputs", value=0),
    "other units": changed(*FIRST, "network", "hidden", 0, "units", value=7),
    "units that are text": changed(*FIRST, "network", "hidden", 0, "units", value="6"),
    "an unknown activation": changed(*FIRST, "network", "hidden", 0, "activation", value="eval"),
    "an activation that is a list": changed(*FIRST, "network", "hidden", 0, "activation", value=[]),
    "an unknown layer": changed(*FIRST, "network", "hidden", 0, "layer", value="Conv"),
    "a layer that is a number": changed(*FIRST, "network", "hidden", 0, value=[1]),
    "an unknown likelihood": changed(*FIRST, "network", "likelihood", "name", value="os.system"),
    "a likelihood of another size": changed(
        *FIRST, "network", "likelihood", "settings", "n_outputs", value=2
    ),
    "one class": changed("fitted", "target_", "labels", "items", value=["no"]),
    "a class too many": changed("fitted", "target_", "labels", "items", value=["a", "b", "c"]),
    "several labels": changed("fitted", "target_", "multilabel", value=True),
    "a column too few": changed("fitted", "encoder_", "description", "columns", 0, value=None),
    "a category too few": changed(
        "fitted", "encoder_", "description", "columns", 1, "categories", value=["red"]
    ),
    "an unknown column kind": changed("fitted", "encoder_", "description", "columns", 1, "kind", value="x"),
    "an unknown cycle": changed("fitted", "encoder_", "description", "columns", 6, "cycles", value=["x"]),
    "an array that is not there": changed("fitted", "encoder_", "arrays", "scaling", value="other"),
    "θ too short": changed("arrays", "members_.0.theta", value=lambda theta: theta[1:].copy()),
    "θ of whole numbers": changed("arrays", "members_.0.theta", value=lambda theta: theta.astype(int)),
    "θ with NaN": changed("arrays", "members_.0.theta", value=lambda theta: theta * np.nan),
    "scaling of another shape": changed("arrays", "encoder_.scaling", value=lambda a: a[:, :1].copy()),
}


@pytest.mark.parametrize("name", WRONG_CONTENT)
def test_content_that_does_not_fit_together(tmp_path, whole, name):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole)
    rewrite(path, WRONG_CONTENT[name])
    assert "is a damaged model file" in error_of(path)


def test_a_newer_format_asks_for_an_upgrade(tmp_path, whole):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole)
    rewrite(path, lambda *_: {"format_version": 2, "chainrule_version": "9.9", "new": []})
    assert "has format 2, this chainrule" in error_of(path)
    assert "it was written by 9.9, so upgrade" in error_of(path)
    with pytest.raises(ModelFileError, match="upgrade"):
        model_file.describe(path)


@given(place=st.floats(0, 1, exclude_max=True), new=st.sampled_from('0123456789abrstu"[]{}:,.-+\\ \x00é'))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_description_is_an_error_or_a_model(tmp_path, whole, place, new):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole)

    def change(text, arrays):
        at = int(place * len(text))
        return text[:at] + new + text[at + 1 :]

    rewrite(path, change)
    model = loaded_or_none(path)
    if model:
        columns = model.encoder_.describe()[0]
        path.write_bytes(whole)
        if columns == cr.load(path).encoder_.describe()[0]:
            assert model.predict_proba(TABLE).shape == (N, 2)
        else:  # a model for another table: columns of other names, for example
            with contextlib.suppress(InputError):
                model.predict_proba(TABLE)


def test_nothing_in_a_file_is_executed():
    """The module that reads files has neither pickle nor eval nor an import by name."""
    tree = ast.parse(inspect.getsource(model_file))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module)] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert not imported & {"pickle", "joblib", "marshal", "shelve", "importlib", "subprocess", "dill"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"eval", "exec", "compile", "__import__", "globals", "system", "import_module"}


# ── Saving ──


def test_what_has_no_place_in_a_file(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="list has no place in a model file; that have MLPClassifier"):
        model_file.save([], path)

    class Own(TabularRegressor):
        pass

    with pytest.raises(InputError, match="Own has no place in a model file"):
        Own(hidden=(2,), epochs=1).fit(X, NUMBER).save(path)
    model = TabularRegressor(hidden=(2,), epochs=1, random_state=np.random.RandomState(0)).fit(X, NUMBER)
    with pytest.raises(InputError, match=r"parameters\.random_state is RandomState.* set_params does"):
        model.save(path)
    for kind in (TabularRegressor, MLPClassifier):
        with pytest.raises(NotFittedError):
            model_file.save(kind(), path)
    assert not list(tmp_path.iterdir())
    model.set_params(random_state=None).save(path)
    np.testing.assert_array_equal(cr.load(path).predict(X), model.predict(X))
    with pytest.raises(ValueError, match="The 'n_threads' parameter of TabularRegressor"):
        model.set_params(n_threads=0).save(path)


def test_where_a_file_cannot_be(tmp_path):
    model, _ = fitted("array")
    with pytest.raises(FileNotFoundError, match="none is no folder: make it before the model is saved there"):
        model.save(tmp_path / "none" / "model.safetensors")
    with pytest.raises(IsADirectoryError, match="is a folder: name the file in it"):
        model.save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["to_bytes", "os.replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_file_that_is_there_outlives_a_save_that_fails(tmp_path, whole, monkeypatch, step, error):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole)

    def fail(*arguments):
        raise error("no space left")

    model, _ = fitted("array")
    with monkeypatch.context() as patch:
        patch.setattr(f"chainrule.model_file.{step}", fail)
        with pytest.raises(error, match="no space left"):
            model.save(path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
    model.save(path)
    np.testing.assert_array_equal(cr.load(path).predict(X), model.predict(X))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_file_can_be_read_by_whom_the_umask_lets(tmp_path, monkeypatch):
    model, _ = fitted("array")
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            model.save(tmp_path / "model.safetensors")
        finally:
            os.umask(before)
        mode = stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode)
        assert mode == 0o666 & ~mask


def test_a_name_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, _ = fitted("array")
    model.save("model.safetensors")
    np.testing.assert_array_equal(cr.load("model.safetensors").predict(X), model.predict(X))
    assert [path.name for path in Path().iterdir()] == ["model.safetensors"]


class Shifted(cr.likelihoods.Likelihood):
    """Least squares, written as a person would."""

    name = "shifted"

    def loss_and_gradient(self, logits, y):
        return 0.5 * ((logits - y) ** 2).sum(axis=1), logits - y


def test_a_likelihood_of_ones_own_is_given_when_the_file_is_loaded(tmp_path):
    X = np.linspace(-1, 1, 60)[:, None]
    model = cr.TabularRegressor(likelihood=Shifted(), epochs=2, random_state=0).fit(X, X[:, 0])
    path = tmp_path / "own.safetensors"
    model.save(path)
    again = cr.load(path, likelihood=Shifted())
    assert np.array_equal(again.predict(X), model.predict(X))
    for wrong, said in [(None, "none was given"), (Normal(), r"Normal\(n_outputs=1\) was given")]:
        with pytest.raises(InputError, match=rf"author's own, 'shifted': give it, .*{said}"):
            cr.load(path, likelihood=wrong)
