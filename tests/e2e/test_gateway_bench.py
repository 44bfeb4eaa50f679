"""The benchmark of the gateway works. What it measures here is nothing to quote."""

import subprocess
import sys

import running


def test_the_benchmark_asks_on_every_call_and_fills_its_table() -> None:
    command = [sys.executable, str(running.REPO / "benches" / "gateway.py"), "--rounds", "1", "--calls", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=running.START_S, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| no filter", "| Palisade"))]
    assert len(rows) == 3
    assert all(" µs" in row for row in rows)
