"""How Sphinx makes the documentation: the pages of this folder and a reference of every module's docstrings."""

import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any, Generic, TypeVar

import numpy.typing
import param.parameterized
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# param would put a coloured table of the parameters before each docstring
param.parameterized.docstring_describe_params = False
param.parameterized.docstring_signature = False

# types are shown as they are written, not as the ten that NumPy makes of them
Kind = TypeVar("Kind")


class NDArray(Generic[Kind]):
    """Shown in place of NumPy's."""


class ArrayLike:
    """The same."""


for shown in (NDArray, ArrayLike):
    shown.__module__ = "numpy.typing"
    setattr(numpy.typing, shown.__name__, shown)

from imo_engine import __version__  # noqa: E402 - found through the path above

project = "IMO Explorer"
author = "The IMO Explorer developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
highlight_language = "none"  # what is code says which
toc_object_entries = False  # a fifth of the time

autodoc_default_options = {"members": True, "show-inheritance": True}
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["bagpipes", "specutils"]
autodoc_typehints_format = "short"
napoleon_google_docstring = napoleon_numpy_docstring = False  # see read_docstring
napoleon_attr_annotations = True

# every reference to a name of these packages must lead somewhere; those of others are not linked
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!(imo_engine|app)\.)[a-z_]\w*\..*"),
    (r"py:(class|obj)", r".*\.T|.*\[.*|_G"),  # type variables, and parts of types that are words only
    (r"py:(class|obj)", r"NDArray|Figure|Table|GlyphRenderer|RcKeyType"),  # of others, by their short names
    (r"py:class", r"imo_engine\.(benchmark\.ways\.Reference|training\.assembly\.Encoded)"),  # not exported
]
suppress_warnings = ["ref.python"]  # of the type "bytes", which fields are called too

html_theme = "furo"
html_title = f"IMO Explorer {release}"
html_copy_source = False


def read_docstring(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:  # noqa: ANN401
    """Read Google's sections; not of attributes, where a colon would make a type of what is before it."""
    if what not in ("attribute", "data", "property"):
        read = GoogleDocstring(lines, app.config, app, what, name, obj, options).lines()
        lines[:] = [line.replace("str_]", "str\\_]") if ":type" in line else line for line in read]


def leave_out(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: Any) -> bool | None:  # noqa: ANN401
    """Leave out what a module has from another one: it is described there."""
    home, here = getattr(obj, "__module__", None), app.env.current_document.autodoc_module
    return True if what == "module" and isinstance(obj, type | FunctionType) and home != here else None


def exported(folder: str) -> str:
    """Return a line with what a folder itself offers of its modules; empty if that is nothing."""
    module = import_module(folder)
    found = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    words = [f":obj:`~{one.__module__}.{name}`" if hasattr(one, "__module__") else name for name, one in found.items()]
    return f"Offers {', '.join(words)}.\n\n" if words else ""


def write_reference(app: Sphinx) -> None:
    """Write a page a folder into docs/reference, which git ignores; what is not a folder any more goes."""
    pages = {}
    for file in sorted(ROOT.glob("imo_engine/**/__init__.py")) + sorted(ROOT.glob("app/**/__init__.py")):
        folder = ".".join(file.parent.relative_to(ROOT).parts)
        text = f"{folder}\n{'=' * len(folder)}\n\n.. automodule:: {folder}\n\n{exported(folder)}"
        for module in sorted(file.parent.glob("[!_]*.py")):
            name = f"{folder}.{module.stem}"
            text += f"{name}\n{'-' * len(name)}\n\n.. automodule:: {name}\n\n"
        inside = sorted(one.parent.name for one in file.parent.glob("*/__init__.py"))
        if inside:
            text += ".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {folder}.{name}\n" for name in inside)
        pages[ROOT / "docs" / "reference" / f"{folder}.rst"] = text
    (ROOT / "docs" / "reference").mkdir(exist_ok=True)
    for old in set((ROOT / "docs" / "reference").iterdir()) - set(pages):
        old.unlink()
    for page, text in pages.items():
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect them."""
    app.connect("config-inited", lambda app, config: write_reference(app))
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-skip-member", leave_out)
