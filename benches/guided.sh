#!/usr/bin/env bash
# The release binary once more, arranged by a profile of itself at work: target/guided/palisade (docs/benchmarking.md says what
# that gains). What it has not seen while it was watched is held for rare, so that it is shown everything: the end-to-end tests
# for breadth, then the load generator for what is frequent.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[[ -x $profdata ]] || { echo "llvm-profdata is not installed: run 'rustup component add llvm-tools'" >&2; exit 2; }

folder=$PWD/target/guided
profile=$folder/palisade.profdata
# Named, so that what runs while others are built (macros, build scripts) is left alone.
built=$folder/$host/release/palisade

# build FLAGS: the binary, with these flags to the compiler for it and for all that is in it.
build() {
  RUSTFLAGS=$1 cargo build --locked --release --bin palisade --target "$host" --target-dir "$folder"
}

rm -rf "$folder/seen"
build "-Cprofile-generate=$folder/seen"
PALISADE_BIN=$built .venv/bin/python -m pytest -q tests/e2e
# The generator as tests have it: it is not what is measured.
cargo test --locked --bench serve -- --palisade "$built" --only unary,stream,http --rounds 1 --seconds 3 \
  --out "$folder/seen.md"
"$profdata" merge -o "$profile" "$folder"/seen
build "-Cprofile-use=$profile"
cp "$built" "$folder/palisade"
"$folder/palisade" test
echo "target/guided/palisade is the release binary, guided by what it did; to see what that gains:"
echo "  cargo bench --bench serve -- --only http --palisade target/guided/palisade"
