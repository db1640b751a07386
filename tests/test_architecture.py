"""Who may import whom, what is exported, and how long a module may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imo_engine

ROOT = Path(__file__).parents[1]

LAYERS = [
    {"errors", "instrument", "spectral_lines", "processes", "counting", "ranges", "evidence"},
    {"files", "window_facts", "embedded", "surroundings"},
    {"deviation_null"},
    {"deviations"},
    {"other_redshift"},
    {"spectrum_facts"},
    {"line_evidence"},
    {"spectra"},
    {"eligibility"},
    {"readers", "simulation", "autoencoder", "flow", "noise"},
    {"published", "model_files", "devices", "batching", "fourier", "convolutions", "checks"},
    {"encoding"},
    {"model"},
    {"baselines", "ranking", "tiling", "peaks", "repair_record"},
    {"attribution", "reference", "score_catalogue"},
    {"null_distribution"},
    {"significance", "twin"},
    {"attribution_table", "profiles"},
    {"strength", "repair_candidates", "repair_fill"},
    {"repair_search"},
    {"verdicts"},
    {"features"},
    {"sentences"},
    {"evaluators"},
    {"occlusion"},
    {"hybrids", "probe", "machine", "repair"},
    {"benchmark"},
    {"benchmark_process", "benchmark_precision"},
    {"benchmark_growth"},
    {"methods", "figure_files"},
    {"figures", "evaluation"},
    {"training"},
    {"command_line"},  # it names its commands in words and imports them when they are used
    {"commands"},
]
"""The engine from left to right: a module imports only from layers before its own, and from its own folder."""

SERVICES = (
    "engine",
    "survey",
    "explainer",
    "jobs",
    "computation",
    "events",
    "method_choices",
    "method_scores",
    "result_cache",
    "turns",
    "asking",
    "repairing",
    "findings",
    "groups",
    "latents",
    "similar",
    "precomputed",
    "known",
    "said",
    "refinement",
)
"""Modules of the app that are used without widgets and without a browser."""

MAX_LINES, MAX_LINES_OF_A_VIEW = 300, 200


def modules(package):
    """Dotted name and file of every module of a package."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


ENGINE, APP = modules("imo_engine"), modules("app")


def imports(file, *, package=""):
    """Dotted names of everything that a file imports, wherever in it; ``from a import b`` gives a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def uses(names, *packages):
    """Those of ``names`` that are one of the packages or inside it."""
    return sorted(name for name in names if any(name == p or name.startswith(p + ".") for p in packages))


def test_the_walk_sees_what_it_should():
    names = imports(ENGINE["imo_engine.model"])
    assert {"torch", "imo_engine.autoencoder", "imo_engine.autoencoder.SpectrumEncoder"} <= names
    assert uses(names, "torch") == ["torch", "torch.Tensor"]
    assert uses({"torchvision"}, "torch") == []


@pytest.mark.parametrize("module", sorted(set(ENGINE) - {"imo_engine"}))
def test_the_engine_imports_only_to_its_left(module):
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    own = module.split(".")[1]
    assert own in level, f"{module} has no place in LAYERS yet"
    for name in uses(imports(ENGINE[module]), "imo_engine"):
        assert name != "imo_engine", f"{module} imports the package as a whole"
        other = name.split(".")[1]
        if f"imo_engine.{other}" not in ENGINE:
            continue  # a name in the package itself, such as __version__
        assert other == own or level[other] < level[own], f"{module} imports {name}, which is not to its left"


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_the_engine_has_never_heard_of_the_app(module):
    forbidden = ("app", "panel", "panel_material_ui", "bokeh", "holoviews", "param", "tornado")
    assert uses(imports(ENGINE[module]), *forbidden) == []


@pytest.mark.parametrize("module", sorted(ENGINE | APP))
def test_bagpipes_is_for_the_simulation_only(module):
    if not module.startswith("imo_engine.simulation"):
        assert uses(imports((ENGINE | APP)[module]), "bagpipes") == []


@pytest.mark.parametrize("module", sorted(APP))
def test_the_app_imports_records_and_services_not_networks(module):
    networks = ("torch", "imo_engine.autoencoder", "imo_engine.flow", "imo_engine.published", "imo_engine.model_files")
    assert uses(imports(APP[module]), *networks) == []


@pytest.mark.parametrize("module", sorted(APP))
def test_the_app_is_main_views_plots_state(module):
    names = imports(APP[module])
    part = module.split(".")[1] if "." in module else ""
    above = ("app.main", "app.server", "app.command_line")
    if part.startswith("state"):
        forbidden = (*above, "app.views", "app.plots", "panel", "panel_material_ui", "bokeh", "holoviews")
    elif part in SERVICES:
        forbidden = (*above, "app.views", "app.plots", "panel", "panel_material_ui", "bokeh", "holoviews")
    elif part == "plots":
        forbidden = (*above, "app.views", "panel", "panel_material_ui")
    elif part == "views":
        forbidden = above
    elif part == "main":
        forbidden = ("app.server", "app.command_line")
    else:
        forbidden = ()
    assert uses(names, *forbidden) == []


@pytest.mark.parametrize("path", sorted((ROOT / "app/views").glob("*.py")), ids=lambda path: path.stem)
def test_views_follow_the_target_in_turn_with_everything_else(path):
    # Panel sends what is changed outside of the document's turn as it was then, later: after what was changed since
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "watch"):
            continue
        callback, *followed = map(ast.unparse, call.args)
        if any(name in " ".join(followed) for name in ("'target_id'", "'status'", "'reason'", "'question'")):
            assert "schedule(" in callback, f"{path.name}, line {call.lineno}: {callback} changes the page at once"


@pytest.mark.parametrize("module", sorted(ENGINE | APP))
def test_no_module_is_probably_two_things(module):
    lines = (ENGINE | APP)[module].read_text(encoding="utf-8").count("\n")
    most = MAX_LINES_OF_A_VIEW if module.startswith("app.views.") else MAX_LINES
    assert lines <= most, f"{module} has {lines} lines"


def test_exported_names():
    assert imo_engine.__all__ == [
        "Attribution",
        "BaselinePool",
        "ImoError",
        "OutlierModel",
        "Spectra",
        "inverse_multiscale_occlusion",
        "rank_spectra",
        "read_spectra",
    ]
    for name in imo_engine.__all__:
        assert getattr(imo_engine, name).__name__ == name
        assert name in dir(imo_engine)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = imo_engine.nothing


@pytest.mark.parametrize("module", sorted(set(ENGINE) - {"imo_engine"}))
def test_every_module_says_what_it_exports(module):
    tree = ast.parse(ENGINE[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{module} has no docstring"
    if ENGINE[module].name == "__init__.py" and len(tree.body) == 1:
        return  # a folder, nothing else
    assigned = {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if hasattr(t, "id")}
    assert "__all__" in assigned, f"{module} has no __all__"


def loaded_by(statement):
    """Top-level packages in sys.modules of a fresh interpreter after ``statement``."""
    code = f"import sys; {statement}; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_engine_is_light():
    heavy = {"torch", "panel", "bokeh", "holoviews", "astropy", "xarray", "scipy", "bagpipes", "numpy"}
    assert loaded_by("import imo_engine; imo_engine.__version__") & heavy == set()


def test_reading_spectra_needs_no_torch():
    heavy = {"torch", "panel", "bokeh", "holoviews", "bagpipes"}
    assert loaded_by("from imo_engine import Attribution, Spectra, read_spectra, ImoError") & heavy == set()
    assert "torch" in loaded_by("from imo_engine import OutlierModel")
