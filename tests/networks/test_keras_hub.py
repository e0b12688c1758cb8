"""KerasHub: backbones stay backbones, with their pyramids, tasks and files."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import AttnzooError, PlanError
from attnzoo.planning.placement import PLACEMENTS

from ..helpers import array, assert_same_outputs, images, moved, outputs, randomize, reloaded
from ..hub_models import FAMILIES, SHAPE, resnet


def pyramid(backbone):
    return keras.Model(backbone.input, backbone.pyramid_outputs)


@pytest.fixture(scope="module")
def backbone():
    return randomize(resnet(name="backbone"))


def assert_stays_itself(model, tmp_path, **where):
    x = images(model)
    new = attnzoo.augment(model, "eca", **where)
    assert isinstance(new, type(model))
    assert_same_outputs(model, new, x)
    if getattr(model, "pyramid_outputs", None):
        assert list(new.pyramid_outputs) == list(model.pyramid_outputs)
        assert_same_outputs(pyramid(model), pyramid(new), x)
    assert {layer.name for layer in model.layers} <= {layer.name for layer in new.layers}
    plain = attnzoo.strip(new)
    assert type(plain) is type(model)
    assert plain.get_config() == model.get_config()
    assert_same_outputs(model, plain, x)
    again = reloaded(moved(new), tmp_path)
    assert type(again) is type(new)
    assert_same_outputs(new, again, x)


@pytest.mark.parametrize("family", ["VGG", "DenseNet", "MobileNet"])
def test_a_backbone_stays_itself_and_computes_the_same(family, tmp_path):
    assert_stays_itself(randomize(FAMILIES[family]()), tmp_path)


HAVE = {
    **{key: {*PLACEMENTS} for key in ("ResNet", "ResNetV2", "ResNet-vd", "Xception", "EfficientNet")},
    **{key: {*PLACEMENTS} for key in ("EfficientNetV2", "MobileNet", "MobileNetV5")},
    "CSPNet (dark)": {*PLACEMENTS} - {"inner"},
    "VGG": {"stage"},
    "MiT": set(),
}
"""What each family has; the others, of blocks that end in a concatenation, have `stage` and `post`."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_every_placement_stays_itself_and_computes_the_same(family, placement, tmp_path):
    model = randomize(FAMILIES[family]())
    if placement in HAVE.get(family, {"stage", "post"}):
        assert_stays_itself(model, tmp_path, placement=placement)
    else:
        with pytest.raises(PlanError, match=r"has no place for placement|no stages were found"):
            attnzoo.plan(model, "eca", placement=placement)


def test_maps_that_a_transformer_makes_of_its_tokens_are_reached_by_name(tmp_path):
    model = randomize(FAMILIES["MiT"]())
    assert attnzoo.describe(model).stages == ()
    assert_stays_itself(model, tmp_path, after="output_level_*")


def test_the_pyramid_carries_attention(backbone, tmp_path):
    new = moved(attnzoo.augment(backbone, "cbam", stages=[3]))
    x = images(backbone)
    old_maps, new_maps = (keras.Model(m.input, m.pyramid_outputs)(x) for m in (backbone, new))
    assert [k for k in old_maps if not np.array_equal(array(old_maps[k]), array(new_maps[k]))] == ["P4", "P5"]
    again = reloaded(new, tmp_path)
    for key, value in keras.Model(again.input, again.pyramid_outputs)(x).items():
        np.testing.assert_array_equal(array(value), array(new_maps[key]))


def test_backbones_reload_in_a_fresh_process_after_importing_attnzoo_only(backbone, tmp_path):
    new = moved(attnzoo.augment(backbone, "cbam", stages=[3, 4]))
    x = np.asarray(keras.tree.flatten(images(new))[0])
    new.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=outputs(new, x)[0])
    code = (
        "import sys, numpy as np, attnzoo, keras; assert 'keras_hub' not in sys.modules; d = np.load(sys.argv[2]);"
        "m = keras.models.load_model(sys.argv[1]);"
        "assert isinstance(m, sys.modules['keras_hub'].models.Backbone) and list(m.pyramid_outputs);"
        "y = keras.ops.convert_to_numpy(m(d['x'])); assert (y == d['y']).all(), abs(y - d['y']).max()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras"), str(tmp_path / "data.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_classifier_takes_it_trains_it_saves_it_and_reloads_it(backbone, tmp_path):
    new = attnzoo.augment(backbone, "se", stages=[3, 4])
    task = keras_hub.models.ResNetImageClassifier(backbone=new, num_classes=3)
    task.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x, y = np.asarray(keras.tree.flatten(images(new, 4))[0]), np.arange(4) % 3
    task.fit(x, y, batch_size=4, verbose=0)
    alphas = [v.alpha for v in task.backbone.layers if isinstance(v, attnzoo.layers.Attention)]
    assert len(alphas) == 2
    assert all(array(a) != 0 for a in alphas)
    again = reloaded(task, tmp_path)
    assert type(again) is keras_hub.models.ResNetImageClassifier
    assert_same_outputs(task, again, x)


def test_a_whole_task_is_augmented_and_stays_a_task(backbone, tmp_path):
    task = keras_hub.models.ResNetImageClassifier(backbone=backbone, num_classes=3)
    new = attnzoo.augment(task, "se", stages=[4])
    x = np.asarray(keras.tree.flatten(images(task))[0])
    assert isinstance(new, keras_hub.models.ResNetImageClassifier)
    assert new.backbone is new.get_layer("backbone")
    assert new.backbone is not backbone
    assert isinstance(new.backbone, keras_hub.models.ResNetBackbone)
    assert_same_outputs(task, new, x)
    assert_same_outputs(new, reloaded(moved(new), tmp_path), x)
    plain = attnzoo.strip(new)
    assert type(plain) is keras_hub.models.ResNetImageClassifier
    assert type(plain.backbone) is keras_hub.models.ResNetBackbone
    assert_same_outputs(task, plain, x)


def detector(encoder):
    retina = keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=5, use_p5=False, image_shape=SHAPE, name="retina"
    )
    return keras_hub.models.RetinaNetObjectDetector(backbone=retina, num_classes=2, pre_logits_num_conv_layers=1)


def test_a_detector_with_a_feature_pyramid_runs_on_it(backbone, tmp_path):
    plain = randomize(detector(backbone))
    model = detector(moved(attnzoo.augment(backbone, "se", stages=[2, 3, 4])))
    x = np.asarray(keras.tree.flatten(images(backbone))[0])
    assert [tuple(y.shape) for y in outputs(model, x)] == [tuple(y.shape) for y in outputs(plain, x)]
    assert_same_outputs(model, reloaded(model, tmp_path), x)
    assert_same_outputs(plain, detector_like(plain, attnzoo.strip(model)), x)


def detector_like(source, model):
    """Gives a model of the same layers the weights of another."""
    for a, b in zip(source.weights, model.weights, strict=True):
        b.assign(a)
    return model


@pytest.mark.exhaustive
def test_a_whole_detector_is_augmented_and_saved(backbone, tmp_path):
    model = randomize(detector(backbone))
    new = attnzoo.augment(model, "se", stages=[3, 4])
    x = np.asarray(keras.tree.flatten(images(backbone))[0])
    assert isinstance(new, keras_hub.models.RetinaNetObjectDetector)
    assert_same_outputs(model, new, x)
    assert_same_outputs(new, reloaded(moved(new), tmp_path), x)


def test_an_encoder_in_one_layer_has_a_stage_for_each_map_it_returns():
    stages = attnzoo.describe(FAMILIES["HGNetV2"]())
    assert [(s.index, s.output, s.channels) for s in stages] == [
        (1, "encoder.stages_list.0", 16),
        (2, "encoder.stages_list.1", 24),
        (3, "encoder.stages_list.2", 32),
    ]


def test_blocks_in_one_layer_are_read_as_if_their_layers_stood_in_the_graph():
    anatomy = attnzoo.describe(FAMILIES["MobileNet"]())
    assert [(s.index, [(b.kind, b.output, b.gated) for b in s.blocks]) for s in anatomy] == [
        (1, [("projection", "block_0_0", True)]),
        (2, [("projection", "block_1_0", False), ("residual", "block_1_1", False)]),
        (3, [("projection", "block_2_0", True), ("residual", "block_2_1", True)]),
    ]


def test_presets_are_refused_because_they_have_no_place_for_attention(backbone, tmp_path):
    new = attnzoo.augment(backbone, "se", stages=[4])
    with pytest.raises(AttnzooError) as error:
        new.save_to_preset(str(tmp_path / "preset"))
    assert str(error.value) == (
        "'backbone' cannot be saved as a preset, which has no place for attention;"
        " use model.save('name.keras'), or save attnzoo.strip(model)."
    )
    attnzoo.strip(new).save_to_preset(str(tmp_path / "preset"))
    again = keras_hub.models.Backbone.from_preset(str(tmp_path / "preset"))
    assert_same_outputs(backbone, again)


def test_half_precision_backbones_keep_their_policy(tmp_path):
    model = randomize(resnet(dtype="mixed_bfloat16", name="half"))
    new = attnzoo.augment(model, "se", stages=[3])
    assert new.dtype_policy.name == "mixed_bfloat16"
    assert attnzoo.strip(new).get_config() == model.get_config()
    assert_same_outputs(model, reloaded(new, tmp_path))


@pytest.mark.exhaustive
def test_the_page_is_what_the_script_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    script = importlib.import_module("_docs_backbones")
    kept, made = (re.sub(r"keras-hub [\d.]+", "keras-hub", t) for t in (script.PAGE.read_text("utf-8"), script.page()))
    assert kept == made, "docs/backbones.md is stale; run scripts/docs-backbones."
