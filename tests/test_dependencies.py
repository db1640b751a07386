"""What the packages import is what pyproject.toml asks for: nothing works only because something else brings it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"app", "imo_engine"}
# app/browser/node_modules is where npm installs what checks the browser's code
FILES = sorted(
    file.relative_to(ROOT) for name in OWN for file in (ROOT / name).rglob("*.py") if "node_modules" not in file.parts
)


def plain(name):
    """A distribution's name as package registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(requirements):
    return {plain(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]) for requirement in requirements}


DECLARED = asked_for(PROJECT["dependencies"])
OPTIONAL = {
    name: extra
    for extra, requirements in PROJECT["optional-dependencies"].items()
    if extra != "test"
    for name in asked_for(requirements) - DECLARED
}
PROVIDED_BY = packages_distributions()


def imports(tree):
    """(top-level module, line, whether an absence is handled) of all imports of others, wherever they are."""

    def walk(node, handled):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            names = []
        for top in {name.partition(".")[0] for name in names} - OWN - sys.stdlib_module_names:
            yield top, node.lineno, handled
        catches = isinstance(node, ast.Try) and any(map(catches_absence, node.handlers))
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child, handled or (catches and name == "body"))

    return list(walk(tree, False))


def catches_absence(handler):
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in ("ImportError", "ModuleNotFoundError") for one in caught)


def complaints(source, declared=frozenset(DECLARED), optional=OPTIONAL):
    """What is wrong with the imports of a module, one line each."""
    for module, line, handled in imports(ast.parse(source)):
        providers = {plain(name) for name in PROVIDED_BY.get(module, [module])}
        if providers & declared:
            continue
        extras = sorted(optional[name] for name in providers if name in optional)
        if not extras:
            yield f"line {line}: {module} is of {sorted(providers)}, which nothing in pyproject.toml asks for"
        elif not handled:
            yield f"line {line}: {module} may be missing, it is of the extra {extras[0]}: catch ImportError"


@pytest.mark.parametrize("file", FILES, ids=str)
def test_what_is_imported_is_asked_for(file):
    assert list(complaints((ROOT / file).read_text(encoding="utf-8"))) == []


def test_the_check_sees_what_it_should():
    source = """
import numpy.linalg, os
def later():
    import yaml
    from pandas import DataFrame
    try:
        from bagpipes.models import x
    except (ValueError, ImportError):
        import bagpipes
    try:
        import bagpipes
    except ValueError:
        pass
from app.x import y
"""
    assert [line.split(",")[0] for line in complaints(source, {"numpy", "pyyaml"}, {"bagpipes": "simulate"})] == [
        "line 5: pandas is of ['pandas']",
        "line 9: bagpipes may be missing",
        "line 11: bagpipes may be missing",
    ]
