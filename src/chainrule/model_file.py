"""The model file: one safetensors file with the arrays, and a description of all else in JSON.

Nothing of it is ever executed: names of classes are looked up in a fixed table, values have tagged kinds.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

import chainrule
from chainrule.architecture import Dense, Dropout
from chainrule.errors import InputError, ModelFileError
from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from chainrule.estimators.targets import Classes, Scaling
from chainrule.likelihoods import LIKELIHOODS, Likelihood
from chainrule.network import Network
from chainrule.tables import TableEncoder
from chainrule.training import History

FORMAT_VERSION = 1
KEY = "chainrule"  # of the metadata
ESTIMATORS: dict[str, type[Any]] = {
    estimator.__name__: estimator
    for estimator in (MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor)
}
Arrays = dict[str, NDArray[Any]]


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator into one file; one that is there is replaced in one step.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Fitted.
    path : str or path
        Where to; the usual ending is ``.safetensors``.

    Raises
    ------
    InputError
        When the model is no estimator of chainrule, or a parameter holds an object without a place here.
    """
    name = type(model).__name__
    if ESTIMATORS.get(name) is not type(model):
        raise InputError(f"{name} has no place in a model file; that have {', '.join(ESTIMATORS)}.")
    arrays: Arrays = {"theta": model.theta_}
    fitted = {key: getattr(model, key) for key in ("network_", *model._saved) if hasattr(model, key)}
    description = {
        "format_version": FORMAT_VERSION,
        "chainrule_version": chainrule.__version__,
        "estimator": name,
        "parameters": {
            key: _encode(value, f"parameters.{key}", arrays)
            for key, value in model.get_params(deep=False).items()
        },
        "fitted": {key: _encode(value, key, arrays) for key, value in fitted.items()},
    }
    target = Path(path)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".partial")
    os.close(handle)
    try:
        contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(contiguous, partial, {KEY: json.dumps(description)})
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """Return the fitted estimator in a model file; its predictions are the same bits as before.

    Parameters
    ----------
    path : str or path
        A file that ``save`` of an estimator has written.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFileError
        When it is damaged, of another kind, or of a newer format.

    Examples
    --------
    >>> import tempfile, numpy as np, chainrule as cr
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> model = cr.TabularRegressor(epochs=2, random_state=0).fit(X, X[:, 0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/line.safetensors")
    ...     again = cr.load(folder + "/line.safetensors")
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    description, arrays = _read(path)
    try:
        kind = ESTIMATORS[description["estimator"]]
        parameters = {key: _decode(value, arrays) for key, value in description["parameters"].items()}
        model = kind(**parameters)
        for key, value in description["fitted"].items():
            if key not in {"network_", *kind._saved}:
                raise ModelFileError(f"{key!r} is no attribute of {kind.__name__}.")
            setattr(model, key, _decode(value, arrays))
        model.theta_ = arrays["theta"]
        model._check_restored()
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path} is a damaged model file: {error}") from error
    return model


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the description in a model file as it stands, with the shapes and dtypes of the arrays.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As in `load`.
    """
    description, arrays = _read(path)
    shapes = {key: {"shape": list(array.shape), "dtype": str(array.dtype)} for key, array in arrays.items()}
    return {**description, "arrays": shapes}


def _umask() -> int:
    mask = os.umask(0)  # the only way to read it is to set it
    os.umask(mask)
    return mask


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist.")
    if Path(path).is_dir():
        raise ModelFileError(f"{path} is a folder, not a model file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{path} is no model file of chainrule, or it is damaged: {error}") from error
    if KEY not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that chainrule wrote.")
    try:
        description = json.loads(metadata[KEY])
        version = int(description["format_version"])
    except (ValueError, LookupError, TypeError) as error:
        raise ModelFileError(f"{path} is a damaged model file: {error}") from error
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}, this chainrule ({chainrule.__version__}) reads up to "
            f"{FORMAT_VERSION}: it was written by {description.get('chainrule_version')}, so upgrade."
        )
    return description, arrays


# ── Values: JSON as it is, and these kinds, tagged ──


def _layer(spec: Any) -> dict[str, Any]:
    return {"layer": type(spec).__name__, **asdict(spec)} if isinstance(spec, Dense | Dropout) else spec


def _layer_of(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    arguments = dict(value)
    return {"Dense": Dense, "Dropout": Dropout}[arguments.pop("layer")](**arguments)


def _likelihood(likelihood: Likelihood) -> dict[str, Any]:
    return {"name": likelihood.name, "settings": likelihood.settings()}


def _likelihood_of(value: dict[str, Any]) -> Likelihood:
    return LIKELIHOODS[value["name"]](**value["settings"])


def _encode(value: Any, name: str, arrays: Arrays) -> Any:
    """Return the value for JSON; its arrays go to ``arrays`` under names that begin with ``name``."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"kind": "float", "value": repr(value)}
    if isinstance(value, tuple | list):
        return {
            "kind": type(value).__name__,
            "items": [_encode(item, f"{name}.{k}", arrays) for k, item in enumerate(value)],
        }
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            arrays[name] = value
            return {"kind": "array", "name": name}
        return {"kind": "text_array", "dtype": value.dtype.kind, "items": value.tolist()}
    for kind, (cls, encode, _) in KINDS.items():
        if isinstance(value, cls):
            return {"kind": kind, **encode(value, name, arrays)}
    raise InputError(
        f"{name} is {value!r}: a model file has no place for a {type(value).__name__}. "
        "Give random_state as a whole number, and layers and likelihoods of chainrule."
    )


def _decode(value: Any, arrays: Arrays) -> Any:
    """Return what `_encode` was given."""
    if not isinstance(value, dict):
        return value
    kind = value["kind"]
    if kind == "float":
        return float(value["value"])
    if kind in {"tuple", "list"}:
        return {"tuple": tuple, "list": list}[kind](_decode(item, arrays) for item in value["items"])
    if kind == "array":
        return arrays[value["name"]]
    if kind == "text_array":
        return np.array(value["items"], dtype=object if value["dtype"] == "O" else str)
    return KINDS[kind][2](value, arrays)


def _encode_network(network: Network, name: str, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG001 (KINDS)
    return {
        "n_inputs": int(network.n_inputs),
        "hidden": [_layer(spec) for spec in network.hidden],
        "likelihood": _likelihood(network.likelihood),
    }


def _decode_network(value: dict[str, Any], arrays: Arrays) -> Network:  # noqa: ARG001 (KINDS)
    hidden = [_layer_of(spec) for spec in value["hidden"]]
    return Network(value["n_inputs"], hidden, likelihood=_likelihood_of(value["likelihood"]))


def _encode_encoder(encoder: TableEncoder, name: str, arrays: Arrays) -> dict[str, Any]:
    description, own = encoder.describe()
    arrays.update({f"{name}.{key}": array for key, array in own.items()})
    return {"description": description, "arrays": {key: f"{name}.{key}" for key in own}}


def _decode_encoder(value: dict[str, Any], arrays: Arrays) -> TableEncoder:
    own = {key: arrays[name] for key, name in value["arrays"].items()}
    return TableEncoder.from_description(value["description"], own)


def _encode_classes(classes: Classes, name: str, arrays: Arrays) -> dict[str, Any]:
    return {"labels": _encode(classes.labels, f"{name}.labels", arrays), "multilabel": classes.multilabel}


def _decode_classes(value: dict[str, Any], arrays: Arrays) -> Classes:
    return Classes(_decode(value["labels"], arrays), value["multilabel"])


def _encode_scaling(scaling: Scaling, name: str, arrays: Arrays) -> dict[str, Any]:
    arrays[f"{name}.location"], arrays[f"{name}.scale"] = scaling.location, scaling.scale
    return {"name": name, "one_dimensional": scaling.one_dimensional}


def _decode_scaling(value: dict[str, Any], arrays: Arrays) -> Scaling:
    location, scale = (arrays[f"{value['name']}.{part}"] for part in ("location", "scale"))
    return Scaling(location, scale, value["one_dimensional"])


# kind → the class, to JSON, and back
KINDS: dict[str, tuple[Any, Callable[..., dict[str, Any]], Callable[..., Any]]] = {
    "network": (Network, _encode_network, _decode_network),
    "encoder": (TableEncoder, _encode_encoder, _decode_encoder),
    "history": (
        History,
        lambda history, *_: {"history": history.to_dict()},
        lambda value, _: History.from_dict(value["history"]),
    ),
    "classes": (Classes, _encode_classes, _decode_classes),
    "scaling": (Scaling, _encode_scaling, _decode_scaling),
    "layer": (
        (Dense, Dropout),
        lambda spec, *_: {"spec": _layer(spec)},
        lambda value, _: _layer_of(value["spec"]),
    ),
    "likelihood": (
        Likelihood,
        lambda likelihood, *_: {"likelihood": _likelihood(likelihood)},
        lambda value, _: _likelihood_of(value["likelihood"]),
    ),
}
