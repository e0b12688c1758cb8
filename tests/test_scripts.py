"""The scripts answer, and what they are made of works on little data."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import keras
import numpy as np
import pytest

from attnzoo import layers

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file() and not p.suffix and not p.name.startswith("_"))


@pytest.fixture(scope="module", autouse=True)
def _on_path():
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture
def demo():
    return importlib.import_module("_demo")


# The scripts -----------------------------------------------------------------------------------------------------


def test_the_scripts_are_these():
    assert {"bench", "check", "demo", "test"} <= {p.name for p in SCRIPTS}


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_a_script_is_executable_and_sound_bash(script):
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_a_script_says_what_it_does(script, option, tmp_path):
    nowhere = {**os.environ, "ATTNZOO_VENV": str(tmp_path / "venv")}
    done = subprocess.run([script, option], capture_output=True, text=True, env=nowhere, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"scripts/{script.name}")
    assert not (tmp_path / "venv").exists(), "help needs no environment"


def test_check_refuses_an_option_it_does_not_know():
    done = subprocess.run([ROOT / "scripts" / "check", "--fxi"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "scripts/check: unknown option --fxi; see scripts/check -h\n"


def test_an_environment_that_is_none_is_not_overwritten(tmp_path):
    (tmp_path / "kept").touch()
    env = {**os.environ, "ATTNZOO_VENV": str(tmp_path)}
    done = subprocess.run([ROOT / "scripts" / "check"], capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert "has no Python that runs" in done.stderr
    assert (tmp_path / "kept").exists()


def test_the_lowest_versions_are_the_lower_bounds():
    lowest = importlib.import_module("_lowest")
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = lowest.constraints(text)
    assert "keras==3.15.1" in found
    names = {line.partition("==")[0] for line in found}
    assert names >= {"tensorflow", "numpy", "h5py", "hypothesis", "onnx", "keras-hub", "keras-cv"}
    with pytest.raises(ValueError, match=r"^'wrapt' has no lower bound of the form name>=version\.$"):
        lowest.constraints(text.replace('"wrapt>=1.16"', '"wrapt"'))


# The demo --------------------------------------------------------------------------------------------------------


def test_the_demo_splits_digits_into_images_to_learn_from_and_others(demo):
    data = demo.digits(32, most=20)
    assert data.x.shape == (16, 32, 32, 3)
    assert data.x_test.shape == (4, 32, 32, 3)
    assert data.x.min() >= -1
    assert data.x.max() <= 1


def test_the_demo_trains_compares_and_reloads(demo, capsys):
    data = demo.digits(32, most=40)
    inputs = keras.Input((32, 32, 3))
    x = demo.attnzoo.layers.SqueezeExcite(init="identity")(keras.layers.Conv2D(8, 3, strides=4)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    before = demo.predict(model, data.x_test)
    demo.train(model, data, epochs=1, rate=0.1)
    after = demo.predict(model, data.x_test)
    reloaded, _ = demo.save_and_reload(model)
    capsys.readouterr()
    assert demo.compare("reloaded", after, demo.predict(reloaded, data.x_test)) == (len(after), 0.0)
    assert capsys.readouterr().out == (
        "   reloaded: 8 of 8 predictions unchanged (100 %), largest difference of an output 0\n"
    )
    assert demo.compare("trained", before, after)[1] > 0
    assert demo.alphas(model).startswith("alpha, 0 before, is now ")


def test_the_demo_network_has_the_stages_the_demo_names(demo):
    model = demo.small_network(demo.SIZE, classes=10)
    assert {s.index for s in demo.attnzoo.describe(model)} >= set(demo.STAGES)


# The benchmarks --------------------------------------------------------------------------------------------------


def test_each_bench_verb_says_what_it_measures():
    main = importlib.import_module("_bench.__main__")
    verbs = main.list_verbs()
    assert {"augment", "inference", "memory"} <= set(verbs)
    described = (ROOT / "scripts" / "bench").read_text()
    document = (ROOT / "docs" / "bench.md").read_text()
    for verb in verbs:
        module = importlib.import_module(f"_bench.{verb}")
        assert module.ROUNDS >= 1
        assert callable(module.measure)
        assert module.HELP in described
        assert f"<!-- bench:{verb} -->" in document


def test_bench_refuses_a_verb_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        importlib.import_module("_bench.__main__").main(["augmnet"])
    assert "invalid choice: 'augmnet'" in capsys.readouterr().err


def test_interleaved_timing_gives_the_reference_a_ratio_of_one(monkeypatch):
    timing = importlib.import_module("_bench._timing")
    monkeypatch.setattr(timing, "_foreign_seconds", lambda: 0.0)  # or timings are repeated on a machine that is busy
    counts = {"a": 0, "b": 0}

    def run(name):
        counts[name] += 1

    found = timing.interleave({n: lambda n=n: run(n) for n in counts}, rounds=4, reference="a", calls=2, warm=1)
    assert counts == {"a": 9, "b": 9}
    assert (found["a"].ratio, found["a"].least, found["a"].most) == (1.0, 1.0, 1.0)
    assert found["b"].least <= found["b"].ratio <= found["b"].most


def test_a_report_replaces_its_own_section_only(tmp_path, monkeypatch):
    report = importlib.import_module("_bench._report")
    document = tmp_path / "bench.md"
    document.write_text("# T\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nkept\n")
    monkeypatch.setattr(report, "DOCS", document)
    report.write("a", "new")
    report.write("b", "added")
    assert document.read_text() == (
        "# T\n<!-- bench:a -->\nnew\n<!-- /bench:a -->\nkept\n\n## b\n\n<!-- bench:b -->\nadded\n<!-- /bench:b -->\n"
    )


@pytest.mark.parametrize(
    ("value", "target", "cells"), [(1.034, 1.03, ("1.03", "yes")), (1.04, 1.03, ("1.03", "**no**"))]
)
def test_a_target_is_met_or_not(value, target, cells):
    assert importlib.import_module("_bench._report").verdict(value, target) == cells


@pytest.mark.parametrize("key", ["se", "eca", "cbam"])
def test_the_functions_of_blog_posts_compute_what_our_modules_compute(key):
    published = importlib.import_module("_bench._published").PUBLISHED[key]()
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    theirs = keras.ops.convert_to_numpy(published(x))
    ours = {"se": layers.SqueezeExcite, "eca": layers.EfficientChannelAttention, "cbam": layers.CBAM}[key]()
    ours.build(x.shape)
    ours.set_weights(published.get_weights())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(x)), theirs, atol=1e-5)


def test_a_backend_that_keras_does_not_have_is_refused():
    run = subprocess.run([ROOT / "scripts" / "test", "--backend", "jaxx"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (2, "unknown backend 'jaxx'; expected tensorflow, jax or torch\n")


def test_the_figures_of_a_run_take_the_row_of_their_backend(monkeypatch):
    record = importlib.import_module("_record_backend")
    monkeypatch.setattr(record, "version", lambda name: "1.2")
    monkeypatch.setattr(record.time, "strftime", lambda form: "2026-01-02")
    skipped = (
        '<testcase><skipped message="not here"/></testcase>' * 2 + '<testcase><skipped message="no net"/></testcase>'
    )
    xml = f'<testsuite tests="9" failures="1" errors="1" skipped="3" time="130">{skipped}</testsuite>'
    line = record.row(ElementTree.fromstring(xml), "jax")
    assert line == "| jax 1.2 | 4 | 2 | 2 not here; 1 no net | 2 min | 2026-01-02 |"
    page = "| backend | passed |\n| tensorflow | |\n| jax 1.1 | old |\n| torch | |\n"
    assert record.put(page, line) == page.replace("| jax 1.1 | old |", line)
    with pytest.raises(ValueError, match="0 rows for mlx"):
        record.put(page, "| mlx 1 |")
