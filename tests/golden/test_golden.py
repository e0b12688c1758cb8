"""Models and names that earlier versions wrote: this one loads them, and they compute what they did then."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import attnzoo
from attnzoo.building import plan_config

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
FILES = sorted(HERE.glob("*/*.keras"))
PLANS = sorted(HERE.glob("*/plan.yaml"))


@pytest.fixture(scope="module")
def golden():
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("make_golden")
    sys.path.remove(str(SCRIPTS))


def assert_near(expected, got):
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


def file_id(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=file_id)
def test_a_golden_model_loads_computes_and_strips(path, golden):
    model = attnzoo.load_model(path)
    with np.load(path.parent / "outputs.npz") as arrays:
        x, y, plain = (arrays[f"{path.stem}/{part}"] for part in ("x", "y", "plain"))
    assert_near(y, golden.output(model, x))
    assert golden.inserted(model) == json.loads((path.parent / "names.json").read_text())[path.stem]
    bare = attnzoo.strip(model)
    assert golden.inserted(bare) == []
    assert_near(plain, golden.output(bare, x))
    assert np.abs(y - plain).max() > 1e-3, "attention must show in the output, or nothing is compared"


@pytest.mark.parametrize("path", PLANS, ids=file_id)
def test_a_golden_configuration_plans_the_same_names(path):
    names = [site.name for plan in plan_config(path) for site in plan]
    assert names == json.loads((path.parent / "names.json").read_text())["plan.yaml"]


@pytest.mark.parametrize("path", PLANS, ids=file_id)
def test_a_version_wrote_all_the_modules_it_had(path):
    names = {n for found in json.loads((path.parent / "names.json").read_text()).values() for n in found}
    keys = [key for key in attnzoo.list_attentions() if f"for_{key}_{key}" in names]
    assert len(keys) >= 22


def test_golden_files_are_small():
    assert sum(p.stat().st_size for folder in {p.parent for p in FILES} for p in folder.iterdir()) < 400_000 * len(
        PLANS
    )


def test_golden_files_are_never_replaced(golden, tmp_path, capsys):
    (tmp_path / attnzoo.__version__).mkdir()
    with pytest.raises(SystemExit):
        golden.main([attnzoo.__version__, "--folder", str(tmp_path)])
    assert "exists; golden files are never replaced." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        golden.main(["9.9.9", "--folder", str(tmp_path)])
    assert f"this is attnzoo {attnzoo.__version__}, not 9.9.9." in capsys.readouterr().err
