"""The contract every attention keeps, as one function: `check_attention(MyModule)` in your own tests.

It is backend-neutral, takes a second or two, and raises an `AttnzooError` of one line at the first promise broken.
"""

from __future__ import annotations

import json
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from attnzoo.errors import AttnzooError
from attnzoo.layers import Attention

__all__ = ["check_attention"]


def check_attention(cls: type[Attention], *, channels: int = 16, size: int = 8, **options: Any) -> None:
    """Checks that an attention class keeps the promises of `Attention`.

    Same shape out in both data formats; `init="identity"` returns the input exactly in float32, mixed_float16 and
    mixed_bfloat16, training or not, and trains: every weight has a gradient within two steps; the configuration is
    plain JSON and rebuilds the layer; a saved model reloads equal; odd, tiny and unknown sizes work or are refused by
    `check_site`; `macs` counts. Sets Keras' random seed.

    Args:
        cls: the class; give enough channels that its hidden layers are not a single unit.
        channels: channels of the maps it is tried on.
        size: their height and width.
        **options: constructor arguments.

    Raises:
        AttnzooError: names the first promise that is broken.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    # Images differ in the mean of each channel, so that no hidden unit is dead on all of them.
    x = rng.normal(size=(8, size, size, channels)) + rng.normal(size=(8, 1, 1, channels))
    x = x.astype("float32")
    try:
        _check_shapes(cls, x, options)
        _check_data_formats(cls, x, options)
        _check_identity(cls, x, options)
        _check_training(cls, x, options)
        _check_config(cls, x, options)
        _check_saving(cls, x, options)
        _check_macs(cls, x, options)
    except _BrokenPromise as promise:
        given = "".join(f", {k}={v!r}" for k, v in options.items())
        raise AttnzooError(f"{cls.__name__}(channels {channels}, size {size}{given}): {promise}.") from None


class _BrokenPromise(Exception):
    """What a check found, before it is known which class it was for."""


def _expect(kept: Any, otherwise: str) -> None:
    if not kept:
        raise _BrokenPromise(otherwise)


def _run(layer: Any, x: np.ndarray, training: bool = False) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(layer(ops.convert_to_tensor(x), training=training), "float32")))


def _refused(cls: type[Attention], shape: tuple[int | None, ...], options: dict[str, Any]) -> bool:
    _, height, width, channels = shape
    return cls.check_site(channels or 1, height, width, cls(**options).get_config()) is not None


def _first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _check_shapes(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    _, height, width, channels = x.shape
    _expect(not _refused(cls, x.shape, options), "check_site refuses the map it is checked on; give other sizes")
    shapes = [(2, height, width, channels), (2, 1, 1, channels), (1, 5, 7, channels), (1, 7, 3, 1), (2, 1, 4, channels)]
    for shape in shapes:
        if _refused(cls, shape, options):
            continue
        small = np.random.default_rng(1).normal(size=shape).astype("float32")
        for training in (False, True):
            y = _run(cls(init="paper", data_format="channels_last", **options), small, training)
            _expect(y.shape == shape, f"a map of shape {shape} came out as {y.shape}")
            _expect(np.isfinite(y).all(), f"a map of shape {shape} gives values that are not finite")
    free = keras.Input((None, None, channels))
    if _refused(cls, free.shape, options):
        return
    model = keras.Model(free, cls(init="paper", data_format="channels_last", **options)(free))
    y = np.asarray(model.predict_on_batch(x[:2, : height - 1]))
    _expect(y.shape == (2, height - 1, width, channels), "a model for any height and width changes the shape")
    same = cls(init="paper", data_format="channels_last", **options)
    same.build((None, height - 1, width, channels))
    same.set_weights(model.layers[-1].get_weights())
    _expect(np.allclose(_run(same, x[:2, : height - 1]), y, atol=1e-5), "unknown height and width change the result")


def _check_data_formats(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    last = cls(init="paper", data_format="channels_last", **options)
    first = cls(init="paper", data_format="channels_first", **options)
    last.build(x.shape)
    first.build(_first(x).shape)
    first.set_weights(last.get_weights())
    for training in (False, True):
        there, back = _run(last, x, training), _run(first, _first(x), training).transpose(0, 2, 3, 1)
        _expect(np.allclose(there, back, atol=1e-5), "channels_first and channels_last disagree")


def _check_identity(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = cls(init="identity", data_format="channels_last", dtype=policy, **options)
        same = _run(lambda z, dtype=layer.compute_dtype, training=False: ops.cast(z, dtype), x)
        for training in (False, True):
            y = _run(layer, x, training)
            wrong = f"init='identity' is off by {np.abs(y - same).max():.1e} in {policy}, training={training}"
            _expect(np.array_equal(y, same), wrong)
    beside = _run(cls(init="identity", parallel=True, data_format="channels_last", **options), x)
    _expect(np.array_equal(beside, x), "init='identity' with parallel=True does not return the input")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, cls(init="identity", data_format="channels_last", **options)(inputs))
    model.compile(jit_compile=False)
    off = np.abs(np.asarray(model.predict_on_batch(x)) - x).max()
    _expect(off <= 1e-6, f"init='identity' is off by {off:.1e} once compiled")
    layer = cls(init="paper", data_format="channels_last", **options)
    y = _run(layer, x)
    published = layer.identity_as_published
    _expect(published == np.array_equal(y, x), f"identity_as_published is {published}, but init='paper' is not so")


def _check_training(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    inputs = keras.Input(x.shape[1:])
    layer = cls(init="identity", data_format="channels_last", **options)
    model = keras.Model(inputs, layer(inputs))
    # Momentum is the sum of past gradients; a weight itself may be too large to be moved visibly by a small one.
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, "mse", jit_compile=False)
    target = np.random.default_rng(2).normal(size=x.shape).astype("float32") * np.linspace(-1, 2, x.shape[-1])
    for _ in range(2):
        model.train_on_batch(x, target)
    moved = dict(zip((w.path for w in layer.trainable_weights), optimizer.momentums, strict=True))
    for weight in layer.trainable_weights:
        learns = np.any(np.asarray(ops.convert_to_numpy(moved[weight.path])) != 0)
        known = any(fnmatchcase(weight.name, pattern) for pattern in cls.no_gradient)
        _expect(learns or known, f"'{weight.name}' has had no gradient after two steps")
    for _ in range(8):
        model.train_on_batch(x, target)
    y = _run(layer, x)
    _expect(np.isfinite(y).all() and not np.array_equal(y, x), "ten steps of training have changed nothing")


def _check_config(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    layer = cls(init="identity", data_format="channels_last", **options)
    config = layer.get_config()
    try:
        plain = json.loads(json.dumps(config))
    except TypeError as error:
        raise _BrokenPromise(f"get_config is not plain JSON: {error}") from None
    _expect(plain == config, "get_config changes on its way through JSON")
    _expect(cls.from_config(plain).get_config() == config, "from_config does not rebuild the layer")
    _expect({*options} <= {*config}, f"get_config lacks {sorted({*options} - {*config})}")
    for name, value in options.items():
        known = isinstance(value, bool | int | float | str | None)
        _expect(not known or "initializer" in name or config[name] == value, f"get_config has another {name}")


def _check_saving(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, cls(init="identity", data_format="channels_last", **options)(inputs))
    rng = np.random.default_rng(3)
    layer = model.layers[-1]
    layer.set_weights([w + rng.uniform(0.1, 0.3, w.shape).astype(w.dtype) for w in layer.get_weights()])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = keras.saving.load_model(path, custom_objects={cls.__name__: cls})
    _expect(np.array_equal(_run(again, x), _run(model, x)), "a saved and reloaded model gives other values")


def _check_macs(cls: type[Attention], x: np.ndarray, options: dict[str, Any]) -> None:
    _, height, width, channels = x.shape
    macs = cls(**options).macs(channels, height, width)
    _expect(isinstance(macs, int) and macs >= 0, f"macs returns {macs!r}, not a whole number of 0 or more")
