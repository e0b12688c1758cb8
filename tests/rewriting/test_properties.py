"""Rules that hold for every graph: random models, every module, random places, two modules after each other.

How many graphs a run draws, and how many of them took attention, is printed.
"""

import collections

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

import attnzoo
from attnzoo.errors import PlanError
from attnzoo.planning.placement import PLACEMENTS

from ..graphs import data_for, draw_model
from ..helpers import array, config_of, leaf_layers, moved, outputs
from ..reference_interpreter import assert_places

MODULES = attnzoo.list_attentions()


def draw_case(draw):
    """Returns a model, and one or two requests: a module, and places to try until the model has one."""
    model = draw_model(draw)
    names = [*leaf_layers(model), *(v.name for v in model.layers)]
    requests = []
    for key in draw(st.lists(st.sampled_from(MODULES), min_size=1, max_size=2)):
        where = {
            "placement": draw(st.sampled_from(PLACEMENTS)),
            "stages": draw(st.sampled_from([None, None, [1], [2]])),
        }
        after = {"after": draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))}
        places = [where, after] if draw(st.booleans()) else [after, where]
        requests.append((key, [*places, {"placement": "stage"}]))
    return model, requests


# What is compared ------------------------------------------------------------------------------------------------


def containers(model):
    yield model
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from containers(layer)


def operations(model):
    return model.layers if isinstance(model, keras.Sequential) else model.operations


def state(model):
    """All of a model that must not change."""
    leaves = leaf_layers(model)
    return {
        "config": config_of(model),
        "weights": {k: [array(w) for w in v.weights] for k, v in leaves.items()},
        "variables": [id(v) for v in model.variables],
        "trainable": {k: v.trainable for k, v in leaves.items()} | {m.name: m.trainable for m in containers(model)},
        "nodes": [len(op._inbound_nodes) for m in containers(model) for op in operations(m)],
        "compiled": model.compiled,
    }


def assert_same_state(a, b):
    weights = a.pop("weights"), b.pop("weights")
    assert a == b
    assert_same_weights(*weights)


def assert_same_weights(a, b):
    assert list(a) == list(b)
    for path in a:
        for left, right in zip(a[path], b[path], strict=True):
            np.testing.assert_array_equal(left, right, err_msg=path)


def assert_equal(expected, model, x):
    for a, b in zip(expected, outputs(model, x), strict=True):
        np.testing.assert_array_equal(a, b)


# The rules -------------------------------------------------------------------------------------------------------


def planned(model, key, places):
    """Returns the plan for the first place that the model has, or None; what it lacks is said in one line."""
    for where in places:
        try:
            plan = attnzoo.plan(model, key, **where)
        except PlanError as error:
            refused = str(error)
        else:
            assert plan == attnzoo.plan(model, key, **where)
            return plan
        assert refused.endswith((".", "?"))
        assert "\n" not in refused
    return None


def check_plan(plan, model, new):
    """The plan is what was built, named after its hosts, in the order of the graph; nothing else has changed."""
    old, now = leaf_layers(model), leaf_layers(new)
    # By name: a module in front of the first block of a nested model stands in it, its host outside of it.
    added = {v.name: v for k, v in now.items() if k not in old}
    assert sorted(added) == sorted(s.name for s in plan)
    assert len(now) == len(old) + len(plan)
    for site in plan:
        layer = added[site.name]
        assert sum(int(keras.ops.size(w)) for w in layer.trainable_weights) == site.parameters
        assert site.name.startswith(f"{site.host}_{site.attention}")
        assert (layer.site, layer.trainable) == (site.host, True)
    calls = attnzoo.describe(model).graph.calls
    if not any(c.inserted for c in calls):  # else a site stands where the last attention after its host does
        order = ["/".join((*c.path, c.op.name)) for c in calls]
        found = [order.index(s.path) for s in plan if s.path in order]
        assert found == sorted(found)
    for one in containers(new):
        names = [v.name for v in one.layers]
        assert len(names) == len(set(names))
    assert {k: v.trainable for k, v in old.items()} == {k: now[k].trainable for k in old}
    assert {k: type(v) for k, v in old.items()} == {k: type(now[k]) for k in old}
    for path, layer in old.items():
        assert layer.dtype_policy == now[path].dtype_policy
        for a, b in zip(layer.weights, now[path].weights, strict=True):
            assert a is not b
            np.testing.assert_array_equal(array(a), array(b), err_msg=path)


def check_surface(model, new):
    """Inputs and outputs have their names and structure; nothing is compiled that was not asked for."""
    assert type(new) is type(model)
    assert (new.name, new.compiled) == (model.name, False)
    if not isinstance(model, keras.Sequential):
        assert new.output_names == model.output_names
        assert [t.name for t in new.inputs] == [t.name for t in model.inputs]
        keras.tree.assert_same_structure(new.input, model.input)
        keras.tree.assert_same_structure(new.output, model.output)
    assert [(tuple(t.shape), t.dtype) for t in new.outputs] == [(tuple(t.shape), t.dtype) for t in model.outputs]


def check_strip(model, new, expected, x):
    bare = attnzoo.strip(new)
    assert config_of(bare) == config_of(model)
    assert_same_weights(state(model)["weights"], state(bare)["weights"])
    assert_equal(expected, bare, x)


def check(model, requests, path):
    """Checks all rules; returns how many sites there were."""
    x = data_for(model)
    expected = outputs(model, x)
    assume(all(np.isfinite(y).all() for y in expected))
    before, count, current = state(model), 0, model
    for key, places in requests:
        plan = planned(current, key, places)
        if plan is None:
            continue
        count += len(plan)
        new = plan.apply()
        check_plan(plan, current, new)
        check_surface(model, new)
        assert_equal(expected, new, x)
        assert_places(current, plan, moved(plan.apply(), {site.name for site in plan}), x)
        current = new
    assert_same_state(before, state(model))
    if count:
        check_strip(model, current, expected, x)
        acts = outputs(moved(current), x)
        current.save(path)
        reloaded = attnzoo.load_model(path)
        assert_equal(acts, reloaded, x)
        check_strip(model, reloaded, expected, x)
    return count


def run(graphs, path, part):
    """Draws so many graphs, others in each part; returns a tally of them."""
    tally = collections.Counter()

    @seed(part)
    @settings(max_examples=graphs, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def every_graph(data):
        sites = check(*draw_case(data.draw), path)
        tally.update(graphs=1, attended=sites > 0, sites=sites)

    every_graph()
    return tally


def report(tally, capsys):
    with capsys.disabled():
        print(f"\n{tally['graphs']:,} random graphs, {tally['attended']:,} took attention at {tally['sites']:,} sites")


def test_random_graphs(tmp_path, capsys):
    tally = run(40, tmp_path / "m.keras", 0)
    report(tally, capsys)
    assert tally["graphs"] >= 36
    assert tally["attended"] >= 0.8 * tally["graphs"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(1, 11))
def test_a_thousand_random_graphs(part, tmp_path, capsys):
    tally = run(100, tmp_path / "m.keras", part)
    keras.utils.clear_session()
    report(tally, capsys)
    assert tally["graphs"] >= 90
    assert tally["attended"] >= 0.75 * tally["graphs"]
