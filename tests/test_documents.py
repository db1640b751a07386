"""What the documents name exists: files, and on the walks of the architecture page the functions in them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
FILE = re.compile(r"`((?:app|data|docs|imo_engine|scripts|tests)/[\w./-]+)`")
STOP = re.compile(r"^\d+\. `([^`]+)` ((?:`[^`]+`(?:, )?)+) —", re.M)


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    named = {name for name in FILE.findall(text_of(page)) if "NAME" not in name}
    assert named and [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text_of(page))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_stops_of_the_walks_are_defined_where_they_are_said_to_be():
    stops = STOP.findall(text_of("docs/architecture.md"))
    assert len(stops) > 40
    missing = []
    for file, names in stops:
        code = text_of(file)
        for name in re.findall(r"`([^`]+)`", names):
            if not re.search(rf"(?:def|class|function) {name}\b|^{name}\b.* = ", code, re.M):
                missing.append(f"{file} defines no {name}")
    assert missing == []


def test_the_lists_of_the_import_rule_are_those_that_are_tested():
    tree = ast.parse(text_of("tests/test_architecture.py"))
    assigned = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    page = " ".join(text_of("docs/architecture.md").split())
    for package, folders in ast.literal_eval(assigned["ORDER"]).items():
        assert f"`{package}`: {' · '.join(folders)}" in page
        for folder in folders:
            assert f"- **{folder}**" in page, f"nothing is said of {package}/{folder}"
