"""Every evaluator: the same numbers whatever is grouped, a short way to the next question, and little memory enough."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers.evaluators import chunks_of, narrow_model, replacement_of, varied_model
from torch.utils.flop_counter import FlopCounterMode

from imo_engine.attribution.evaluators import EVALUATORS, adaptive
from imo_engine.attribution.evaluators.base import Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.evaluators.field_passes import FieldPasses
from imo_engine.attribution.evaluators.instance_stages import InstanceStages
from imo_engine.attribution.evaluators.local import LocalExact
from imo_engine.attribution.evaluators.local_encoder import WindowUpdate
from imo_engine.attribution.evaluators.low_rank import LowRank
from imo_engine.attribution.evaluators.side_by_side import Prepared, side_by_side
from imo_engine.benchmark.ways import all_chunks, example_spectra, published_architecture
from imo_engine.bundle.loading import load_model
from imo_engine.errors import Cancelled, OutOfMemory
from imo_engine.model.quick_encoder import QuickEncoder

EVERY = [(name, norm) for name in EVALUATORS for norm in ("none", "instance")]


@pytest.fixture
def one_thread():
    """What runs side by side then runs in this thread, where it can be counted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def case():
    base, flux = example_spectra(2200, 2, seed=3)
    return Replacement.of(narrow_model(torch.float64), base, flux, np.ones(2200, bool))


class TestGrouping:
    @pytest.mark.parametrize(("name", "norm"), EVERY)
    def test_results_do_not_depend_on_the_size_of_batches(self, name, norm):
        replacement = replacement_of(varied_model(norm))
        chunks = chunks_of(1, 2)
        chunks = chunks if (name, norm) == ("local_update", "instance") else chunks[::9]
        whole = choose_evaluator(name, replacement).log_prob(chunks)
        for budget in (1, 30_000):
            small = choose_evaluator(name, replacement, memory_budget=budget).log_prob(chunks)
            assert small == pytest.approx(whole, abs=1e-10)

    @pytest.mark.parametrize(("name", "norm"), [one for one in EVERY if one != ("local_update", "instance")])
    def test_nor_on_order_and_company(self, name, norm):
        """Local updates alone learn from what they are asked in one go; what they promise is tested elsewhere."""
        replacement = replacement_of(varied_model(norm))
        chunks = chunks_of(4, 2)
        whole = choose_evaluator(name, replacement).log_prob(chunks)
        order = np.random.default_rng(1).permutation(len(chunks))
        for some in (order, order[:7]):
            assert choose_evaluator(name, replacement).log_prob(chunks[some]) == pytest.approx(whole[some], abs=1e-10)

    @pytest.mark.parametrize("at_once", [1, 2, 3])
    def test_nor_on_how_many_inputs_are_prepared_at_once(self, monkeypatch, at_once):
        replacement = replacement_of(varied_model("none"), inputs=5)
        chunks = chunks_of(16, 5)
        whole = choose_evaluator("exact", replacement).log_prob(chunks)
        monkeypatch.setattr(LocalExact, "inputs_at_once", at_once)
        evaluator = choose_evaluator("exact", replacement)
        assert len(evaluator.updates) == -(-5 // at_once)
        assert evaluator.log_prob(chunks) == pytest.approx(whole, abs=1e-12)

    def test_nor_on_how_many_are_prepared_together_or_forgotten(self, case, monkeypatch):
        chunks = all_chunks(case, 4)
        whole = {name: choose_evaluator(name, case).log_prob(chunks) for name in ("exact", "local_update")}
        monkeypatch.setattr(adaptive, "_PART", 100)
        monkeypatch.setattr(adaptive, "_KEPT_BYTES", 1)  # every input's fields are made again for the next
        for name, expected in whole.items():
            assert choose_evaluator(name, case).log_prob(chunks) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("name", ["exact", "local_update"])
    def test_wide_windows_do_not_use_what_narrow_ones_had_prepared(self, case, monkeypatch, name):
        """The matrix that carries a chunk's cells on would grow with the square of the window size."""
        net, asked = case.model.quick_encoder.net, []
        whole = net.toeplitz
        monkeypatch.setattr(net, "toeplitz", lambda *size: asked.append(size) or whole(*size))
        evaluator = choose_evaluator(name, case)
        evaluator.log_prob(all_chunks(case, 4))
        narrow = set(asked)
        assert narrow
        evaluator.log_prob(all_chunks(case, 128))
        assert set(asked) == narrow

    @pytest.mark.parametrize(("most_bytes", "times", "left"), [(30, 1, 3), (29, 2, 2)])
    def test_what_is_prepared_stays_only_if_there_is_room_for_all(self, most_bytes, times, left):
        made = []
        prepared = Prepared(
            lambda number: made.append(number) or number, lambda _: 10, count=3, most_bytes=most_bytes, at_once=2
        )
        for number in (0, 1, 2, 0, 1, 2):
            assert prepared[number] == number
        assert len(made) == 3 * times
        assert len(prepared._kept) == left


class TestMemory:
    @pytest.mark.parametrize(
        ("name", "norm", "where", "method"),
        [
            ("full_passes", "instance", QuickEncoder, "__call__"),
            ("exact", "none", WindowUpdate, "pooled"),
            ("frozen_statistics", "instance", WindowUpdate, "pooled"),
            ("exact", "instance", InstanceStages, "exact"),
            ("exact", "instance", FieldPasses, "pooled"),
            ("local_update", "instance", LowRank, "latents"),
            ("local_update", "instance", InstanceStages, "exact"),
        ],
    )
    def test_a_batch_that_does_not_fit_is_halved_everywhere(self, case, monkeypatch, name, norm, where, method):
        replacement = case if norm == "instance" else replacement_of(varied_model("none"))
        wide = name == "full_passes" or where is InstanceStages  # few chunks
        chunks = all_chunks(replacement, 128 if wide else 4)
        expected = choose_evaluator(name, replacement).log_prob(chunks)
        whole = getattr(where, method)
        refused = []

        def hungry(self, first, *rest):
            count = len(first.start) if hasattr(first, "start") else len(first)
            if count > 3:
                refused.append(count)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(self, first, *rest)

        monkeypatch.setattr(where, method, hungry)
        assert choose_evaluator(name, replacement).log_prob(chunks) == pytest.approx(expected, abs=1e-9)
        assert refused

    def test_says_so_when_nothing_fits(self, monkeypatch):
        def greedy(*arguments):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(WindowUpdate, "pooled", greedy)
        with pytest.raises(OutOfMemory, match="single spectrum"):
            choose_evaluator("exact", replacement_of(varied_model("none"))).log_prob(chunks_of(4, 2))


def test_threads_that_begin_later_have_as_many_as_before():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen = side_by_side(lambda number: torch.get_num_threads(), 5, torch.device("cpu"))
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(torch.get_num_threads).result()
        assert (seen, torch.get_num_threads(), later) == ([1] * 5, 3, 3)
    finally:
        torch.set_num_threads(threads)


class TestStopping:
    """A question comes at least every few forward passes' worth of work: a fifth of a second on one slow core."""

    def longest(self, name, replacement, window, *, some=None):
        """Return the most operations between two questions, in forward passes of the encoder."""
        chunks = all_chunks(replacement, window)
        chunks = chunks[:some]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            replacement.model.encoder(replacement.base[:1])
        one = counter.get_total_flops()
        at = [0]
        with FlopCounterMode(display=False) as counter:

            def asked():
                at.append(counter.get_total_flops())
                return False

            evaluator = choose_evaluator(name, replacement, should_stop=asked)
            evaluator.base_log_prob(asked)
            evaluator.log_prob(chunks, should_stop=asked)
            asked()
        return np.diff(at).max() / one, len(at)

    @pytest.mark.parametrize("name", ["exact", "local_update", "frozen_statistics", "full_passes"])
    def test_published_widths(self, one_thread, name):
        base, flux = example_spectra(7781, 2)
        replacement = Replacement.of(published_architecture(device="cpu"), base, flux, np.ones(7781, bool))
        longest, _ = self.longest(name, replacement, 16, some=None if name == "local_update" else 24)
        assert longest < 14

    @pytest.mark.parametrize("count", [8, 20])
    def test_embedded_model(self, one_thread, count):
        model = load_model(None, None, None, "cpu")
        base, flux = example_spectra(len(model.wavelength), count)
        replacement = Replacement.of(model, base, flux, np.ones(len(flux), bool))
        longest, questions = self.longest("exact", replacement, 16)
        assert longest < 20
        assert questions > count

    @pytest.mark.parametrize(("name", "norm"), EVERY)
    def test_a_no_ends_it_wherever_it_comes(self, one_thread, name, norm):
        replacement = replacement_of(varied_model(norm))
        chunks = chunks_of(1, 2)

        def run(no):
            asked = []

            def stop():
                asked.append(1)
                return len(asked) == no

            evaluator = choose_evaluator(name, replacement, should_stop=stop)
            evaluator.base_log_prob(stop)
            evaluator.log_prob(chunks, should_stop=stop)
            return len(asked)

        run(0)  # what is prepared once for a model is prepared now
        in_all = run(0)
        for no in sorted({1, 2, 3, in_all // 2, in_all - 1, in_all} - {0}):
            with pytest.raises(Cancelled):
                run(no)

    def test_side_by_side_too(self, case):
        """Two inputs at a time: a no to either ends both."""
        asked, lock = [], threading.Lock()

        def stop():
            with lock:
                asked.append(threading.get_ident())
                return len(asked) > 30

        evaluator = choose_evaluator("exact", case, memory_budget=10_000)
        with pytest.raises(Cancelled):
            evaluator.log_prob(all_chunks(case, 4), should_stop=stop)
        assert len(asked) <= 30 + 2 * torch.get_num_threads() + 2
