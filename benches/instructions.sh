#!/usr/bin/env bash
# How many instructions one decision takes, counted by valgrind and held against benches/instructions.tsv: a slowdown is
# seen on any machine, without a clock. `--update` writes what was counted, with a tenth of room, into that file.
set -euo pipefail
cd "$(dirname "$0")/.."

limits=benches/instructions.tsv
few=50 many=550

command -v valgrind >/dev/null || { echo "valgrind is not installed: run 'make setup'" >&2; exit 2; }
binary=$(cargo build --locked --release --no-default-features --features instructions --bin instructions \
  --message-format=json | grep -o '"executable":"[^"]*instructions[^"]*"' | tail -1 | cut -d'"' -f4)

# count SCENARIO ROUNDS: the instructions of a whole run.
count() {
  local said
  said=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$1" "$2" 2>&1) || {
    printf '%s\n' "$said" >&2
    exit 1
  }
  sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$said"
}

failed=0
counted=()
for scenario in shipped 1000-policies task; do
  before=$(count "$scenario" "$few")
  after=$(count "$scenario" "$many")
  each=$(((after - before) / (many - few)))
  ((each > 0)) || { echo "$scenario: valgrind counted nothing" >&2; exit 2; }
  limit=$(awk -v name="$scenario" '$1 == name { print $2 }' "$limits" 2>/dev/null || true)
  printf '%-16s %8d instructions a decision, limit %s\n' "$scenario" "$each" "${limit:-none}"
  counted+=("$(printf '%s\t%d' "$scenario" $((each + each / 10)))")
  if [[ ${1:-} != --update ]] && ((each > ${limit:-0})); then
    echo "$scenario is over its limit: find out why, or raise it with $0 --update and say why in the commit" >&2
    failed=1
  fi
done
if [[ ${1:-} == --update ]]; then
  printf '%s\n' "${counted[@]}" >"$limits"
fi
exit "$failed"
