#!/usr/bin/env bash
# Sets up .venv if need be and serves the embedded demo. Options are passed on to `imo serve`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
install_into .venv ""
say "starting the dashboard; open the address below in a browser"
exec .venv/bin/imo serve "$@"
