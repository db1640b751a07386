"""Other ways to attribute an outlier to its pixels, beside inverse multiscale occlusion, all in one form.

Every entry of :data:`~imo_engine.methods.registry.METHODS` is called with the same arguments and returns a
:class:`~imo_engine.methods.record.MethodAttribution`. All explain the anomaly a(x) = -log p(x), so positive values mark
pixels that lower log p.
"""

from imo_engine.methods.inverse import from_inverse_occlusion
from imo_engine.methods.record import MethodAttribution, NotApplicable
from imo_engine.methods.registry import METHODS, Method, find_method

__all__ = ["METHODS", "Method", "MethodAttribution", "NotApplicable", "find_method", "from_inverse_occlusion"]
