"""What attributes and functions hold: what two layers may share, and which parts of Keras a value reaches."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import keras

PLAIN = (
    types.NoneType,
    bool,
    int,
    float,
    str,
    types.BuiltinFunctionType,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.layers.InputSpec,
    keras.DTypePolicy,
)
MADE_ANEW = (keras.Metric, keras.optimizers.Optimizer, keras.losses.Loss)
"""What has state of its own, and begins without it in a new model."""
_LEAVES = (
    keras.KerasTensor,
    keras.Variable,
    keras.Operation,
    keras.random.SeedGenerator,
    *MADE_ANEW,
    *(c for c in PLAIN if c.__module__.startswith("keras")),
    types.FunctionType,
)
_SHARED = (*MADE_ANEW, keras.KerasTensor, keras.Variable, keras.Operation, keras.random.SeedGenerator)
_LIBRARIES = ("keras", "tensorflow", "jax", "torch", "numpy")
_ATOMS = (types.NoneType, bool, int, float, complex, str, bytes, type, types.ModuleType, types.BuiltinFunctionType)


def is_plain(value: Any) -> bool:
    """True for what two layers may share: values that never change, lists of them, functions that hold nothing else."""
    if isinstance(value, tuple | list):
        return all(is_plain(v) for v in value)
    if isinstance(value, types.FunctionType):
        return all(_is_plain_cell(cell) for cell in value.__closure__ or ())
    return isinstance(value, PLAIN)


def _is_plain_cell(cell: Any) -> bool:
    try:
        value = cell.cell_contents
    except ValueError:  # an empty cell
        return True
    return value.__closure__ is None if isinstance(value, types.FunctionType) else is_plain(value)


def is_foreign_variable(value: Any) -> bool:
    """True for a variable that Keras does not know, such as a tf.Variable."""
    return not isinstance(value, keras.Variable) and hasattr(value, "assign_add")


def reached(value: Any) -> Iterator[Any]:
    """Yields the parts of Keras that a value holds, and functions: in containers, objects, methods and partials."""
    return _walk([value], None)


def held_by(function: Any) -> Any:
    """Returns a tensor, variable, layer or the like that a function holds, or None: in its closure, among its defaults,
    among what is global in its module, or in functions that it calls.
    """
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    found = _walk([function], getattr(called, "__globals__", {}))
    return next((v for v in found if isinstance(v, _SHARED) or is_foreign_variable(v)), None)


def _walk(waiting: list[Any], module: dict[str, Any] | None) -> Iterator[Any]:
    """Walks through values; into functions only for a module, the one whose globals they may read."""
    seen: dict[int, Any] = {}
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _ATOMS):
            continue
        seen[id(value)] = value  # kept, for ids to stay what they are
        if isinstance(value, types.FunctionType | types.MethodType) and module is not None:
            waiting += _inside(value, module)
        elif isinstance(value, _LEAVES) or is_foreign_variable(value):
            yield value
        else:
            waiting += _parts(value)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if keras.ops.is_tensor(value):
        return []
    slots = [name for cls in type(value).__mro__ for name in vars(cls).get("__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, n) for n in slots if hasattr(value, n))]


def _inside(function: Any, module: dict[str, Any]) -> list[Any]:
    if isinstance(function, types.MethodType):
        return [function.__self__, function.__func__]
    if str(function.__module__).partition(".")[0] in _LIBRARIES:
        return []
    cells = [c.cell_contents for c in function.__closure__ or () if c != types.CellType()]
    given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    names = _names(function.__code__) if function.__globals__ is module else set()
    return [*cells, *given, *(v for k, v in module.items() if k in names)]


def _names(code: types.CodeType) -> set[str]:
    """Returns all names that code reads, functions defined in it included."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
