"""The public surface: names, import cost, and that each name is documented."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attnzoo


def test_all_is_complete():
    assert sorted(attnzoo.__all__) == attnzoo.__all__ == sorted(attnzoo._HOME)
    for name in attnzoo.__all__:
        assert getattr(attnzoo, name) is not None


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match=r"^module 'attnzoo' has no attribute 'augmnt'$"):
        attnzoo.augmnt  # noqa: B018


def test_public_functions_say_what_they_raise():
    for name in attnzoo.__all__:
        thing = getattr(attnzoo, name)
        if inspect.isfunction(thing) and not name.startswith("list_"):
            doc = inspect.getdoc(thing)
            assert doc, name
            assert "Raises:" in doc, name
            assert "Args:" in doc or "arguments of" in doc, name


@pytest.mark.parametrize("order", ["import attnzoo, keras", "import keras, attnzoo"])
def test_layers_register_whichever_is_imported_first(order):
    code = f"{order}; [keras.saving.get_registered_object(n) or exit(1) for n in ('attnzoo>CBAM', 'attnzoo>Inserted')]"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_import_alone_does_not_import_keras():
    code = "import attnzoo, sys; exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_error_tree_in_the_docstring_is_the_tree():
    errors = attnzoo.errors
    drawn = [w for line in errors.__doc__.splitlines() for w in line.split() if w.endswith("Error")]
    defined = [n for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, errors.AttnzooError)]
    assert set(drawn[:5]) == set(defined)


def test_one_file_alone_knows_of_backends():
    package = Path(attnzoo.__file__).parent
    words = re.compile(r"config\.backend|backend\.backend|^\s*(import|from) (tensorflow|torch|jax)\b", re.MULTILINE)
    found = {p.relative_to(package).as_posix() for p in package.rglob("*.py") if words.search(p.read_text("utf-8"))}
    assert found == {"layers/_backend.py"}


def test_tests_that_the_pages_name_exist():
    root = Path(__file__).parents[1]
    defined = {n for p in (root / "tests").rglob("*.py") for n in re.findall(r"def (test_\w+)", p.read_text("utf-8"))}
    files = {p.stem for p in (root / "tests").rglob("test_*.py")}
    for page in (root / "docs").glob("*.md"):
        for name, cut in re.findall(r"`(test_\w+)(\.\.\.)?`", page.read_text("utf-8")):
            assert name in defined | files or (cut and any(n.startswith(name) for n in defined)), f"{page.name}: {name}"
