"""Plans refuse sites that a module cannot take, say what would fit, and say what a module chose by itself."""

from __future__ import annotations

import keras
import pytest

import attnzoo
from attnzoo.errors import PlanError
from attnzoo.layers._registry import attention_class


def net(size=32):
    """Stages of 12, 24 and 40 channels, on maps of `size` / 2, 4 and 8."""
    x = inputs = keras.Input((size, size, 3))
    for name, channels in {"a": 12, "b": 24, "c": 40}.items():
        x = keras.layers.Conv2D(channels, 3, 2, "same", activation="relu", name=name)(x)
    return keras.Model(inputs, x, name="net")


EVERYWHERE = ["a", "b", "c"]


def test_hosts_with_the_same_reason_stand_together_and_a_map_of_open_size_shows_as_such():
    with pytest.raises(PlanError) as error:
        attnzoo.plan(net(None), "ge", gather="conv", after=EVERYWHERE)
    assert str(error.value) == (
        "attention 'ge' cannot go on 3 of 3 sites: after 'a' (? x ? x 12), 'b' (? x ? x 24), 'c' (? x ? x 40): "
        "gather='conv' over the whole map has a weight for each position, so height and width must be known. "
        "Without gather='conv' it fits every site."
    )


def test_many_hosts_are_counted():
    x = inputs = keras.Input((8, 8, 6))
    for i in range(9):
        x = keras.layers.Conv2D(6, 1, name=f"c{i}")(x)
    with pytest.raises(PlanError) as error:
        attnzoo.plan(keras.Model(inputs, x), "sge", groups=4, after="c*")
    hosts = ", ".join(f"'c{i}' (8 x 8 x 6)" for i in range(6))
    assert str(error.value) == (
        f"attention 'sge' cannot go on 9 of 9 sites: after {hosts}, ... (3 more): 6 channels do not divide into "
        "groups=4 (groups=3 would fit). Without groups=4 it fits every site."
    )


CHOSEN = [
    (
        "sge",
        {},
        "sge chooses for each site: groups=12 at 12 channels; groups=24 at 24 channels; groups=40 at 40 channels.",
    ),
    (
        "ema",
        {},
        "ema chooses for each site: groups=12 at 12 channels; groups=24 at 24 channels; groups=20 at 40 channels.",
    ),
    (
        "ela",
        {},
        "ela chooses for each site: norm_groups=12 at 12, 24 channels; norm_groups=10 at 40 channels.",
    ),
    (
        "fca",
        {},
        "fca chooses for each site: num_frequencies=4 at 12 channels; num_frequencies=8 at 24, 40 channels.",
    ),
    ("eca", {}, "eca chooses for each site: kernel_size=3 at 12, 24, 40 channels."),
    ("eca", {"min_kernel_size": 5}, "eca chooses for each site: kernel_size=5 at 12, 24, 40 channels."),
]


@pytest.mark.parametrize(("key", "options", "note"), CHOSEN)
def test_a_plan_says_what_a_module_chose_by_itself(key, options, note):
    plan = attnzoo.plan(net(), key, after=EVERYWHERE, **options)
    assert plan.notes == (note,)
    assert str(plan).endswith(f"\nnote: {note}")
    assert plan.to_dict()["notes"] == [note]


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("sge", {"groups": 4}),
        ("ema", {"groups": 4}),
        ("ela", {"norm_groups": 4}),
        ("fca", {"num_frequencies": 4}),
        ("eca", {"kernel_size": 3}),
        ("se", {"ratio": 4}),
        ("cbam", {"ratio": 4}),
    ],
)
def test_what_was_asked_for_is_not_a_choice(key, options):
    assert attnzoo.plan(net(), key, after=EVERYWHERE, **options).notes == ()


@pytest.mark.parametrize("channels", [1, 12, 24, 64, 80, 1024])
@pytest.mark.parametrize("key", ["eca", "ela", "ema", "fca", "sge"])
def test_asking_for_what_is_chosen_changes_nothing(key, channels):
    cls = attention_class(key)
    option, _, value = cls().automatic(channels).partition("=")
    chosen, asked = cls(), cls(**{option: int(value)})
    for layer in (chosen, asked):
        layer.build((None, 4, 4, channels) if layer.data_format == "channels_last" else (None, channels, 4, 4))
    assert [w.shape for w in chosen.weights] == [w.shape for w in asked.weights]
    assert chosen.macs(channels, 4, 4) == asked.macs(channels, 4, 4)


def test_modules_of_the_users_own_choose_nothing_and_have_no_remedy():
    plan = attnzoo.plan(net(), lambda channels: keras.layers.Conv2D(channels, 1), after="a")
    assert plan.notes == ()


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("stage", "stages"), ("block", "blocks"), ("placment", "placement"), ("share_weight", "share_weights")],
)
def test_a_slip_in_an_argument_of_augment_is_named(slip, meant):
    with pytest.raises(PlanError, match=rf"has no option '{slip}'\. Did you mean '{meant}'\?"):
        attnzoo.augment(net(), "se", **{slip: 1})


def test_plans_descriptions_and_reports_show_themselves():
    model = net()
    for shown in (attnzoo.plan(model, "se", after="a"), attnzoo.describe(model)):
        assert repr(shown) == str(shown)
        assert repr(shown).startswith("net")


def se_block(x, ratio=8):
    """As blogs have it: a function of a tensor."""
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = keras.layers.Dense(x.shape[-1] // ratio, activation="relu")(y)
    return x * keras.layers.Dense(x.shape[-1], activation="sigmoid")(y)


def test_a_function_of_a_tensor_is_told_what_a_callable_must_be():
    with pytest.raises(PlanError) as error:
        attnzoo.augment(net(), se_block, after="a")
    assert str(error.value).startswith("attention callable 'se_block' failed when called with 12 channels: ")
    assert str(error.value).endswith(
        "; expected a function that takes the number of channels and returns a layer."
        " Put a function of a tensor into the call() of a keras.layers.Layer."
    )
