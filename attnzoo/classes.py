"""Models of a class of their own: the class is kept, and what its instances hold beside the graph.

A KerasHub backbone is a Functional model whose class has a constructor of its own (`ResNetBackbone(filters, ...)`),
methods, and attributes that point into the graph (`pyramid_outputs`). Its constructor knows of no attention, so that an
instance with attention is made without it: an empty instance, the new graph, then every attribute of the old instance,
translated. What cannot be translated is an error, because two models that share a thing by accident train each other.

    an attribute holds                      the new instance gets
    tensors, layers, models of the graph    their counterparts in the new graph; a tensor behind which attention was
                                            inserted becomes the attended one
    other layers and models                 copies, weights and all
    variables of the model's own            copies
    metrics, optimizers, losses             new ones from their configs, without state
    lists, tuples, dicts, sets              the same of what they hold
    methods of the instance                 methods of the new one
    plain values, functions, classes        the same
    anything else                           a deep copy, or an error if it cannot be copied

Compile state is left behind, as in every model that attnzoo makes.
"""

from __future__ import annotations

import collections
import copy
import functools
import importlib.util
import inspect
import types
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import functional_like_constructor

from attnzoo.addresses import containers, operations, read, write
from attnzoo.errors import AttnzooError, RewriteError
from attnzoo.graph import Functional, is_container, is_inserted, parts_of
from attnzoo.twins import is_plain, weights_like

_KEPT = (
    "_auto_config",
    "_auto_config_error_args",
    "_dtype_policy",
    "_remat_mode",
    "activity_regularizer",
    "autocast",
    "supports_jit",
)
"""What Keras sets itself in every instance and a constructor may have set otherwise."""
_LEFT_BEHIND = (
    "_compile_config",
    "_compiled_trainable_state",
    "_distributed_dataset",
    "_eval_epoch_iterator",
    "_jax_state",
    "_jax_state_synced",
    "_obj_reference_counts_dict",
    "history",
    "optimizer",
    "stop_evaluating",
    "stop_predicting",
    "stop_training",
)
"""What compiling and training leave in a model."""
_KEYS = {"name", "trainable", "base", "operations", "frozen", "attention"}
_MADE_ANEW = (keras.Metric, keras.optimizers.Optimizer, keras.losses.Loss)
_stripped: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class Attended:
    """Mixed into a model's class where the model holds attention that its constructor knows nothing of.

    Its config is that of the model without attention, and beside it the attention with its addresses. Loading calls
    the class that the config names, found as Keras finds it (among registered classes, and in Keras, KerasHub and
    KerasCV), with its own config, and inserts the attention again.
    """

    attnzoo_base: type[Any]
    """The class of the model without attention; a longer name than `base`, which many classes use themselves."""

    def get_config(self) -> dict[str, Any]:
        base = plain_class(self)
        config = _plain(self).get_config()
        _check_describes(self, base, config)
        rooms = containers(self)
        frozen = [
            [i, j]
            for i, room in enumerate(rooms)
            for j, op in enumerate(operations(room))
            if isinstance(op, keras.layers.Layer) and not op.trainable
        ]
        return {
            "name": self.name,  # type: ignore[attr-defined]
            "trainable": self.trainable,  # type: ignore[attr-defined]
            "base": {
                "module": base.__module__,
                "class_name": base.__name__,
                "config": keras.saving.serialize_keras_object(config),
                "registered_name": keras.saving.get_registered_name(base),
            },
            "operations": sum(len(operations(room)) for room in rooms),
            "frozen": frozen,
            "attention": write(self, {id(room): _tensors(room) for room in rooms}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the model without attention and inserts the attention again.

        Raises:
            AttnzooError: if the class is not known here, or makes another graph than the one that was saved.
        """
        from attnzoo.rewrite import Insertion, rebuild  # which makes its models here

        if set(config) != _KEYS:
            raise AttnzooError(
                f"the config of a model with attention has the keys {sorted(config)}; expected {sorted(_KEYS)}."
            )
        base = _made(config)
        _set_trainable(base, config)
        insertions = [Insertion(*place) for place in read(base, config["attention"])]
        flags = [i.layer.trainable for i in insertions]
        new = rebuild(base, insertions)
        for insertion, flag in zip(insertions, flags, strict=True):
            insertion.layer.trainable = flag
        return new


keras.saving.register_keras_serializable("attnzoo", "Attended")(Attended)


@functools.cache
def attended_class(base: type[Any]) -> type[Any]:
    """Returns the class of models like `base` that hold attention; a subclass of it, saved as `attnzoo>Attended`."""
    body: dict[str, Any] = {"__module__": __name__, "__doc__": base.__doc__, "attnzoo_base": base}
    if hasattr(base, "save_to_preset"):
        body["save_to_preset"] = _no_preset
    cls = type(f"Attended{base.__name__}", (Attended, base), body)
    # One name in files for all of them, which Keras finds without knowing `base` yet.
    keras.saving.register_keras_serializable("attnzoo", "Attended")(cls)
    keras.saving.register_keras_serializable("attnzoo", "Attended")(Attended)
    return cls


def plain_class(model: Any) -> type[Any]:
    """Returns the class of a model, or of the model it would be without attention."""
    return type(model).attnzoo_base if isinstance(model, Attended) else type(model)


def is_made_from_tensors(cls: type[Any]) -> bool:
    """True if a class of Functional models takes inputs and outputs, as keras.Model does."""
    return bool(functional_like_constructor(cls))


def instance_like(old: Any, cls: type[Any], inputs: Any, outputs: Any, find: Finder) -> Any:
    """Returns an instance of `cls` with a new graph and the attributes of `old`; no constructor of the user's runs.

    Raises:
        RewriteError: if an attribute cannot be carried over.
    """
    new = cls.__new__(cls)
    Functional.__init__(new, inputs, outputs, name=old.name)
    vars(new).update({k: v for k, v in vars(old).items() if k in _KEPT})
    carrier = _Carrier(old, new, find)
    for name, value in _attributes(old).items():
        if name not in vars(new):
            setattr(new, name, carrier.carried(value, name))
    if "_functional_layer_ids" in vars(new):  # KerasHub's; identities are no plain numbers
        new._functional_layer_ids = {id(layer) for layer in new._flatten_layers()}
    return new


@dataclass(frozen=True)
class Finder:
    """Finds the new for the old while a graph is rebuilt.

    Args:
        tensor: from a tensor of the old graph to one of the new; None where there is none.
        operation: from a layer, model or operation to its counterpart, made if need be.
        twins: layers and models of the old graph, each with its counterpart.
        shared: the new model uses the old one's layers and variables.
    """

    tensor: Callable[[Any], Any]
    operation: Callable[[Any], Any]
    twins: Sequence[tuple[Any, Any]]
    shared: bool


class _Carrier:
    """Carries the attributes of one model to another; `carried` reads like the table that opens this file."""

    def __init__(self, old: Any, new: Any, find: Finder):
        self.old = old
        self.new = new
        self.find = find
        self.variables = {} if find.shared else self._variables()

    def _variables(self) -> dict[int, Any]:
        """Returns the model's own variables and those of its layers that it holds too, by the `id` of the old ones."""
        if not (self.old._trainable_variables or self.old._non_trainable_variables):
            return {}
        pairs = [zip(a.variables, b.variables, strict=False) for a, b in self.find.twins if not is_container(a)]
        known = {id(a): b for pair in pairs for a, b in pair}
        return known | weights_like(self.old, self.new, known)

    def carried(self, value: Any, name: str) -> Any:
        if value is self.old:
            return self.new
        if isinstance(value, keras.KerasTensor):
            return self._found(self.find.tensor(value), name, "a tensor of another graph")
        if isinstance(value, keras.Variable):
            return value if self.find.shared else self._found(self.variables.get(id(value)), name, "a foreign variable")
        if isinstance(value, keras.Operation):
            return self.find.operation(value)
        if isinstance(value, types.MethodType) and value.__self__ is self.old:
            return types.MethodType(value.__func__, self.new)
        if isinstance(value, dict) and type(value) is not collections.defaultdict:
            pairs = [(k, self.carried(v, name)) for k, v in value.items()]
            return collections.OrderedDict(pairs) if isinstance(value, collections.OrderedDict) else dict(pairs)
        if isinstance(value, list | set):
            return (list if isinstance(value, list) else set)(self.carried(v, name) for v in value)
        if isinstance(value, tuple):
            parts = [self.carried(v, name) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if is_plain(value):
            return value
        return self._copied(value, name)

    def _copied(self, value: Any, name: str) -> Any:
        try:
            if isinstance(value, _MADE_ANEW):
                return type(value).from_config(value.get_config())
            if isinstance(value, types.FunctionType):
                raise TypeError("it remembers other objects")
            return copy.deepcopy(value, {id(self.old): self.new})
        except Exception as cause:
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
            raise self._refusal(name, f"a {type(value).__name__} that cannot be copied: {reason}") from cause

    def _found(self, value: Any, name: str, what: str) -> Any:
        if value is None:
            raise self._refusal(name, what)
        return value

    def _refusal(self, name: str, what: str) -> RewriteError:
        return RewriteError(
            f"'{self.old.name}' ({plain_class(self.old).__name__}): attribute '{name}' holds {what}."
            " Set it to None and give the new model its own, or start from keras.Model(model.inputs, model.outputs)."
        )


def _attributes(model: Any) -> dict[str, Any]:
    """Returns what an instance holds beside what Keras keeps in every model."""
    # With PyTorch, layers set as attributes are kept in a dict of its own.
    own = {**vars(model).get("_modules", {}), **vars(model)}
    return {k: v for k, v in own.items() if k not in _LEFT_BEHIND and not k.startswith("_self_")}


# Files -----------------------------------------------------------------------------------------------------------


def _tensors(model: Any) -> list[Any]:
    """Returns the tensors that the attributes of a model of a class of its own hold."""
    if not isinstance(model, Functional) or is_made_from_tensors(plain_class(model)):
        return []
    fresh = ("_inputs_struct", "_outputs_struct", "_inputs", "_outputs")
    held = [v for k, v in _attributes(model).items() if k not in fresh]
    return [t for t in tree.flatten(held) if isinstance(t, keras.KerasTensor)]


def _plain(model: Any) -> Any:
    """Returns a model without attention whose config is that of the base class."""
    from attnzoo.rewrite import strip

    inside = [part for part in parts_of(model) if is_container(part)]
    if any(is_inserted(layer) for part in inside for layer in part.layers):
        # A constructor's argument may be a model with attention in it. Kept alive as long as the model, because Keras
        # recognises what it has saved already by its identity.
        _stripped[model] = strip(model)
        return _stripped[model]
    # The same object, seen as an instance of its base class: Keras asks who overrides get_config().
    plain = object.__new__(plain_class(model))
    vars(plain).update(vars(model))
    return plain


def _check_describes(model: Any, base: type[Any], config: dict[str, Any]) -> None:
    """Refuses a file that could not be loaded while there is still something to be done about it."""
    if getattr(base.from_config, "__func__", None) is not keras.Model.from_config.__func__:  # type: ignore[attr-defined]
        return
    try:
        inspect.signature(base.__init__).bind(model, **config)
    except TypeError as error:
        raise RewriteError(
            f"'{model.name}' ({base.__name__}) cannot be saved: its get_config() does not return the arguments of its"
            f" constructor: {error}."
        ) from None


def _made(config: dict[str, Any]) -> Any:
    """Makes the model without attention that a config describes."""
    base, name = config["base"], config["name"]
    what = f"'{name}', a {base['class_name']} with attention,"
    package = str(base["module"]).partition(".")[0]
    if package in ("keras_hub", "keras_cv") and importlib.util.find_spec(package) is None:
        extra = package.replace("_", "-")
        raise AttnzooError(f"{what} needs {package}, which is not installed; run `pip install 'attnzoo[{extra}]'`.")
    model = keras.saving.deserialize_keras_object(base)
    if not is_container(model):
        raise AttnzooError(f"{what} was loaded as a {type(model).__name__}, which is no Functional model.")
    rooms = containers(model)
    if any(is_inserted(layer) for room in rooms for layer in room.layers):
        raise AttnzooError(f"{what} cannot be loaded: its constructor inserts attention itself.")
    count = sum(len(operations(room)) for room in rooms)
    if count != config["operations"]:
        raise AttnzooError(
            f"{what} was saved with {config['operations']} operations, but its class makes {count} here;"
            " load it with the version of the package that it was saved with."
        )
    model.name = name
    return model


def _set_trainable(model: Any, config: dict[str, Any]) -> None:
    """Sets the flags from the outside in, because setting one sets all below it."""
    if model.trainable != config["trainable"]:
        model.trainable = config["trainable"]
    frozen = {tuple(address) for address in config["frozen"]}
    for i, room in enumerate(containers(model)):
        for j, op in enumerate(operations(room)):
            if isinstance(op, keras.layers.Layer) and op.trainable == ((i, j) in frozen):
                op.trainable = not op.trainable


def _no_preset(self: Any, *args: Any, **kwargs: Any) -> None:
    """Refuses: a preset holds the arguments of a constructor that knows nothing of attention."""
    raise AttnzooError(
        f"'{self.name}' cannot be saved as a preset, which has no place for attention;"
        " use model.save('name.keras'), or save attnzoo.strip(model)."
    )
