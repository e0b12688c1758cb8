"""The house: what CONTRIBUTING promises about where things are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import attnzoo

PACKAGE = Path(attnzoo.__file__).parent
WINGS = sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists())


def sources() -> dict[str, str]:
    return {p.relative_to(PACKAGE).as_posix(): p.read_text("utf-8") for p in PACKAGE.rglob("*.py")}


def test_private_modules_of_keras_are_imported_in_one_folder() -> None:
    found = {name for name, text in sources().items() if re.search(r"^\s*(from|import) keras\.src", text, re.MULTILINE)}
    assert found
    assert {name.partition("/")[0] for name in found} == {"_keras"}


OWN = {"config/_load.py": {"_source"}}
"""Private attributes of attnzoo's own classes that another file touches."""


def private_attributes(tree: ast.Module) -> Iterator[ast.Attribute]:
    """Yields names with one underscore that are looked up on anything but the object itself or its class."""
    for node in ast.walk(tree):
        private = isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr)
        if private and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
            yield node


def test_private_attributes_of_keras_are_touched_in_one_folder() -> None:
    found = [
        f"{file}:{node.lineno}: {ast.unparse(node)}"
        for file, text in sources().items()
        for node in private_attributes(ast.parse(text))
        if not file.startswith("_keras/") and node.attr not in OWN.get(file, ())
    ]
    assert found == []


def test_the_search_for_private_attributes_finds_them() -> None:
    text = "self._a, cls._b, x.__dict__, x.y\nx._c, x.self._d, x()._e"
    assert [node.attr for node in private_attributes(ast.parse(text))] == ["_c", "_d", "_e"]


def test_no_package_has_the_name_of_a_public_function() -> None:
    values = {name for name in attnzoo.__all__ if callable(getattr(attnzoo, name))}
    assert not values & set(WINGS)


@pytest.mark.parametrize("first", ["layers", *(w for w in WINGS if w not in ("layers", "cli"))])
def test_any_wing_may_be_imported_first(first: str) -> None:
    """The layers register while Keras is being imported, which may be in the middle of an import of attnzoo's."""
    script = f"import attnzoo.{first}, keras; print(keras.saving.get_registered_object('attnzoo>Attended'))"
    done = subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", script], capture_output=True, text=True)
    assert done.stdout == "<class 'attnzoo.layers._attended.Attended'>\n", done.stderr


def test_importing_keras_survives_an_attnzoo_that_cannot_register() -> None:
    script = (
        "import sys, warnings\n"
        "import attnzoo\n"
        "sys.modules['attnzoo.layers'] = None\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always', RuntimeWarning)\n"
        "    import keras\n"
        "print(*[str(w.message) for w in caught if 'attnzoo' in str(w.message)])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("attnzoo cannot register its layers with Keras (ModuleNotFoundError: ")
