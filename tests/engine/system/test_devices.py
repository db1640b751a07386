"""Which devices there are, and full precision on them; no GPU is needed to ask."""

import threading

import pytest
import torch
from helpers.networks import tiny_model

from imo_engine.errors import InputError
from imo_engine.system import devices
from imo_engine.system.devices import all_devices, full_precision

CUDA = torch.device("cuda")


@pytest.fixture
def gpus(monkeypatch):
    def there_are(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return there_are


def test_all_of_several(gpus):
    gpus(3)
    assert all_devices("cuda") == all_devices("auto") == ["cuda:0", "cuda:1", "cuda:2"]
    assert all_devices("cuda:1") == ["cuda:1"]
    assert all_devices("cpu") == ["cpu"]
    with pytest.raises(InputError, match="3 CUDA devices"):
        all_devices("cuda:3")


def test_without_any(gpus, monkeypatch):
    gpus(0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert all_devices("auto") == ["cpu"]
    with pytest.raises(InputError, match="0 CUDA devices"):
        all_devices("cuda")


def test_a_model_moves_only_if_it_must():
    model = tiny_model()
    assert model.on("cpu") is model
    copy = model.on("cpu:0")
    assert copy is not model and copy.fingerprint == model.fingerprint
    assert copy.dtype == model.dtype and copy.name == model.name
    with pytest.raises(InputError, match="'device' is 'abacus'"):
        model.on("abacus")


class TestFullPrecision:
    @pytest.fixture(autouse=True)
    def switches(self):
        before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        yield
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before

    def on(self):
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    def test_switches_tf32_off_inside_and_back_afterwards(self):
        with pytest.raises(ZeroDivisionError), full_precision(CUDA):
            assert self.on() == (False, False)
            _ = 1 / 0
        assert self.on() == (True, True)

    def test_leaves_other_devices_alone(self):
        with full_precision(torch.device("cpu")):
            assert self.on() == (True, True)

    def test_stays_off_until_the_last_thread_is_out(self):
        """One device's thread that ends must not give TF32 back to another that still computes."""
        inside, leave = threading.Event(), threading.Event()

        def other():
            with full_precision(CUDA):
                inside.set()
                leave.wait(30)

        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(30)
        with full_precision(CUDA):
            assert self.on() == (False, False)
        assert self.on() == (False, False)
        leave.set()
        thread.join(30)
        assert self.on() == (True, True)
        assert devices._inside == 0
