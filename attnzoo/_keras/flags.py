"""Which weights of a layer train: the flags of layers and of single weights, and what a layer's user had frozen inside.

A layer's flag, once set, overwrites those of all its weights. What was frozen inside a layer before (the kernel of a
layer with LoRA, which alone makes it LoRA) is therefore kept beside them, as names, and travels with copies.
"""

from __future__ import annotations

from typing import Any

from attnzoo._keras.graph import is_container, layers_inside

_FROZEN, _TRAINS = "_attnzoo_frozen", "_attnzoo_trains"


def own_weights(layer: Any) -> list[Any]:
    """Returns the weights made to be trained that a layer holds itself, not by way of a layer inside it."""
    return list(layer._trainable_variables)


def weights_made_to_train(op: Any) -> list[Any]:
    """Returns the weights of a layer and of all layers inside it that were made to be trained, frozen or not."""
    return [w for layer in (op, *layers_inside(op)) for w in own_weights(layer)]


def frozen_inside(op: Any) -> dict[int, Any]:
    """Returns, by `id`, the weights that a layer's user froze inside it, as opposed to the whole layer.

    Told from what `set_trainable` left: a flag that is another one now was set by the user. Files of Keras do not hold
    flags of single weights; LoRA, which they do hold, is recognised.
    """
    found = {}
    for layer in (op, *layers_inside(op)):
        before, left = getattr(layer, _FROZEN, ()), getattr(layer, _TRAINS, None)
        for w in own_weights(layer):
            changed = left is None or w.trainable != (w.name in left)
            frozen = w.name in before if not changed or not op.trainable else not w.trainable
            if frozen or (getattr(layer, "lora_enabled", False) and w.name in ("kernel", "embeddings")):
                found[id(w)] = w
    return found


def set_trainable(op: Any, weights: set[int], live: set[int], frozen: dict[int, Any]) -> None:
    """Sets which weights of a layer, and of all layers inside it, train.

    Args:
        op: the layer.
        weights: ids of the weights that train.
        live: ids of the layers that run as in training: a BatchNormalization that is not among them normalises with
            its moving statistics and leaves them as they are, whether weights of it train or not.
        frozen: what `frozen_inside` returned; remembered.
    """
    layers = [op, *layers_inside(op)]
    for layer in (x for x in layers if x.weights):  # from the outside in, because setting a flag sets all below it
        layer.trainable = any(id(x) in live for x in (layer, *layers_inside(layer)))
    for layer in layers:
        own = own_weights(layer)
        for w in own:
            w.trainable = id(w) in weights
        if own:
            setattr(layer, _FROZEN, tuple(w.name for w in own if id(w) in frozen))
            setattr(layer, _TRAINS, tuple(w.name for w in own if w.trainable))


def copy_flags(old: Any, new: Any) -> None:
    """Gives one layer, none inside it, what is remembered of the flags of its twin."""
    for name in (_FROZEN, _TRAINS):
        if name in vars(old):
            setattr(new, name, vars(old)[name])


def open_all(model: Any) -> None:
    """Sets the flags of a model and of all layers in it, layers without weights too, to trainable."""
    # One by one: on TensorFlow, setting an attribute to the value it has is skipped, and all below with it.
    for layer in (model, *layers_inside(model)):
        layer.trainable = True


def open_models(model: Any) -> None:
    """Sets the flags of a model and of all models in it to trainable, and none of their layers'."""
    for layer in (model, *layers_inside(model)):
        if is_container(layer):
            layer._trainable = True


def flags_of(model: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Returns the flags of a model, of all layers in it and of their weights, to be put back by `restore_flags`."""
    layers = [model, *layers_inside(model)]
    kept = [(x, {k: vars(x).get(k) for k in ("_trainable", _FROZEN, _TRAINS)}) for x in layers]
    return [*kept, *((w, {"trainable": w.trainable}) for w in model.weights)]


def restore_flags(flags: list[tuple[Any, dict[str, Any]]]) -> None:
    """Puts back what `flags_of` returned."""
    for owner, values in flags:
        for name, value in values.items():
            if value is None:
                vars(owner).pop(name, None)
            else:
                setattr(owner, name, value)
