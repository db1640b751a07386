"""The files that run in the browser."""

from importlib import resources

__all__ = ["script"]


def script(*names: str) -> str:
    """Return files of the folder ``js``, one after the other, by their names without an ending."""
    folder = resources.files("app.browser").joinpath("js")
    return "\n".join(folder.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in names)
