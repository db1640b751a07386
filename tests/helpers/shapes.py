"""Checks the shapes of arrays while the tests run: those of records as documented, those of functions as listed here.

A record says the shape of a field or property first thing in its docstring, or in its ``Attributes:``, for example
"(n, N) inverse variance". Every instance of such a class is checked when it is made, every property when it is asked
for, and so is every call of the functions in :data:`FUNCTIONS`. A dimension has one size within a record or a call.

:func:`install` does this to modules of ``imo_engine`` as they are imported; modules that nobody imports cost nothing.
"""

import ast
import dataclasses
import importlib.abc
import importlib.machinery
import re
import sys
import types
from collections import Counter
from functools import cached_property, wraps
from inspect import signature

import numpy as np

FUNCTIONS = {
    "spectra.spectra": {
        "fill_masked": "flux (n, N); measured (n, N) -> (n, N)",
        "concatenate": "-> .flux (n, N)",
    },
    "spectra.instrument": {"sky_line_mask": "wavelength (N) -> (N)"},
    "spectra.noise": {"ivar_in_words": "spectrum.flux (1, N) -> (N)"},
    "spectra.eligibility": {"why_not_ranked": "spectra.flux (n, N) -> (n)"},
    "model.outlier_model": {
        "OutlierModel.encode": "self.wavelength (N); flux (n, N) -> (n, S)",
        "OutlierModel.reconstruct": "self.wavelength (N); flux (n, N); redshift (n) -> (n, N)",
        "OutlierModel.decode": "self.wavelength (N); latents (n, S); redshift (n) -> (n, N)",
        "OutlierModel.log_prob": "self.wavelength (N); flux (n, N) -> (n)",
        "OutlierModel.latent_log_prob": "latents (n, S) -> (n)",
        "OutlierModel.covered": "self.wavelength (N) -> (N)",
        "OutlierModel.prepare": "self.wavelength (N); spectra.flux (n, N) -> (n, N)",
        "OutlierModel.checked_flux": "self.wavelength (N); flux (n, N) -> (n, N)",
    },
    "model.autoencoder": {
        "SpectrumEncoder.forward": "flux (n, N) -> (n, S)",
        "SpectrumEncoder.pooled": "flux (n, N) -> (n, half)",
        "SpectrumEncoder.latents": "pooled (n, half) -> (n, S)",
        "SpectrumEncoder.attend": "x (n, width, position) -> (n, half)",
        "SpectrumDecoder.forward": "self.wave_rest (R); latents (n, S) -> (n, R)",
        "SpectrumDecoder.observe": "self.wave_rest (R); rest (n, R); redshift (n); wavelength (N) -> (n, N)",
        "SpectrumDecoder.covered": "redshift (n); wavelength (N) -> (n, N)",
    },
    "model.flow": {
        "MaskedAutoregressiveFlow.forward": "latents (n, S) -> (n)",
        "MaskedAutoregressiveFlow.normal": "latents (n, S) -> (n, S)",
    },
    "model.quick_encoder": {"QuickEncoder.__call__": "flux (n, N) -> (n, half)"},
    "model.fourier": {"FourierConvolution.__call__": "x (n, position, in) -> (n, position, out)"},
    "ranking.baselines": {
        "BaselinePool.from_spectra": "flux (n, N); redshift (n) -> .latents (n, S); .redshift (n); .log_prob (n)",
        "BaselinePool.load": "-> .latents (n, S); .redshift (n); .log_prob (n)",
        "BaselinePool.draw": "self.latents (all, S); near (S) -> .latents (n, S); .redshift (n); .log_prob (n)",
    },
    "ranking.ranking": {"rank_spectra": "spectra.flux (n, N) -> .log_prob (n); .latents (n, S)"},
    "attribution.occlusion": {
        "checked_spectrum": "model.wavelength (N); flux (N); valid (N) -> (N), (N)",
        "inverse_multiscale_occlusion": "flux (N); valid (N) -> .values (W, M, N); .baselines (M, N)",
    },
    "attribution.evaluators.base": {
        "Evaluator.log_prob": "chunks.row (n) -> (n)",
        "Evaluator.flow_log_prob": "latents (n, S) -> (n)",
        "Evaluator.head": "pooled (n, half) -> (n, S)",
    },
    "attribution.hybrids": {
        "Hybrids.replaced": "self.flux (N) -> (N)",
        "Hybrids.log_prob": "starts (n) -> (n)",
    },
    "attribution.record": {
        "combination_weights": "mean (window, pixel); variance (window, pixel) -> (window, pixel)",
        "combine": "values (window, baseline, pixel); weights (window, pixel) -> (pixel), (pixel)",
        "Attribution.with_window": "self.flux (pixel); values (baseline, pixel) -> .values (window, baseline, pixel)",
    },
    "methods.problem": {
        "Problem.anomaly_of": "self.flux (N); spectra (n, N) -> (n)",
        "Problem.anomaly": "count -> (count)",
        "Problem.anomaly_and_gradient": "self.flux (N); count -> (count), (count, N)",
        "Problem.references": "self.flux (N) -> (K, N)",
        "Problem.differentiable_anomaly": "self.flux (N); points (n, N) -> (n)",
    },
    "methods.registry": {"Method.__call__": "flux (N); valid (N) -> .values (N); .per_baseline (M, N)"},
    "methods.lime": {
        "similarity": "kept (n, segment) -> (n)",
        "ridge": "table (n, k); target (n); weight (n) -> (k)",
    },
    "reasons.deviations": {
        "window_sums": "one.flux (N) -> (width, N), (width, N), (width, N)",
        "noise_from_neighbours": "flux (N); measured (N) -> (N)",
    },
    "reasons.deviation_null": {
        "DeviationNull.scores": "difference (W, N); twin (W, N); lines (W, N); wavelength (N) -> (W, N)",
        "DeviationNull.comparable": "score (width, ...) -> (width, ...)",
    },
    "reasons.null_distribution": {
        "NullDistribution.scores": "attribution.flux (N) -> (map, N)",
        "NullDistribution.comparable": "scores (map, ...) -> (map, ...)",
    },
    "reasons.significance": {"significance_combination": "attribution.flux (N) -> (N)"},
    "reasons.other_redshift": {"emission_strength": "wavelength (N); flux (N); variance (N); good (N) -> (N)"},
    "reasons.profiles": {"profile_distances": "profiles (n, B); others (m, B) -> (n, m)"},
    "repair.fill": {
        "stand_ins": "flux (N); usable (N) -> (M, N)",
        "filled": "flux (N); baselines (M, N); replaced (N); usable (N) -> (M, N)",
    },
}
"""By module and name: arguments and what is known of them "->" the result, its parts or its attributes.

An argument without a shape is itself the size of a dimension. What is None or no array is not checked.
"""

FROM_FILES = ("BaselinePool", "StoredModel")
"""Records that hold whatever a file says until their maker has looked at it."""

checked: Counter[str] = Counter()
"""How often each record or function was checked in this process."""

_SHAPE = r"\(([^()]*)\)"


class ShapeError(AssertionError):
    """An array has another shape than is said of it."""


class Sizes:
    """The sizes of dimensions within one record or one call."""

    def __init__(self, where):
        self.where, self.known = where, {}

    def check(self, what, value, dimensions):
        """Compare a value with names of dimensions; ``...`` stands for any number of them, in the end only."""
        shape = _shape(value)
        if shape is None:
            return
        named = dimensions[:-1] if dimensions[-1:] == ["..."] else dimensions
        fits = len(shape) == len(named) or (named is not dimensions and len(shape) > len(named))
        for name, size in zip(named, shape, strict=False):
            if name.isdigit():
                fits &= size == int(name)
            elif re.fullmatch(r"[A-Za-z]\w*( bin)?", name):  # all else, such as "2 C1", is some size
                fits &= self.known.setdefault(name, size) == size
        if not fits:
            known = ", ".join(f"{name} = {self.known[name]}" for name in named if name in self.known)
            raise ShapeError(f"{self.where}: {what} has shape {shape}, expected ({', '.join(dimensions)}), {known}")


def _shape(value):
    if isinstance(value, (list, tuple)):
        try:
            return np.shape(value)
        except ValueError:
            return None
    shape = getattr(value, "shape", None)
    return tuple(shape) if isinstance(shape, tuple) else None  # that of a tensor is one, too


def _dimensions(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _around(function, check):
    """Return a function that calls ``check`` with arguments and result once ``function`` has returned.

    It belongs to the module of ``function``: doctest leaves out what seems to come from elsewhere.
    """

    def checking(*args, **options):
        result = function(*args, **options)
        check(args, options, result)
        return result

    same = types.FunctionType(checking.__code__, function.__globals__, function.__name__, None, checking.__closure__)
    return wraps(function)(same)


def checking_function(function, where, words):
    """Return ``function`` with checks as in :data:`FUNCTIONS`."""
    given, _, made = words.partition("->")
    said = filter(None, map(str.strip, given.split(";")))
    arguments = [re.fullmatch(rf"([\w.]+)(?: {_SHAPE})?", one).groups() for one in said]
    attributes = re.findall(rf"\.(\w+) {_SHAPE}", made)
    parts = [] if attributes else re.findall(_SHAPE, made)
    known = signature(function)

    def check(args, options, result):
        checked[where] += 1
        bound, sizes = known.bind(*args, **options).arguments, Sizes(where)
        for path, shape in arguments:
            name, *inner = path.split(".")
            value = bound.get(name)
            for one in inner:
                value = getattr(value, one, None)
            if shape is None:
                sizes.known[path] = value
            else:
                sizes.check(path, value, _dimensions(shape))
        for name, shape in attributes:
            sizes.check(f"result.{name}", getattr(result, name), _dimensions(shape))
        for part, shape in zip(result if isinstance(result, tuple) else (result,), parts, strict=False):
            sizes.check("result", part, _dimensions(shape))

    return _around(function, check)


def documented(node):
    """Return dimensions by field, and by property, as the docstrings of a class say them."""
    found = {}
    for name, shape in re.findall(rf"^\s+(\w+): {_SHAPE}", ast.get_docstring(node, clean=False) or "", re.MULTILINE):
        found[name] = _dimensions(shape)
    for one, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(following, ast.Expr):
            name, words = one.target.id, ast.literal_eval(following.value)
        elif isinstance(one, ast.FunctionDef) and "property" in " ".join(map(ast.unparse, one.decorator_list)):
            name, words = one.name, ast.get_docstring(one) or ""
        else:
            continue
        if said := re.match(_SHAPE, words):
            found[name] = _dimensions(said[1])
    fields = {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}
    return {name: found[name] for name in found if name in fields}, {
        name: found[name] for name in found if name not in fields
    }


def check_class(kind, node):
    """Let a class check what is documented of its instances."""
    fields, properties = documented(node)

    def sizes_of(instance):
        sizes = Sizes(kind.__qualname__)
        for name, dimensions in fields.items():
            sizes.check(name, getattr(instance, name), dimensions)
        return sizes

    def on_init(args, options, result):
        checked[kind.__qualname__] += 1
        sizes_of(args[0])

    if fields and dataclasses.is_dataclass(kind) and kind.__name__ not in FROM_FILES:
        kind.__init__ = _around(kind.__init__, on_init)
    for name, dimensions in properties.items():
        attribute = vars(kind).get(name)

        def on_get(args, options, result, name=name, dimensions=dimensions):
            checked[f"{kind.__qualname__}.{name}"] += 1
            sizes_of(args[0]).check(name, result, dimensions)

        if isinstance(attribute, cached_property):
            attribute.func = _around(attribute.func, on_get)
        elif isinstance(attribute, property):
            setattr(kind, name, property(_around(attribute.fget, on_get), doc=attribute.__doc__))


def check_module(module, source):
    """Let what a module has just defined check shapes."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            check_class(vars(module)[node.name], node)
    for path, words in FUNCTIONS.get(module.__name__.removeprefix("imo_engine."), {}).items():
        *inside, name = path.split(".")
        holder = getattr(module, inside[0]) if inside else module
        found = vars(holder)[name]
        if isinstance(found, classmethod):
            setattr(holder, name, classmethod(checking_function(found.__func__, path, words)))
        else:
            setattr(holder, name, checking_function(found, path, words))


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        check_module(module, self.get_source(module.__name__))


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if not name.startswith("imo_engine."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(name, spec.origin)
        return spec


def install():
    """Check modules of ``imo_engine`` that are imported from now on."""
    sys.meta_path.insert(0, _Finder())
