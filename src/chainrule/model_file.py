"""The model file: one safetensors file with the arrays, and a description of all else in JSON.

Nothing of it is ever executed: names of classes are looked up in a fixed table, values have tagged kinds.
The file's metadata has two entries: "chainrule", the description, and "sha256", a checksum over it and the
arrays, so that a damaged file is never taken for a model.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from sklearn.utils.validation import check_is_fitted

import chainrule
from chainrule.architecture import Dense, Dropout, Layer, Scale
from chainrule.errors import InputError, ModelFileError
from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from chainrule.estimators.predictive import KeptAside
from chainrule.estimators.targets import Classes, Scaling
from chainrule.estimators.together import Member
from chainrule.likelihoods import LIKELIHOODS, Likelihood, is_built_in
from chainrule.network import Network
from chainrule.optimization import Constant, Cosine, OneCycle, Schedule, Step, WarmUp
from chainrule.tables import TableEncoder
from chainrule.training import History

FORMAT_VERSION = 1
KEY, CHECKSUM_KEY = "chainrule", "sha256"  # of the metadata
ESTIMATORS: dict[str, type[Any]] = {
    estimator.__name__: estimator
    for estimator in (MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor)
}
SCHEDULES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Constant, Cosine, OneCycle, Step, WarmUp)}
Arrays = dict[str, NDArray[Any]]
# What reading a value raises when the value is not what was written.
WRONG_CONTENT = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


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
    ValueError
        When a parameter is not allowed: it was set after the fit.
    sklearn.exceptions.NotFittedError
        Before `fit`.
    OSError
        When the folder is not there or cannot be written to; a file that was there stays as it was.
    """
    name = type(model).__name__
    if ESTIMATORS.get(name) is not type(model):
        raise InputError(f"{name} has no place in a model file; that have {', '.join(ESTIMATORS)}.")
    check_is_fitted(model, "theta_")
    model._validate_params()
    arrays: Arrays = {}
    fitted = {key: getattr(model, key) for key in model._saved if hasattr(model, key)}
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
    _write(json.dumps(description), arrays, Path(path))


def _write(description: str, arrays: Arrays, target: Path) -> None:
    """Write the file beside the target, then put it in its place in one step."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is no folder: make it before the model is saved there.")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: name the file in it.")
    plain = {
        key: np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")) for key, array in arrays.items()
    }
    metadata = {KEY: description, CHECKSUM_KEY: _checksum(description, plain)}
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        partial = Path(folder) / "partial"
        partial.write_bytes(to_bytes(plain, metadata))
        os.replace(partial, target)


def _checksum(description: str, arrays: Arrays) -> str:
    """Return the SHA-256 of the description and the arrays, by their names, as they stand in the file."""
    digest = hashlib.sha256(description.encode())
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def load(path: str | os.PathLike[str], *, likelihood: Likelihood | None = None) -> Any:
    """Return the fitted estimator in a model file; its predictions are the same bits as before.

    Parameters
    ----------
    path : str or path
        A file that ``save`` of an estimator has written.
    likelihood : Likelihood, optional
        The one of a person's own that the model was fitted with: the file has its name, but not its code.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFileError
        When it is damaged, of another kind, or of a newer format.
    InputError
        When the model has a likelihood of a person's own and another one is given, or none.

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
    if likelihood is not None and not isinstance(likelihood, Likelihood):
        raise InputError(f"likelihood={likelihood!r} must be an object of a subclass of Likelihood, or None.")
    description, arrays = _read(path)
    description = _with_own_likelihood(description, likelihood)
    try:
        kind = ESTIMATORS[description["estimator"]]
        parameters = {key: _decode(value, arrays) for key, value in description["parameters"].items()}
        model = kind(**parameters)
        model._validate_params()
        for key, value in description["fitted"].items():
            if key not in kind._saved:
                raise ModelFileError(f"{key!r} is no attribute of {kind.__name__}.")
            setattr(model, key, _decode(value, arrays))
        model._check_restored()
    except WRONG_CONTENT as error:
        raise _damaged(path, error) from error
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


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist.")
    if Path(path).is_dir():
        raise ModelFileError(f"{path} is a folder, not a model file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            # only ours are read: others may hold what NumPy has no dtype for
            names = file.keys() if KEY in metadata else ()
            arrays = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, *WRONG_CONTENT) as error:
        raise ModelFileError(f"{path} is no model file of chainrule, or it is damaged: {error}") from error
    if KEY not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that chainrule wrote.")
    try:
        description = json.loads(metadata[KEY])
        version = int(description["format_version"])
    except WRONG_CONTENT as error:
        raise _damaged(path, error) from error
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}, this chainrule ({chainrule.__version__}) reads up to "
            f"{FORMAT_VERSION}: it was written by {description.get('chainrule_version')}, so upgrade."
        )
    if metadata.get(CHECKSUM_KEY) != _checksum(metadata[KEY], arrays):
        raise ModelFileError(f"{path} is a damaged model file: its content does not have its checksum.")
    return description, arrays


def _damaged(path: str | os.PathLike[str], error: Exception) -> ModelFileError:
    return ModelFileError(f"{path} is a damaged model file ({type(error).__name__}: {error}).")


# ── Values: JSON as it is, and these kinds, tagged ──


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return settings with Python's numbers in the place of NumPy's."""
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}


def _layer(spec: Layer) -> dict[str, Any]:
    return {"layer": type(spec).__name__, **_settings(asdict(spec))}


def _layer_of(value: dict[str, Any]) -> Layer:
    layers: dict[str, type[Layer]] = {"Dense": Dense, "Dropout": Dropout, "Scale": Scale}
    return layers[value["layer"]](**{key: setting for key, setting in value.items() if key != "layer"})


def _likelihood(likelihood: Likelihood) -> dict[str, Any]:
    if not is_built_in(likelihood):
        return {"own_likelihood": likelihood.name}
    return {"name": likelihood.name, "settings": _settings(likelihood.settings())}


def _likelihood_of(value: dict[str, Any] | Likelihood) -> Likelihood:
    if isinstance(value, Likelihood):
        return value
    return LIKELIHOODS[value["name"]](**value["settings"])


def _with_own_likelihood(value: Any, given: Likelihood | None) -> Any:
    """Return the description with the likelihood that was given where it names one of a person's own."""
    if isinstance(value, list):
        return [_with_own_likelihood(item, given) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"own_likelihood"}:
        if given is None or given.name != value["own_likelihood"]:
            raise InputError(
                f"The model has a likelihood of its author's own, {value['own_likelihood']!r}: give it, "
                f"load(path, likelihood=…); {'none' if given is None else repr(given)} was given."
            )
        return given
    return {key: _with_own_likelihood(item, given) for key, item in value.items()}


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
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            arrays[name] = value
            return {"kind": "array", "name": name}
        if value.ndim == 1 and all(isinstance(item, str) for item in value.tolist()):
            return {"kind": "text_array", "dtype": value.dtype.kind, "items": value.tolist()}
    for kind, (cls, encode, _) in KINDS.items():
        if isinstance(value, cls):
            return {"kind": kind, **encode(value, name, arrays)}
    raise InputError(
        f"{name} is {value!r}: a model file has no place for a {type(value).__name__}. "
        "Give random_state as a whole number or None, which set_params does on a fitted model too, and "
        "layers and likelihoods of chainrule."
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


def _encode_dict(given: dict[Any, Any], name: str, arrays: Arrays) -> dict[str, Any]:
    return {"items": [_encode(item, f"{name}.{k}", arrays) for k, item in enumerate(given.items())]}


def _decode_dict(value: dict[str, Any], arrays: Arrays) -> dict[Any, Any]:
    return dict(_decode(item, arrays) for item in value["items"])


def _encode_schedule(schedule: Schedule, name: str, arrays: Arrays) -> dict[str, Any]:
    settings = {field.name: getattr(schedule, field.name) for field in fields(schedule)}  # type: ignore[arg-type]  # schedules are dataclasses
    return {"name": type(schedule).__name__, "settings": _encode(settings, name, arrays)}


def _decode_schedule(value: dict[str, Any], arrays: Arrays) -> Schedule:
    schedule: Schedule = SCHEDULES[value["name"]](**_decode(value["settings"], arrays))
    return schedule


def _encode_network(network: Network, name: str, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG001 (KINDS)
    return {
        "n_inputs": int(network.n_inputs),
        "hidden": [_layer(spec) for spec in network.hidden],
        "likelihood": _likelihood(network.likelihood),
    }


def _decode_network(value: dict[str, Any], arrays: Arrays) -> Network:  # noqa: ARG001 (KINDS)
    hidden = [_layer_of(spec) for spec in value["hidden"]]
    return Network(value["n_inputs"], hidden, likelihood=_likelihood_of(value["likelihood"]))


def _encode_member(member: Member, name: str, arrays: Arrays) -> dict[str, Any]:
    return {part: _encode(value, f"{name}.{part}", arrays) for part, value in vars(member).items()}


def _decode_member(value: dict[str, Any], arrays: Arrays) -> Member:
    parts = (field.name for field in fields(Member))
    return Member(**{part: _decode(value[part], arrays) for part in parts})


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


def _encode_kept_aside(kept: KeptAside, name: str, arrays: Arrays) -> dict[str, Any]:
    return {part: _encode(value, f"{name}.{part}", arrays) for part, value in vars(kept).items()}


def _decode_kept_aside(value: dict[str, Any], arrays: Arrays) -> KeptAside:
    return KeptAside(**{part: _decode(value[part], arrays) for part in ("logits", "y", "weight")})


# kind → the class, to JSON, and back
KINDS: dict[str, tuple[Any, Callable[..., dict[str, Any]], Callable[..., Any]]] = {
    "member": (Member, _encode_member, _decode_member),
    "network": (Network, _encode_network, _decode_network),
    "encoder": (TableEncoder, _encode_encoder, _decode_encoder),
    "history": (
        History,
        lambda history, *_: {"history": history.to_dict()},
        lambda value, _: History.from_dict(value["history"]),
    ),
    "classes": (Classes, _encode_classes, _decode_classes),
    "dict": (dict, _encode_dict, _decode_dict),
    "schedule": (Schedule, _encode_schedule, _decode_schedule),
    "scaling": (Scaling, _encode_scaling, _decode_scaling),
    "kept_aside": (KeptAside, _encode_kept_aside, _decode_kept_aside),
    "layer": (
        (Dense, Dropout, Scale),
        lambda spec, *_: {"spec": _layer(spec)},
        lambda value, _: _layer_of(value["spec"]),
    ),
    "likelihood": (
        Likelihood,
        lambda likelihood, *_: {"likelihood": _likelihood(likelihood)},
        lambda value, _: _likelihood_of(value["likelihood"]),
    ),
}
