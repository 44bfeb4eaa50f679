#!/usr/bin/env bash
# Installs what the end-to-end tests need: .venv from PyPI, tools/capture/node_modules from npm.
# Does nothing when the lists of requirements have not changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/../.."

stamp() { # stamp FILE… : a digest of what is to be installed
  sha256sum "$@" | sha256sum | cut -d' ' -f1
}

python="$(stamp tests/e2e/requirements.txt tests/e2e/constraints.txt)"
if [ "$(cat .venv/.palisade-stamp 2>/dev/null)" != "$python" ]; then
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -r tests/e2e/requirements.txt -c tests/e2e/constraints.txt
  echo "$python" > .venv/.palisade-stamp
fi

node="$(stamp tools/capture/package.json tools/capture/package-lock.json)"
modules=tools/capture/node_modules
if [ "$(cat "$modules/.palisade-stamp" 2>/dev/null)" != "$node" ]; then
  npm ci --prefix tools/capture --ignore-scripts --no-audit --no-fund --loglevel=error
  echo "$node" > "$modules/.palisade-stamp"
fi
