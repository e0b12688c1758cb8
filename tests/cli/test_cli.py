"""The command line, run in process; only what concerns the process itself starts another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

import attnzoo
from attnzoo.cli import main
from attnzoo.cli._main import list_verbs

VERBS = ["build", "describe", "list", "plan", "schema", "strip"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*argv: str) -> tuple[int, str, str]:
        code = main([*argv])
        done = capsys.readouterr()
        return code, done.out, done.err

    return call


# Without Keras ---------------------------------------------------------------------------------------------------


def test_help_of_every_verb_does_without_keras() -> None:
    script = (
        "import sys\n"
        "from attnzoo.cli import main\n"
        "from attnzoo.cli._main import list_verbs\n"
        "codes = [main(a) for a in (['--help'], ['--version'], [], *([v, '--help'] for v in list_verbs()))]\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'pydantic', 'yaml'} & set(sys.modules)\n"
        "print(codes, sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    codes = [0, 0, 2, *(0 for _ in list_verbs())]
    assert done.stdout.splitlines()[-1] == f"{codes} []"
    assert done.stderr == "attnzoo: the following arguments are required: verb; see `attnzoo --help`.\n"


def test_the_module_runs_and_is_silent_about_its_backend() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "attnzoo", "list", "configs", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [c["name"] for c in json.loads(done.stdout)["configs"]] == attnzoo.list_configs()


def test_every_file_is_a_verb() -> None:
    assert set(VERBS) <= set(list_verbs())


def test_version(run: Any) -> None:
    assert run("--version") == (0, f"attnzoo {attnzoo.__version__}\n", "")


# Reading verbs ---------------------------------------------------------------------------------------------------


def test_list_attentions(run: Any) -> None:
    code, out, _ = run("list", "attentions")
    zoo, note, options = out.split("\n\n")
    assert (code, zoo.split()[:7]) == (0, ["key", "class", "paper", "year", "kind", "parameters", "MACs"])
    assert note == "Parameters and MACs on a 14 x 14 x 256 map, without alpha."
    assert options.split()[:2] == ["key", "options"]
    for part in (zoo, options):
        assert [line.split()[0] for line in part.splitlines()[1:]] == attnzoo.layers.list_attentions()
    found = {a["key"]: a for a in json.loads(run("list", "attentions", "--json")[1])["attentions"]}
    assert found["se"] == {
        "key": "se",
        "class": "SqueezeExcite",
        "title": "Squeeze-and-Excitation",
        "paper": "arXiv:1709.01507",
        "year": 2018,
        "kind": "gate",
        "parameters": 16_672,
        "macs": 16_384,
        "identity": "x * (1 + alpha * (g - 1))",
        "checked_against": attnzoo.layers.SqueezeExcite.checked_against,
        "options": {"ratio": 8, "use_bias": True, "gate": "sigmoid", "kernel_initializer": "he_normal"},
    }


def test_list_backbones(run: Any) -> None:
    code, out, _ = run("list", "backbones")
    assert (code, out.splitlines()) == (0, attnzoo.list_backbones())
    assert json.loads(run("list", "backbones", "--json")[1]) == {"backbones": attnzoo.list_backbones()}


def test_list_everything(run: Any) -> None:
    code, out, _ = run("list")
    assert code == 0
    assert [line for line in out.splitlines() if line.endswith(":")] == ["attentions:", "backbones:", "configs:"]
    assert set(json.loads(run("list", "--json")[1])) == {"attentions", "backbones", "configs"}


def test_describe_a_name_and_a_file(run: Any) -> None:
    code, out, _ = run("describe", "MobileNetV2", "--input-shape", "96,96,3")
    assert (code, out.splitlines()[0]) == (0, "mobilenetv2_1.00_96")
    net().save("m.keras")
    code, out, _ = run("describe", "m.keras", "--json")
    assert (code, json.loads(out)["model"]) == (0, "net")


def test_plan(run: Any) -> None:
    code, out, err = run("plan", "digits_small", "--set", "insert.0.stages=[2]")
    assert (code, err) == (0, "")
    assert out == str(attnzoo.building.plan_config("digits_small", overrides={"insert.0.stages": [2]})[0]) + "\n"


def test_plan_as_json_and_without_weights(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", None)  # a download would fail
    code, out, _ = run("plan", "resnet50_eca_cbam", "--json", "--set", "backbone.input_shape=[32, 32, 3]")
    found = json.loads(out)
    assert code == 0
    assert found["config"]["backbone"]["weights"] == "imagenet"
    assert [len(p["sites"]) for p in found["plans"]] == [7, 2]


def test_plan_numbers_several_entries(run: Any) -> None:
    overrides = ["--set", "insert=[{attention: se, stages: [1]}, {attention: eca, stages: [2]}]"]
    out = run("plan", "digits_small", *overrides)[1]
    assert [line for line in out.splitlines() if line.startswith("insert")] == ["insert.0:", "insert.1:"]
    assert run("plan", "digits_small", "--set", "insert=[]")[1] == "insert is empty: the backbone stays as it is.\n"


def test_schema(run: Any) -> None:
    code, out, _ = run("schema")
    assert (code, json.loads(out)) == (0, attnzoo.config.json_schema())


# Writing verbs ---------------------------------------------------------------------------------------------------


def net() -> keras.Model:
    x = keras.Input((8, 8, 3))
    return keras.Model(
        x, attnzoo.layers.SqueezeExcite(site="conv")(keras.layers.Conv2D(4, 3, name="conv")(x)), name="net"
    )


def test_build_and_strip(run: Any, here: Path) -> None:
    code, out, err = run(
        "build", "digits_small", "-o", "d.keras", "--set", "head.classes=3", "--set", "head.dropout=0.0"
    )
    assert (code, out, err) == (0, "d.keras: digits_small, 414,119 parameters\n", "")
    code, out, err = run("strip", "d.keras", "-o", "s.keras")
    assert (code, out, err) == (0, "s.keras: digits_small, 414,051 parameters (414,119 before)\n", "")
    assert sorted(os.listdir(here)) == ["d.keras", "s.keras"]
    assert attnzoo.load_model("s.keras").output_shape == (None, 3)


def test_an_existing_file_is_replaced_only_by_force(run: Any) -> None:
    net().save("m.keras")
    before = Path("m.keras").read_bytes()
    code, out, err = run("strip", "m.keras", "-o", "m.keras")
    message = "attnzoo: m.keras: exists already; give another name or allow overwriting (--force, overwrite=True).\n"
    assert (code, out, err) == (2, "", message)
    assert Path("m.keras").read_bytes() == before
    assert run("strip", "m.keras", "-o", "m.keras", "--force")[0] == 0
    assert [layer.name for layer in attnzoo.load_model("m.keras").layers[1:]] == ["conv"]


# Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        ("list --jsn", ["unrecognized arguments: --jsn; see `attnzoo --help`."]),
        ("describe none.keras", ["none.keras: no such file."]),
        (
            "plan digits_small --set heed=1 --set hed=2",
            [
                "override heed: not a known key. Did you mean 'head'? Known: backbone, insert, head.",
                "override hed: not a known key. Did you mean 'head'? Known: backbone, insert, head.",
            ],
        ),
    ],
)
def test_a_mistake_is_one_clear_line(argv: str, lines: list[str], run: Any) -> None:
    assert run(*argv.split()) == (2, "", "".join(f"attnzoo: {line}\n" for line in lines))


def test_the_output_is_checked_before_the_long_work(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnzoo.building.build", None)
    monkeypatch.setattr("attnzoo.loading.load_model", None)
    assert run("build", "digits_small", "-o", "d.h5")[0] == 2
    assert run("strip", "m.keras", "-o", "d.h5")[0] == 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PermissionError(13, "Permission denied", "/data/d.keras"), 2, "attnzoo: /data/d.keras: Permission denied\n"),
        (OSError("disk on fire"), 2, "attnzoo: disk on fire\n"),
        (attnzoo.errors.PlanError("first\nsecond"), 2, "attnzoo: first\nattnzoo: second\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
    ],
)
def test_what_goes_wrong_underneath(
    error: BaseException, code: int, message: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(args: Any) -> int:
        raise error

    monkeypatch.setattr("attnzoo.cli.schema.run", fail)
    assert run("schema") == (code, "", message)


def test_nobody_reads_the_output() -> None:
    script = "set -o pipefail; python -m attnzoo list backbones --json | true".replace("python", sys.executable)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("attnzoo.cli.schema.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


def test_a_folder_named_like_a_network_is_not_taken_for_a_file(run: Any) -> None:
    Path("MobileNetV2").mkdir()
    assert run("describe", "MobileNetV2", "--input-shape", "32,32,3")[0] == 0
    assert run("describe", "file:none.keras") == (2, "", "attnzoo: none.keras: no such file.\n")
