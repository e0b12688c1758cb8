"""`inspect_file` and `attnzoo inspect`: what a file holds, without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import attnzoo
from attnzoo.cli import main
from attnzoo.errors import AttnzooError
from tests.conftest import DOGS
from tests.files.conftest import net
from tests.files.mutations import zipped


def all_layers(model: Any) -> list[Any]:
    inside = model.layers
    if isinstance(model, keras.Sequential):  # whose config also names the input
        inside = model._functional.layers
    return [x for layer in inside for x in (layer, *(all_layers(layer) if hasattr(layer, "layers") else ()))]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_report_says_what_loading_would_find(suffix: str, tmp_path: Path) -> None:
    path, model = tmp_path / f"m{suffix}", net()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(path)
    report, loaded = attnzoo.inspect_file(path), attnzoo.load_model(path)
    assert report.parameters == loaded.count_params()
    assert report.numbers > report.parameters
    assert dict(report.layers) == Counter(type(layer).__name__ for layer in all_layers(loaded))
    assert {(a.name, a.site) for a in report.attention} == {
        (layer.name, layer.site) for layer in all_layers(loaded) if isinstance(layer, attnzoo.layers.CBAM)
    }
    assert {a.kind for a in report.attention} == {"CBAM"}
    assert (report.model, report.keras_version) == (("Sequential", "net"), keras.__version__)
    assert (report.custom, report.defects, report.risks) == ((), (), ())


def test_a_weights_file_has_parameters_and_no_model(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes(good[".weights.h5"])
    report = attnzoo.inspect_file(path)
    assert (report.kind, report.model, report.parameters) == ("weights", None, net().count_params())


def test_the_table(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(good[".h5"])
    lines = str(attnzoo.inspect_file(path)).splitlines()
    assert [line.split()[0] for line in lines] == ["file", "format", "model", "layers", "attention", "parameters"]
    assert lines[1] == f"format      legacy HDF5 model, Keras {keras.__version__}"
    assert lines[2] == "model       net (Sequential)"
    assert lines[4].startswith("attention   4 inserted: b0_project_bn_cbam (CBAM) after b0_project_bn, ")


def test_a_real_file_is_read_and_loaded() -> None:
    if not DOGS.exists():
        pytest.skip(f"{DOGS.name} is not here")
    report, model = attnzoo.inspect_file(DOGS), attnzoo.load_model(DOGS)
    assert report.parameters == model.count_params()
    assert dict(report.layers) == Counter(type(layer).__name__ for layer in all_layers(model))


def test_a_class_of_somebody_else_is_named(with_config: Callable[[Any], Path]) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1].update(class_name="Odd", module=None, registered_name="theirs>Odd")

    assert attnzoo.inspect_file(with_config(change)).custom == ("theirs>Odd",)


def test_the_command_needs_no_keras_and_prints_no_control_characters(with_config: Callable[[Any], Path]) -> None:
    path = with_config(lambda config: config["config"].update(name="\x1b[31mred\u202e\x9b"))
    script = (
        "import sys; from attnzoo.cli import main\n"
        "codes = main(['inspect', sys.argv[1]]), main(['inspect', sys.argv[1], '--json'])\n"
        "exit(codes != (0, 0) or 'keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(c == "\n" or c.isprintable() for c in done.stdout)
    assert "model       \\x1b[31mred\\u202e\\x9b (Sequential)" in done.stdout
    assert json.loads(done.stdout[done.stdout.index("{") :])["model"]["name"] == "\x1b[31mred\u202e\x9b"


def test_a_hostile_file_is_listed_and_not_refused(
    members: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.keras"
    config = members["config.json"].replace(b'"class_name": "Flatten"', b'"class_name": "Lambda"')
    name = next(n for n in json.loads(config)["config"]["layers"] if n["class_name"] == "Lambda")["config"]["name"]
    path.write_bytes(zipped([*{**members, "config.json": config}.items(), ("../x", b"")]))
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "damaged     its member '../x' leads out of the archive.",
        f"beware      holds a Lambda '{name}', code that would run on loading.",
    ]


def test_what_is_no_model_file_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(AttnzooError) as error:
        attnzoo.inspect_file(path)
    assert str(error.value).startswith(f"{path}: is damaged or incomplete: ")
