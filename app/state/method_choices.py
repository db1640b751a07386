"""The other methods that can be compared with: what the page calls them, without loading any network."""

from dataclasses import dataclass

__all__ = ["METHODS_AT_FIRST", "METHODS_AT_ONCE", "METHOD_CHOICES", "MethodChoice", "known_methods"]

METHODS_AT_ONCE = 6
"""How many fit under a spectrum."""

METHODS_AT_FIRST = ("integrated_gradients", "expected_gradients", "feature_ablation", "occlusion")
"""Those of the paper's figure 2."""


@dataclass(frozen=True)
class MethodChoice:
    """One method.

    Attributes:
        name: In :data:`imo_engine.methods.registry.METHODS`.
        label: Its name for people, the same as there.
        words: What it does, for somebody who has not heard of it.
    """

    name: str
    label: str
    words: str


METHOD_CHOICES: tuple[MethodChoice, ...] = (
    MethodChoice("gradient_times_input", "Gradient × input", "Slope of −log p at the spectrum, times the flux"),
    MethodChoice("smooth_grad", "SmoothGrad", "The same, averaged over noisy copies of the spectrum"),
    MethodChoice(
        "integrated_gradients",
        "Integrated gradients",
        "Slopes summed on the way from the mean baseline to the spectrum",
    ),
    MethodChoice("expected_gradients", "Expected gradients", "Slopes on the way from each baseline, then the mean"),
    MethodChoice("gradient_shap", "GradientSHAP", "The same at places drawn at random"),
    MethodChoice("deep_lift", "DeepLIFT", "Differences handed back through the network, layer by layer"),
    MethodChoice("feature_ablation", "Feature ablation", "One pixel of the spectrum replaced by the mean baseline's"),
    MethodChoice("occlusion", "Occlusion", "64 pixels of the spectrum replaced by the mean baseline's"),
    MethodChoice("lime", "LIME over segments", "A linear fit to log p with many segments replaced at random"),
    MethodChoice("random", "Random", "Control: random numbers"),
    MethodChoice("residual_over_noise", "Residual over noise", "Control: how badly the model fits each pixel"),
    MethodChoice(
        "mean_baseline_difference", "Difference from mean baseline", "Control: distance from the mean baseline"
    ),
)
"""Every method but inverse occlusion itself, in the order of the menu."""

_LABELS = {choice.name: choice.label for choice in METHOD_CHOICES}


def known_methods(names: object) -> list[str]:
    """Return those names that are methods, each once, at most as many as fit; others are passed over.

    >>> known_methods(["occlusion", "magic", "occlusion", "lime"])
    ['occlusion', 'lime']
    """
    wanted = dict.fromkeys(name for name in (names if isinstance(names, list | tuple) else ()) if name in _LABELS)
    return list(wanted)[:METHODS_AT_ONCE]
