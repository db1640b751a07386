"""The browser's modules, joined into what Bokeh runs: in order, nothing twice, and it parses."""

import ast
import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.browser import modules
from app.browser.modules import ModuleError, join, joined

APP = Path(modules.__file__).parents[1]
FOLDER = APP / "browser" / "js"
ENTRIES = ("address", "channel", "connection", "early", "explorer", "hybrid", "label_form", "look", "short_number")
FILES = sorted(file.stem for file in FOLDER.glob("*.js"))
FILES_IN_PYTHON = sorted(file for file in APP.rglob("*.py") if "node_modules" not in file.parts)
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def parts(entry):
    """Names of the modules in what is joined, in order."""
    return re.findall(r"^// (\w+)\.js$", joined(entry), re.M)


def join_of(**texts):
    return join(next(iter(texts)), texts.__getitem__)


def test_every_module_is_used():
    assert {name for entry in ENTRIES for name in parts(entry)} == set(FILES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_module_runs_behind_what_it_imports(entry):
    seen = []
    for name in parts(entry):
        text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        assert set(re.findall(r'from "\./(\w+)\.js"', text)) <= set(seen)
        seen.append(name)
    assert len(set(seen)) == len(seen) and seen[-1] == entry


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_of_modules_is_left_and_it_parses(entry, tmp_path):
    code = joined(entry)
    assert not re.search(r"^\s*(import|export)\b", code, re.M)
    if NODE is None:
        pytest.skip("there is no node")
    file = tmp_path / "joined.js"
    file.write_text(f'(function (models) {{\n"use strict"\n{code}\n}})', encoding="utf-8")
    run = subprocess.run([NODE, "--check", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", FILES)
def test_no_module_is_probably_two_things(name):
    assert (FOLDER / f"{name}.js").read_text(encoding="utf-8").count("\n") <= 300


def test_imports_of_imports_come_first_and_once():
    code = join_of(
        main='import {b} from "./b.js"\nimport {c} from "./c.js"\nb(c)\n',
        b='import {c} from "./c.js"\nexport const b = () => c\n',
        c="export let c = 1, d = 2\n",
    )
    assert code == "// c.js\nlet c = 1, d = 2\n// b.js\nconst b = () => c\n// main.js\nb(c)\n"


def test_imports_may_take_several_lines():
    assert join_of(main='import {\n  a,\n  b,\n} from "./b.js"\na(b)\n', b="export const {a, c: [x], b} = {}\n")


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"a": 'import {b} from "./b.js"\n', "b": 'import {a} from "./a.js"\nexport let b\n'}, "circle: a > b > a"),
        ({"a": 'import {b} from "./b.js"\n', "b": "let b = 1\n"}, "a.js imports b, which b.js does not export"),
        ({"a": 'import {b} from "./b.js"\nexport let c\n', "b": "export let b\nlet c\n"}, "both declare c"),
        ({"a": 'import {b} from "./b.js"\nlet x = 0, c = 1\n', "b": "export let b\nfunction c() {}\n"}, "declare c"),
        ({"a": 'import {b} from "./b.js"\nconst {x, y: c} = {}\n', "b": "export let b\nclass c {}\n"}, "declare c"),
        ({"a": 'import {b as c} from "./b.js"\n', "b": "export let b\n"}, "'b as c' is not understood"),
        ({"a": 'import * as b from "./b.js"\n', "b": ""}, "is not understood"),
        ({"a": "export default 1\n"}, "is not understood"),
    ],
)
def test_what_one_scope_cannot_keep_apart_is_refused(modules, words):
    with pytest.raises(ModuleError, match=re.escape(words)):
        join_of(**modules)


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleError, match=r"no module nothing\.js"):
        joined("nothing")


def code_in(file):
    """What of the strings in a Python file is JavaScript, and more than a call."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = ast.Module, ast.ClassDef, ast.FunctionDef
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docstrings:
            if re.search(r"=>|\bfunction\b ?\w*\(|\b(const|let|var) \w+ ?=|\bthis\.\w+ =", node.value):
                yield node.value
        if isinstance(node, ast.keyword) and node.arg == "code":
            text = ast.unparse(node.value).strip("f'\"")
            if text and not re.fullmatch(r"window\.imo\?\.\w+\?\.\w+\(.*\)|.*joined\(.*", text):
                yield text


def test_python_holds_no_more_than_calls():
    """What is longer is in the folder, where the checks read it."""
    assert [(file.name, code) for file in FILES_IN_PYTHON for code in code_in(file)] == []


def test_examples():
    assert doctest.testmod(modules).failed == 0
