"""A second reading of a plan: the old graph run call by call, with attention applied where the sites say.

It knows nothing of how graphs are rebuilt: each call of `describe(model).graph` runs eagerly, and what flows along the
edges of a site goes through the site's layer, taken from the new model. With attention that acts, a wrong place shows.
"""

from __future__ import annotations

import collections

import keras
import numpy as np
from keras import tree

import attnzoo
from attnzoo._keras import layers_inside, node_of

from .helpers import array, outputs


def reference(model, plan, new, x):
    """Returns the outputs that `model` has with attention at the sites of `plan`; `new` holds the attention."""
    graph = attnzoo.describe(model).graph
    inserted = {layer.name: layer for layer in layers_inside(new)}
    after, before = collections.defaultdict(list), collections.defaultdict(list)
    for site in plan:
        value, edges = site.spot.value, site.spot.edges
        where = after if edges is None else before
        for call, index in [(value.call, value.index)] if edges is None else edges:
            key = (id(call.container), id(call.place), index)
            if inserted[site.name] not in where[key]:  # a layer that is called twice has its edges twice
                where[key].append(inserted[site.name])

    def attended(layers, y):
        for layer in layers:
            y = layer(y)
        return y

    values = {id(v): keras.ops.convert_to_tensor(t) for v, t in zip(graph.inputs, tree.flatten(x), strict=True)}
    for call in graph.calls:
        place = (id(call.container), id(call.place))
        read = iter([attended(before[(*place, i)], values[id(v)]) for i, v in enumerate(call.inputs)])
        given = node_of(call.outputs[0].tensor).arguments
        args, kwargs = tree.map_structure(
            lambda a, read=read: next(read) if isinstance(a, keras.KerasTensor) else a, (given.args, given.kwargs)
        )
        for value, y in zip(call.outputs, tree.flatten(call.op(*args, **kwargs)), strict=True):
            values[id(value)] = attended(after[(*place, value.index)], y)
    return [array(values[id(v)]) for v in graph.outputs]


def assert_places(model, plan, new, x):
    """Raises if a model does not compute what its plan says."""
    for expected, found in zip(reference(model, plan, new, x), outputs(new, x), strict=True):
        np.testing.assert_allclose(expected, found, rtol=1e-5, atol=1e-6)
