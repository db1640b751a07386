#!/usr/bin/env bash
# Sets up .venv with everything the tests need, a browser included, and runs all checks. Options go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
install_into_venv "[test,simulate,parquet]"

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
say "pytest"
exec .venv/bin/python -m pytest "$@"
