"""``imo evaluate``: measure the model against what is known."""

from imo_engine.commands.program import LazyGroup

__all__ = ["evaluate"]

evaluate = LazyGroup(
    {
        "model": ("imo_engine.commands.evaluate_model", "evaluate_model", "Is the model's idea of ordinary credible?"),
        "attribution": (
            "imo_engine.commands.evaluate_attribution",
            "evaluate_attribution",
            "Which attribution method finds what is odd?",
        ),
        "null": ("imo_engine.commands.evaluate_null", "evaluate_null", "What is significant: make and test p-values."),
        "deviations": (
            "imo_engine.commands.evaluate_deviations",
            "evaluate_deviations",
            "How much do ordinary spectra deviate from their twins?",
        ),
        "reasons": ("imo_engine.commands.evaluate_reasons", "evaluate_reasons", "Is what is said of an outlier true?"),
        "repair": ("imo_engine.commands.evaluate_repair", "evaluate_repair", "Are injected outliers repaired?"),
    },
    name="evaluate",
    help="Measure the model against what is known.",
)
