"""The plots of a page as what a session draws on."""

from app.plots.methods import MethodPanels
from app.plots.sources import PlotSources

__all__ = ["PlotCanvas"]


class PlotCanvas:
    """A :class:`~app.state.canvas.Canvas`: spectrum and attribution, and the other methods under them."""

    def __init__(self, sources: PlotSources, methods: MethodPanels) -> None:
        """Draw into these."""
        self.show_spectrum = sources.show_spectrum
        self.show_reconstruction = sources.show_reconstruction
        self.show_baselines = sources.show_baselines
        self.show_window = sources.show_window
        self.show_combination = sources.show_combination
        self.show_attribution = sources.show_attribution
        self.show_features = sources.show_features
        self.show_repair = sources.show_repair
        self.show_methods = methods.show
