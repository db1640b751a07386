"""That shapes are checked while the tests run (see helpers/shapes.py), and that a wrong one is found."""

import dataclasses
import importlib
import types

import numpy as np
import pytest
from helpers import shapes
from helpers.networks import tiny_model

from imo_engine.attribution.record import combine
from imo_engine.spectra.spectra import normalise


@pytest.mark.parametrize("module", shapes.FUNCTIONS)
def test_everything_listed_is_checked(module):
    found = importlib.import_module(f"imo_engine.{module}")
    for path in shapes.FUNCTIONS[module]:
        holder = found
        for name in path.split("."):
            holder = getattr(holder, name)
        assert hasattr(holder, "__wrapped__"), path


def test_a_model_of_wrong_shapes_is_found(monkeypatch):
    model = tiny_model()
    flux = np.ones((2, len(model.wavelength)))
    before = shapes.checked["OutlierModel.encode"]
    latents = model.encode(flux)
    assert shapes.checked["OutlierModel.encode"] == before + 1
    monkeypatch.setattr(model, "_run", lambda *args: latents.T)
    with pytest.raises(shapes.ShapeError, match=r"encode: result has shape \(3, 2\), expected \(n, S\), n = 2, S = 2"):
        model.encode(flux)


def test_dimensions_of_one_name_are_of_one_size():
    values, weights = np.zeros((2, 3, 5)), np.full((2, 5), 0.5)
    combine(values, weights)
    with pytest.raises(shapes.ShapeError, match=r"combine: weights has shape \(2, 1\), expected \(window, pixel\)"):
        combine(values, weights[:, :1])


def test_a_record_of_wrong_shapes_is_found():
    wave = np.linspace(3600, 9800, 500)
    spectra = normalise(wave, np.ones((4, 500)), np.ones((4, 500)), [0.1] * 4, target_id=list("abcd"))
    with pytest.raises(shapes.ShapeError, match=r"Spectra: redshift has shape \(3,\), expected \(n\), n = 4"):
        dataclasses.replace(spectra, redshift=spectra.redshift[:3])


def test_a_property_of_wrong_shape_is_found():
    source = """
@dataclass
class Record:
    flux: object
    '''(N,) of a spectrum.'''

    @property
    def cut(self):
        '''(N,) one pixel short.'''
        return self.flux[1:]
"""
    module = types.ModuleType("record")
    vars(module)["dataclass"] = dataclasses.dataclass
    exec(source, vars(module))
    shapes.check_module(module, source)
    record = module.Record(np.zeros(3))
    with pytest.raises(shapes.ShapeError, match=r"Record: cut has shape \(2,\), expected \(N\), N = 3"):
        _ = record.cut
    with pytest.raises(shapes.ShapeError, match=r"Record: flux has shape \(3, 1\)"):
        module.Record(np.zeros((3, 1)))
