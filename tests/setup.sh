#!/usr/bin/env bash
# Installs what the tests and the linters need beside Rust: .venv from PyPI ({tests,examples}/*/requirements.txt, and what those
# bring with them at the versions in tests/constraints.txt), node_modules of tools/capture, tests/oidc and
# examples/typescript from npm, and valgrind; builds that example. Does nothing when the lists have not changed since the last time.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

# digest FILE…: of what is to be installed.
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# need PROBE PACKAGE…: unless PROBE succeeds, installs Debian packages where we may, else says what to install.
need() {
  local probe=$1
  shift
  if bash -c "$probe" >/dev/null 2>&1; then return; fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "tests/setup.sh: installing $*" >&2
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >&2
  fi
  if bash -c "$probe" >/dev/null 2>&1; then return; fi
  echo "tests/setup.sh: this fails: $probe" >&2
  echo "tests/setup.sh: install it and try again; on Debian: sudo apt-get install $*" >&2
  exit 2
}

# modules FOLDER: installs what FOLDER/package-lock.json lists into FOLDER/node_modules.
modules() {
  local folder=$1 stamp=$1/node_modules/.stamp wanted
  if [ ! -f "$folder/package-lock.json" ]; then return; fi
  wanted=$(digest "$folder/package.json" "$folder/package-lock.json")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  # What oidc-provider needs of Node.js.
  need "npm --version && node -e 'process.exit(+(typeof URL.parse !== \"function\" || !require(\"crypto\").hash))'" \
    nodejs npm
  npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
  echo "$wanted" >"$stamp"
}

requirements=(tests/*/requirements.txt examples/*/requirements.txt)
wanted=$(digest "${requirements[@]}" tests/constraints.txt)
if [ "$(cat .venv/.stamp 2>/dev/null)" != "$wanted" ]; then
  need "python3 -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 10))'" python3 python3-venv
  # From scratch: what a list no longer names does not stay behind.
  python3 -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint=tests/constraints.txt "${requirements[@]/#/--requirement=}"
  echo "$wanted" >.venv/.stamp
fi

modules tools/capture
modules tests/oidc
modules examples/typescript
npm run --prefix examples/typescript --silent build

# Counts instructions for benches/instructions.sh.
need "valgrind --version" valgrind
