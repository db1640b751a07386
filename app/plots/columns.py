"""The columns of a data source: Bokeh's types hold them for a table of pandas as well, which none here is."""

from typing import Any, cast

from bokeh.models import ColumnDataSource

__all__ = ["columns_of"]


def columns_of(source: ColumnDataSource) -> dict[str, Any]:
    """Return the columns themselves: what is changed in them is sent."""
    return cast("dict[str, Any]", source.data)
