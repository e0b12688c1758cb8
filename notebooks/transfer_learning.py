# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transfer learning with attention
#
# From a pretrained backbone to a fine-tuned model with attention in it: look at the backbone, plan, insert, check that
# nothing has changed, put a head on, train the new parts, then train everything gently. At the end, the same from YAML.
#
# To use it for your own images, replace the two cells under *Data* and *Backbone*.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

import attnzoo

keras.utils.set_random_seed(0)
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Data
#
# Scikit-learn's handwritten digits, enlarged to 32x32 pixels with three channels. The digits 0 to 4 stand for the large
# data set that a backbone is pretrained on; 5 to 9 are the small one we care about: 150 images to learn from.

# %%
digits = load_digits()
images = (digits.images / 8.0 - 1.0).astype("float32").repeat(4, axis=1).repeat(4, axis=2)[..., None].repeat(3, axis=3)
order = np.random.default_rng(0).permutation(len(images))
images, labels = images[order], digits.target[order]

x_large, y_large = images[labels < 5], labels[labels < 5]
x_small, y_small = images[labels >= 5], labels[labels >= 5] - 5
x_train, y_train = x_small[:150], y_small[:150]
x_test, y_test = x_small[150:], y_small[150:]
print(len(x_large), "images to pretrain on;", len(x_train), "to fine-tune on,", len(x_test), "to test on")


# %% [markdown]
# ## Backbone
#
# With network you would take a pretrained one, and everything below stays as it is. So that this notebook runs
# anywhere, it pretrains a small residual network of its own instead: a stand-in that takes seconds.

# %%
# With network:
# backbone = keras.applications.MobileNetV2(include_top=False, weights="imagenet", input_shape=(160, 160, 3))


def convolution(x, filters, size, strides=1):
    x = keras.layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)


def residual_block(x, filters, strides):
    branch = keras.layers.ReLU()(convolution(x, filters, 3, strides))
    branch = convolution(branch, filters, 3)
    shortcut = x if strides == 1 and x.shape[-1] == filters else convolution(x, filters, 1, strides)
    return keras.layers.ReLU()(keras.layers.Add()([branch, shortcut]))


inputs = keras.Input((32, 32, 3), name="image")
x = keras.layers.ReLU()(convolution(inputs, 16, 3, strides=2))
for filters, strides in [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]:
    x = residual_block(x, filters, strides)
backbone = keras.Model(inputs, x, name="small_resnet")


# %%
def with_head(backbone, classes):
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(backbone.input, x, name=backbone.name)


def fit(model, x, y, epochs, rate):
    """Trains and draws the accuracy of each epoch."""
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)  # or else TensorFlow traces the model twice
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history
    for epoch, accuracy in enumerate(history["accuracy"], 1):
        print(f"epoch {epoch:2}  accuracy {accuracy:.3f}  {'#' * round(40 * accuracy)}")


def predict(model, x):
    """Runs the model eagerly: a compiled graph may round differently, and below we compare exactly."""
    return keras.ops.convert_to_numpy(model(x, training=False))


def accuracy(model, x, y):
    return float((predict(model, x).argmax(-1) == y).mean())


fit(with_head(backbone, classes=5), x_large, y_large, epochs=3, rate=3e-3)
backbone.save(folder / "backbone.keras")

# %% [markdown]
# ## What attnzoo sees in it
#
# Stages are where attention is addressed. Networks whose last stage is at stride 32, as most on ImageNet, have stages 1
# to 4 at strides 4, 8, 16 and 32; small ones such as this count from 1.

# %%
print(attnzoo.describe(backbone))

# %% [markdown]
# ## Plan
#
# What would go where, and what it would cost. Nothing is built yet, and nothing in `backbone` changes, now or later.

# %%
plan = attnzoo.plan(backbone, "cbam", stages=[2, 3], placement="residual")
print(plan)

# %% [markdown]
# ## Insert
#
# `plan.apply()`, or in one line without a plan:
#
# `attnzoo.augment(backbone, "cbam", stages=[2, 3], placement="residual")`

# %%
augmented = plan.apply()

# %% [markdown]
# The new model computes what the old one computes, exactly. A fresh module from random weights would not:
# `init="paper"` is that usual way, and its features are others.

# %%
features = predict(backbone, x_test)
usual = attnzoo.augment(backbone, "cbam", stages=[2, 3], placement="residual", init="paper")
unchanged = 100 * float((predict(augmented, x_test) == features).mean())
unchanged_usual = 100 * float((predict(usual, x_test) == features).mean())
print(f"feature values unchanged: {unchanged:.0f} % with attnzoo, {unchanged_usual:.0f} % from random weights")

# %% [markdown]
# ## Fine-tune
#
# A new head for the new classes. First only attention and head train; the backbone, its batch statistics included,
# stays bit for bit. `freeze` returns a table of what trains. Compile after it.

# %%
model = with_head(augmented, classes=5)
attnzoo.freeze(model, train="attention+head")

# %%
fit(model, x_train, y_train, epochs=12, rate=5e-3)

# %% [markdown]
# Then everything, at a low rate. Batch statistics of the backbone stand still; `batch_norm="train"` would move them.

# %%
print(attnzoo.freeze(model, train="all"))
fit(model, x_train, y_train, epochs=6, rate=3e-4)

# %% [markdown]
# The scalars `alpha` blend attention in: 0 is none of it, 1 the module as published. Training has moved them:

# %%
for layer in model.layers:
    if isinstance(layer, attnzoo.layers.Attention):
        print(f"{layer.name:20} alpha = {float(layer.alpha):+.3f}")

# %% [markdown]
# ## The same without attention
#
# The same recipe for the plain backbone. On a task this small the two differ by chance as much as by attention; compare
# over several seeds, on your own data, before you believe a difference.

# %%
plain = with_head(attnzoo.load_model(folder / "backbone.keras"), classes=5)
attnzoo.freeze(plain, train="head")
fit(plain, x_train, y_train, epochs=12, rate=5e-3)
attnzoo.freeze(plain, train="all")
fit(plain, x_train, y_train, epochs=6, rate=3e-4)

# %%
print(f"right on the test images: {accuracy(model, x_test, y_test):.1%} with attention,", end=" ")
print(f"{accuracy(plain, x_test, y_test):.1%} without")

# %% [markdown]
# ## Save and reload
#
# An ordinary `.keras` file. `keras.saving.load_model` reads it too, once attnzoo has been imported.

# %%
model.save(folder / "digits_5_to_9.keras")
reloaded = attnzoo.load_model(folder / "digits_5_to_9.keras")
print("same outputs:", bool((predict(reloaded, x_test) == predict(model, x_test)).all()))

# %% [markdown]
# ## The same from YAML
#
# A configuration says all of it in one place: the backbone, what is inserted, the head. It can be a mapping,

# %%
from_mapping = attnzoo.build(
    {
        "backbone": {"name": f"file:{folder / 'backbone.keras'}"},
        "insert": [{"attention": "cbam", "stages": [2, 3], "placement": "residual"}],
        "head": {"classes": 5, "activation": "softmax"},
    }
)

# %% [markdown]
# or a file, in which paths are relative to the file. `attnzoo list configs` names those that come with attnzoo, and
# `attnzoo plan digits.yaml` prints the plan.

# %%
(folder / "digits.yaml").write_text("""\
backbone:
  name: file:backbone.keras
insert:
  - attention: cbam
    stages: [2, 3]
    placement: residual
head:
  classes: 5
  activation: softmax
""")
from_file = attnzoo.build(folder / "digits.yaml", overrides={"head.dropout": 0.2})

# %% [markdown]
# Both are what we made in code above, before fine-tuning: they compute the backbone's features, exactly.


# %%
def features_of(model):
    return keras.Model(model.input, model.get_layer("head_pool").input)


unchanged_mapping = 100 * float((predict(features_of(from_mapping), x_test) == features).mean())
unchanged_file = 100 * float((predict(features_of(from_file), x_test) == features).mean())
print(f"feature values unchanged: {unchanged_mapping:.0f} % from a mapping, {unchanged_file:.0f} % from a file")
