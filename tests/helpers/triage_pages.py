"""A survey of many targets, and what is done with labels on its page."""

import socket

import numpy as np

from helpers.browser import visit, write_desi_model
from helpers.fits_files import arms, write_coadd, write_redrock

TARGETS = [str(39628000000001000 + k) for k in range(22)]
USER = "ann"


SPECTRUM_OF = """
(target) => [...Bokeh.documents[0]._all_models.values()]
  .some((m) => m.data?.z !== undefined && m.data.rank === undefined && m.data.id[0] === target)
"""


IN_THE_COMMENT = """
() => {
  let at = document.activeElement
  while (at?.shadowRoot) at = at.shadowRoot.activeElement
  return at?.tagName === "TEXTAREA"
}
"""


CLASS_SHOWN = """
(name) => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  for (const root of roots(document)) {
    const select = root.querySelector(".imo-form select")
    if (select) return select.value === name
  }
}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_survey(folder):
    """Spectra, redshifts and a small model, as :func:`arguments` names them."""
    write_desi_model(folder)
    data = arms(len(TARGETS), ivar=100.0)
    rng = np.random.default_rng(7)
    for arm in data.values():
        arm["flux"] += rng.normal(0, 0.1, arm["flux"].shape).astype(np.float32)
        arm["flux"] *= np.linspace(1, 2, len(TARGETS))[:, None].astype(np.float32) ** (arm["wavelength"] / 6000 - 1)
    ids = [int(target) for target in TARGETS]
    write_redrock(folder / "redrock-triage.fits", ids, [0.1 + 0.01 * k for k in range(len(ids))])
    write_coadd(folder / "coadd-triage.fits", ids, data)
    return folder


def arguments(folder, labels="labels.sqlite", user=USER):
    """What `imo serve` gets; small windows only, so that nothing waits for the engine."""
    return [
        "--spectra", folder / "coadd-triage.fits", "--model", folder / "narrow.safetensors", "--device", "cpu",
        "--n-baselines", 2, "--windows", "256,64", "--labels", folder / labels, "--user", user,
        "--cache", folder / "cache",
    ]  # fmt: skip


def opened(browser, url):
    seen = visit(browser, url)
    seen.page.wait_for_function("() => window.imo?.form !== undefined && window.imo?.address !== undefined")
    seen.page.locator(".strip .id").wait_for()
    seen.page.locator(".imo-form:not([inert])").wait_for(state="attached")  # in sight or folded away
    seen.page.locator(".tabulator-row .id").first.wait_for()
    return seen


def wait_for_target(seen, target):
    seen.page.locator(".strip .id", has_text=target).wait_for()
    seen.page.wait_for_function(SPECTRUM_OF, arg=target)


def wait_until_saved(seen):
    """Wait for the words that promise it."""
    seen.page.locator(".state.saved", has_text="saved ").wait_for()


def table_order(seen):
    return seen.page.locator(".tabulator-row .id").all_inner_texts()
