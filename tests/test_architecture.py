"""Which folder may import which, what is exported, and how long a module may be."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import imo_engine

ROOT = Path(__file__).parents[1]

ORDER = {
    "imo_engine": (
        "errors",
        "system",
        "spectra",
        "readers",
        "simulation",
        "model",
        "ranking",
        "attribution",
        "methods",
        "benchmark",
        "reasons",
        "repair",
        "results",
        "bundle",
        "evaluation",
        "training",
        "commands",
    ),
    "app": (
        "survey",
        "labels",
        "computing",
        "findings",
        "state",
        "plots",
        "browser",
        "html",
        "exports",
        "views",
        "server",
        "commands",
    ),
}
"""A folder imports only from itself and from what stands before it."""

PUBLIC_FOLDERS = ("app.labels", "imo_engine.attribution.evaluators", "imo_engine.methods", "imo_engine.readers")
"""Folders whose ``__init__.py`` is where others find names; all others hold a docstring there and nothing else."""

MAX_LINES, MAX_LINES_OF_A_VIEW = 300, 200


def modules(package):
    """Dotted name and file of every module of a package."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if "node_modules" in parts:  # where npm installs what checks the browser's code
            continue
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


ENGINE, APP = modules("imo_engine"), modules("app")
EVERY = ENGINE | APP


def imports(file):
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


IMPORTS = {module: imports(file) for module, file in EVERY.items()}


def uses(names, *packages):
    """Those of ``names`` that are one of the packages or inside it."""
    return sorted(name for name in names if any(name == p or name.startswith(p + ".") for p in packages))


def users(modules, *packages):
    """Which of the modules import one of the packages, and what of it."""
    return [f"{module} imports {name}" for module in sorted(modules) for name in uses(IMPORTS[module], *packages)]


def inside(*folders):
    """Every module of these folders, the modules below them included."""
    return uses(EVERY, *folders)


def test_the_walk_sees_what_it_should():
    names = IMPORTS["imo_engine.model.outlier_model"]
    assert {"torch", "imo_engine.model.autoencoder", "imo_engine.model.autoencoder.SpectrumEncoder"} <= names
    assert uses(names, "torch") == ["torch", "torch.Tensor"]
    assert uses({"torchvision"}, "torch") == []
    assert "app.views.table.filters" in inside("app.views")


@pytest.mark.parametrize("package", ORDER)
def test_a_folder_imports_only_what_stands_before_it(package):
    place = {folder: number for number, folder in enumerate(ORDER[package])}
    found = sorted({module.split(".")[1] for module in uses(EVERY, package) if module != package})
    assert found == sorted(place), "every folder has a place in ORDER, and nothing else has"
    wrong = []
    for module in uses(EVERY, package):
        if module == package:
            continue
        for name in uses(IMPORTS[module], package):
            own, other = module.split(".")[1], (name.split(".") + [""])[1]
            if not other:
                wrong.append(f"{module} imports {package} as a whole")
            elif other in place and place[other] > place[own]:
                wrong.append(f"{module} imports {name}, which stands behind it")
    assert wrong == []


@pytest.mark.parametrize("package", ORDER)
def test_no_modules_import_each_other_in_a_circle(package):
    known = [module for module in uses(EVERY, package) if module != package]

    def needs(one, other):
        """Whether a module is imported for itself, not only for a module inside of it."""
        own = [name for name in uses(IMPORTS[one], other) if name.rpartition(".")[0] == other]
        return other != one and other in IMPORTS[one] and (not own or any(name not in EVERY for name in own))

    graph = {one: [other for other in known if needs(one, other)] for one in known}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" < ".join(error.args[1]))


def test_the_engine_has_never_heard_of_the_app():
    assert users(ENGINE, "app", "panel", "panel_material_ui", "bokeh", "holoviews", "param", "tornado") == []


def test_bagpipes_is_for_the_simulation_only():
    assert users(set(EVERY) - set(inside("imo_engine.simulation")), "bagpipes") == []


def test_the_app_imports_records_and_services_not_networks():
    networks = ("autoencoder", "flow", "published", "model_files")
    assert users(APP, "torch", *(f"imo_engine.model.{name}" for name in networks)) == []


def test_a_session_needs_no_browser_and_only_views_need_panel():
    before = [f"app.{folder}" for folder in ORDER["app"][: ORDER["app"].index("plots")]]
    assert users(inside(*before), "panel", "panel_material_ui", "bokeh", "holoviews") == []
    without_panel = inside(*(f"app.{folder}" for folder in ("plots", "browser", "html", "exports")))
    assert users(without_panel, "panel", "panel_material_ui") == []
    assert users(inside("app.html"), "bokeh", "holoviews") == []


def test_views_follow_the_target_in_turn_with_everything_else():
    # Panel sends what is changed outside of the document's turn as it was then, later: after what was changed since
    wrong = []
    for path in sorted((ROOT / "app/views").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "watch"):
                continue
            callback, *followed = map(ast.unparse, call.args)
            followed = " ".join(followed)
            if any(name in followed for name in ("'target_id'", "'status'", "'reason'", "'question'")):
                if "schedule(" not in callback:
                    wrong.append(f"{path.name}, line {call.lineno}: {callback} changes the page at once")
    assert wrong == []


def test_tests_lie_where_their_modules_do_and_import_no_other_test():
    wrong = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        wrong += [f"{file.name} imports {name}" for name in imports(file) if name.split(".")[-1].startswith("test_")]
        part, *folders = file.relative_to(ROOT / "tests").parts[:-1] or ("",)
        if part in ("app", "engine") and not (ROOT / part.replace("engine", "imo_engine")).joinpath(*folders).is_dir():
            wrong.append(
                f"{file.name} lies in tests/{part}/{'/'.join(folders)}, of which there is no folder of modules"
            )
        elif part not in ("", "app", "engine", "browser", "helpers"):
            wrong.append(f"{file.name} lies in tests/{part}")
    assert wrong == []


def test_no_module_is_probably_two_things():
    long = {}
    for module, file in EVERY.items():
        lines = file.read_text(encoding="utf-8").count("\n")
        if lines > (MAX_LINES_OF_A_VIEW if module.startswith("app.views.") else MAX_LINES):
            long[module] = lines
    assert long == {}


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


def test_every_module_says_what_it_is_for_and_what_it_exports():
    wrong = []
    for module in sorted(set(EVERY) - {"imo_engine"}):
        tree = ast.parse(EVERY[module].read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            wrong.append(f"{module} has no docstring")
        if EVERY[module].name == "__init__.py" and module not in PUBLIC_FOLDERS:
            if len(tree.body) != 1:
                wrong.append(f"{module} is a folder, and holds more than a docstring")
            continue
        assigned = {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}
        if "__all__" not in assigned:
            wrong.append(f"{module} has no __all__")
    assert wrong == []


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
