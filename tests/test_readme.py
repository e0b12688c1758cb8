"""The README's examples print what it says they print."""

import doctest
import re
from pathlib import Path

import keras
import pytest

import attnzoo

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_python_sessions():
    blocks = [b for b in re.findall(r"```python\n(.*?)```", README, re.S) if b.startswith(">>>")]
    assert len(blocks) == 2
    text = "".join(blocks).replace("MobileNetV2()", "MobileNetV2(weights=None)")  # no download in a test
    test = doctest.DocTestParser().get_doctest(text, {"keras": keras, "attnzoo": attnzoo}, "README", "README.md", 0)
    runner = doctest.DocTestRunner()
    runner.run(test, out=(report := []).append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_to_files(path):
    assert (Path(__file__).parents[1] / path).exists()


def test_yaml_example_is_a_configuration(tmp_path):
    (tmp_path / "my.yaml").write_text(re.search(r"```yaml\n(.*?)```", README, re.S)[1])
    config = attnzoo.load_config(tmp_path / "my.yaml")
    assert config.head.classes == 10


def test_every_shipped_name_it_mentions_exists():
    assert {"se_resnet50", "resnet50_cbam"} <= set(attnzoo.list_configs())


def test_number_of_modules():
    assert f"{len(attnzoo.list_attentions())} modules" in README
