"""The page's own colours as CSS variables."""

from app.plots.colours import DARK, LIGHT, Colours

__all__ = ["variables"]


def variables() -> str:
    """Return the colours for the two classes that the theme switch toggles."""
    curves = ("source", "instrument", "repair", "spectrum", "noise", "baseline", "model", "combined", "negative")

    def block(colours: Colours, surface: str, hover: str, warning: str, on_accent: str, star: str, edge: str) -> str:
        return (
            f"--imo-text:{colours.text};--imo-muted:{colours.muted};--imo-line:{colours.grid};--imo-surface:{surface};"
            f"--imo-hover:{hover};--imo-accent:{colours.accent};--imo-warning:{warning};--imo-on-accent:{on_accent};"
            f"--imo-background:{colours.background};--imo-star:{star};--imo-edge:{edge};"
            f"{''.join(f'--imo-{name}:{getattr(colours, name)};' for name in curves)}"
            f"background:{colours.background};"
        )

    return (
        f".mui-light {{{block(LIGHT, '#ffffff', '#f1f4f7', '#a63a00', '#ffffff', '#a86400', '#c3cad2')}}}"
        f".mui-dark {{{block(DARK, '#1b2027', '#262d36', '#ffab7a', '#0d1116', '#ffc04d', '#47515d')}}}"
    )
