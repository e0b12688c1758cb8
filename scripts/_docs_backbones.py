"""Writes docs/backbones.md by trying small KerasHub backbones; `--check` says whether it is what would be written."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from _page import write_or_check

from attnzoo.cli._quiet import import_keras

import_keras()

import keras  # noqa: E402
import numpy as np  # noqa: E402

import attnzoo  # noqa: E402
from attnzoo.errors import PlanError  # noqa: E402
from attnzoo.planning.placement import PLACEMENTS  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the models of the tests

from tests.hub_models import FAMILIES, SIZE  # noqa: E402

PAGE = ROOT / "docs" / "backbones.md"
HEADER = "| family | class | stages | blocks | placements | outputs | pyramid | file |"


def row(family: str, model: Any) -> list[str]:
    """Returns what is seen in a model: the cells that say where attention can go."""
    stages = attnzoo.describe(model).stages
    blocks = Counter(b.kind for s in stages for b in s.blocks)
    return [
        family,
        f"`{type(model).__name__}`",
        ", ".join(str(s.index) for s in stages) or "none",
        ", ".join(f"{n} {kind}" for kind, n in sorted(blocks.items())) or "none",
        ", ".join(placements(model)) or "`after`",
    ]


def placements(model: Any) -> list[str]:
    """Returns the placements that a model has."""
    found = []
    for placement in PLACEMENTS:
        try:
            attnzoo.plan(model, "eca", placement=placement)
        except PlanError:
            continue
        found.append(placement)
    return found


def checks(model: Any, folder: Path) -> list[str]:
    """Returns whether, in every place, outputs and pyramid are the same numbers and the file brings them back."""
    x = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    equal, same_pyramid, reloads = [], [], []
    for placement in placements(model):
        new = attnzoo.augment(model, "eca", placement=placement)
        equal.append(isinstance(new, type(model)) and _same(model(x), new(x)))
        if getattr(model, "pyramid_outputs", None):
            same_pyramid.append(_same(*(keras.Model(m.input, m.pyramid_outputs)(x) for m in (model, new))))
        for layer in new.layers:
            if isinstance(layer, attnzoo.layers.Attention):
                layer.alpha.assign(0.5)
        new.save(folder / "model.keras")
        again = attnzoo.load_model(folder / "model.keras")
        reloads.append(type(again) is type(new) and _same(new(x), again(x)))
    return [_verdict(equal, "equal"), _verdict(same_pyramid, "equal"), _verdict(reloads, "reloads")]


def _verdict(results: list[bool], word: str) -> str:
    return "-" if not results else word if all(results) else f"**{results.count(False)} of {len(results)} fail**"


def _same(a: Any, b: Any) -> bool:
    pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True)
    return all(np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in pairs)


def page() -> str:
    import keras_hub

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for family, make in FAMILIES.items():
            model = make()
            rows.append("| " + " | ".join([*row(family, model), *checks(model, Path(folder))]) + " |")
    table = "\n".join([HEADER, "|---" * 8 + "|", *rows])
    return TEXT.format(version=keras_hub.__version__, table=table)


TEXT = """\
<!-- Written by scripts/docs-backbones from small models; edit that script instead. -->

# KerasHub and KerasCV

A KerasHub backbone with attention is still an instance of its class: its `pyramid_outputs`, where the class has them,
read the attended maps, tasks take it (`ResNetImageClassifier(backbone=...)`), and it saves to `.keras` and reloads
after `import attnzoo`, KerasHub being imported when the file asks for it. `attnzoo.strip` gives back the class itself.

What follows was tried with keras-hub {version} on small backbones, in every placement the model has, by
`scripts/docs-backbones`. *Outputs* and *pyramid*: equal bit for bit before and after `augment`. *File*: saved with
attention that has left its identity, and reloaded to the same numbers and the same class. *Stages* and *blocks* are
those of the small model. A *composite* block is one layer that hides its parts (KerasHub's MobileNet, for one), so that
attention can go after it (`stage`, `post`) but not into it; asking for that is an error that names the layer.

{table}

## How it works

The class's constructor knows nothing of attention, so that it is not called: an empty instance is made, the graph is
rebuilt with attention, and each attribute is carried over, tensors and layers translated to the new graph. A variable,
a layer or a whole model that an attribute holds is copied; metrics and optimizers are made anew; what cannot be copied
is an error that names the attribute. The same holds for Functional subclasses of your own.

The file holds the constructor's arguments (`get_config()` of the class without attention) and each module with its
place. Loading makes the plain model from them, checks that its graph has as many operations as it had, and inserts the
attention again. A class of your own must therefore be registered and have a `get_config()` that describes it, as Keras
asks of every model that is saved; and it must not insert attention in its constructor.

## Limits

- Composite blocks are not opened. Their layers could be called one by one, but then the model would no longer be what
  its class's constructor makes: `strip`, the file and KerasHub's own weight files depend on that.
  Squeeze-and-excitation inside them is not seen either, so that a plan does not mention it.
- HGNetV2 is two layers, an embedder and an encoder, so that attention goes on the maps that the encoder returns, and
  its later stages do not see it.
- A stage of CSPNet's `csp` and `cs3` is one block that is merged by concatenation; the residual blocks inside it are
  not offered one by one.
- `save_to_preset` is refused: a preset has no place for attention. `model.save("name.keras")` has, and
  `attnzoo.strip(model)` can be saved as a preset.
- Vision transformers (ViT, DeiT, DINO, Swin, CLIP, SAM) have no feature maps between their blocks to attend to. MiT
  makes maps of its tokens at the end of each stage; they are reached by name, `after="output_level_*"`.
- Optimizers, metrics and compile state are not carried over: compile the new model or task.

## KerasCV

KerasCV 0.9.0, its last release (its maintainers point to KerasHub), imports with Keras 3.15.1. Its backbones are
handled in the same way, and the layer names in `pyramid_level_inputs` follow the attention: ResNet, DenseNet, VGG16,
YOLOV8, EfficientNetV2 and MobileNetV3 backbones give equal outputs, keep their class, reload and `strip`.
`CSPDarkNetBackbone` holds a `Lambda` layer, which is refused by name unless `trust=True`; `ResNetV2Backbone` cannot be
made by KerasCV itself there, because it gives two layers one name. `tests/networks/test_keras_cv.py` shows this.
`pip install --no-deps keras-cv` is enough for backbones; its dependencies are tensorflow-datasets and what that needs.
"""


if __name__ == "__main__":
    raise SystemExit(write_or_check(page, PAGE, "scripts/docs-backbones", (__doc__ or "").partition(";")[0]))
