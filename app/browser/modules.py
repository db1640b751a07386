"""The browser's code: ES modules in the folder ``js``, joined with all that they import into what Bokeh runs.

Bokeh runs the body of one function, and a file that stands alone has no server to ask for modules: the modules that an
entry needs are put one after the other in one scope, as a browser would run them. What that scope cannot keep apart is
refused: two modules that declare the same name, names that are changed on import, and imports in a circle.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from bokeh.models import CustomJS

__all__ = ["ModuleError", "join", "joined", "start"]

_IMPORT = re.compile(r'import \{([^}]*)\} from "\./(\w+)\.js"\n')
_DECLARED = re.compile(
    r"(export )?(?:(?:async )?function\*? (\w+)|class (\w+)|(?:const|let) (?:(\w+)|\{([^}]*)\}|\[([^\]]*)\]))"
)


class ModuleError(ValueError):
    """Modules that cannot be joined."""


def start(entry: str, models: Mapping[str, object]) -> CustomJS:
    """Return what runs module ``entry`` and all that it imports; they read ``models``, and nothing else of Python."""
    return CustomJS(args={"models": dict(models)}, code=joined(entry))


@cache
def joined(entry: str) -> str:
    """Return module ``entry`` of the folder ``js``, without its ending, behind all that it imports."""
    folder = resources.files("app.browser").joinpath("js")

    def read(name: str) -> str:
        file = folder.joinpath(f"{name}.js")
        if not file.is_file():
            raise ModuleError(f"there is no module {name}.js")
        return file.read_text(encoding="utf-8")

    return join(entry, read)


def join(entry: str, read: Callable[[str], str]) -> str:
    """Return module ``entry`` behind all that it imports; ``read`` gives the text of a module.

    Raises:
        ModuleError: one of them is not there, imports in a circle, imports what is not exported, or declares a name
            that another one declares.

    >>> join("main", {"main": "let two = 2"}.__getitem__).splitlines()
    ['// main.js', 'let two = 2']
    """
    done: dict[str, str] = {}
    declared: dict[str, str] = {}
    exported: dict[str, set[str]] = {}

    def add(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            raise ModuleError(f"imports in a circle: {' > '.join([*way[way.index(name) :], name])}")
        if name in done:
            return
        text = read(name)
        for match in _IMPORT.finditer(text):
            wanted, other = match[1], match[2]
            add(other, (*way, name))
            for word in _words(wanted):
                if word not in exported[other]:
                    raise ModuleError(f"{name}.js imports {word}, which {other}.js does not export")
        text = _IMPORT.sub("", text)
        if wrong := re.search(r"^(import\b|export (?!(async )?function\b|class\b|const\b|let\b)).*", text, re.M):
            raise ModuleError(f"{name}.js: {wrong[0]!r} is not understood")
        exported[name] = set()
        for word, is_exported in _declarations(text):
            if word in declared:
                raise ModuleError(f"{name}.js and {declared[word]}.js both declare {word}")
            declared[word] = name
            if is_exported:
                exported[name].add(word)
        done[name] = re.sub(r"^export ", "", text, flags=re.M)

    add(entry, ())
    return "".join(f"// {name}.js\n{text}" for name, text in done.items())


def _words(listed: str) -> Iterator[str]:
    for word in filter(None, map(str.strip, listed.split(","))):
        if not word.isidentifier():
            raise ModuleError(f"{word!r} is not understood: names are imported as they are")
        yield word


def _declarations(text: str) -> Iterator[tuple[str, Any]]:
    """Yield what a module declares outside of all braces, and whether it is exported."""
    for match in re.finditer(rf"^{_DECLARED.pattern}", text, re.M):
        is_exported, function, kind, name, taken, listed = match.groups()
        if taken or listed:
            for part in (taken or listed).split(","):
                if word := part.split(":")[-1].strip():
                    yield word, is_exported
        else:
            yield function or kind or name, is_exported
        if name:
            # more of them in the same line: "let one = 1, two = 2"
            line = text[match.end() : text.find("\n", match.end())]
            for other in re.findall(r", (\w+) = ", _outside(line)):
                yield other, is_exported


def _outside(line: str) -> str:
    """Return a line without what is in brackets and after ``//``."""
    line = line.split("//")[0]
    while line != (line := re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}", "", line)):
        pass
    return line
