"""Numbers beside the axes of panels, as short as they can be."""

from bokeh.models import CustomJSTickFormatter
from bokeh.plotting import figure

from app.browser.modules import joined

__all__ = ["short_numbers"]


def short_numbers(panel: figure) -> None:
    """Write the numbers beside a panel's height in three digits, with a power of ten where they are far from one."""
    for axis in panel.yaxis:
        axis.formatter = CustomJSTickFormatter(code=joined("short_number") + "return shortNumber(tick)")
