"""What an attribute of a model of a class of its own holds, at any depth, is that of the new graph or a copy."""

import collections
import functools
import threading
import types
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import RewriteError

from ..helpers import assert_same_outputs, moved, reloaded
from .test_backbone_classes import net

Pair = collections.namedtuple("Pair", "first second")


@dataclass
class Box:
    content: object


class Slotted:
    __slots__ = ("content",)

    def __init__(self, content):
        self.content = content


@dataclass(frozen=True)
class Frozen:
    content: object


WRAPPED = {
    "dataclass": (Box, lambda held: held.content),
    "frozen dataclass": (Frozen, lambda held: held.content),
    "object with slots": (Slotted, lambda held: held.content),
    "namespace": (lambda x: types.SimpleNamespace(content=x), lambda held: held.content),
    "list": (lambda x: [x], lambda held: held[0]),
    "tuple": (lambda x: (x,), lambda held: held[0]),
    "namedtuple": (lambda x: Pair(1, x), lambda held: held.second),
    "dict": (lambda x: {"a": x}, lambda held: held["a"]),
    "ordered dict": (lambda x: collections.OrderedDict(a=x), lambda held: held["a"]),
    "defaultdict": (lambda x: collections.defaultdict(list, a=x), lambda held: held["a"]),
    "deque": (lambda x: collections.deque([x]), lambda held: held[0]),
    "set": (lambda x: {id(x): {"x": x}}, lambda held: next(iter(held.values()))["x"]),
    "partial": (lambda x: functools.partial(print, x), lambda held: held.args[0]),
    "box in a list in a box": (lambda x: Box([Box(x)]), lambda held: held.content[0].content),
}
PARTS = {
    "a layer": lambda m: m.get_layer("logits"),
    "a tensor": lambda m: m.get_layer("pool").output,
    "a variable": lambda m: m.get_layer("logits").kernel,
    "a variable of its own": lambda m: m.scale,
    "a layer outside": lambda m: m.outside,
}


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_what_an_attribute_holds_is_that_of_the_new_model(wrapped):
    wrap, unwrap = WRAPPED[wrapped]
    model = net()
    for part, find in PARTS.items():
        setattr(model, f"my {part}", wrap(find(model)))
    new = attnzoo.augment(model, "se")
    for part, find in PARTS.items():
        held = unwrap(getattr(new, f"my {part}"))
        assert held is find(new), part
        assert held is not find(model), part
    shared = attnzoo.augment(model, "se", share_weights=True)
    assert unwrap(getattr(shared, "my a layer")) is model.get_layer("logits")


def test_methods_arrays_and_random_states():
    model = net()
    model.mine = Box([model.describe_me, model.get_layer("logits").get_config, np.arange(3), Box, model])
    model.chance = keras.random.SeedGenerator(3)
    keras.random.normal((2,), seed=model.chance)
    model.sum = Box(keras.metrics.Sum(name="mine"))
    new = attnzoo.augment(model, "se")
    method, other, numbers, cls, itself = new.mine.content
    assert (method.__self__, other.__self__, cls, itself) == (new, new.get_layer("logits"), Box, new)
    assert numbers is not model.mine.content[2]
    assert new.sum.content is not model.sum.content
    a, b = (keras.random.normal((2,), seed=m.chance) for m in (model, new))
    np.testing.assert_array_equal(a, b)


def test_two_attributes_that_hold_one_thing_still_do():
    model = net()
    model.one = Box(model.get_layer("logits"))
    vars(model)["other"] = [model.one]
    new = attnzoo.augment(model, "se")
    assert new.other[0] is new.one


def test_what_a_dataclass_holds_reads_the_attended_map_from_a_file_too(tmp_path):
    model = net()
    model.mine = Box(model.maps["low"])
    new = moved(attnzoo.augment(model, "cbam", placement="shortcut"))
    assert_same_outputs(new, reloaded(new, tmp_path))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda m: threading.Lock(), "a lock that cannot be copied"),
        (lambda m: keras.Input((3,)), "a tensor of another graph"),
        (lambda m: layers.Dense(1, name="far").add_weight(name="far"), "a foreign variable"),
        (lambda m: lambda: m.width, "a function that cannot be copied: it remembers other objects"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda x: x, Box, lambda x: collections.defaultdict(list, a=[x])])
def test_what_cannot_be_carried_is_refused_at_any_depth(wrap, value, what):
    model = net()
    vars(model)["extra"] = wrap(value(model))
    with pytest.raises(RewriteError, match=r"^'net' \(Net\): attribute 'extra' holds ") as error:
        attnzoo.augment(model, "se")
    assert what.removeprefix("a lock ") in str(error.value)
