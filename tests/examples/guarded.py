"""The sample servers behind the examples, each a process of its own.
Never waits by sleeping: a process says when it is ready.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import running
from running import CRM_TOKEN, REPO, Crm

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node") or "node"
# Both SDKs, and both major versions of the one for TypeScript.
SERVERS = ("python", "typescript-1", "typescript-2")

# Who asks, in the plain headers of the demonstration.
ANA = {"x-demo-user": "ana", "x-demo-agent": "support-bot"}
BO = {"x-demo-user": "bo", "x-demo-agent": "coder"}


@contextmanager
def crm(kind: str, scratch: Path, palisade: str | None, *also: str, timeout_s: float = running.ANSWER_S) -> Iterator[Crm]:
    """A sample server, guarded when it is given the address of a Palisade."""
    journal = scratch / f"{kind}.jsonl"
    if kind == "python":
        command = [sys.executable, str(HERE / "guarded_crm.py")]
    else:
        command = [NODE, str(HERE / "crm_server.mjs"), "--sdk", kind[-1]]
    asks = ["--palisade", palisade, "--token", CRM_TOKEN, "--timeout", str(timeout_s)] if palisade else []
    paths = os.pathsep.join(str(REPO / place) for place in ("examples/python", "tests/e2e"))
    process = running.Process(
        kind, [*command, "--journal", str(journal), *asks, *also], scratch, {"PYTHONPATH": paths}
    )
    try:
        yield Crm(process, process.line().removeprefix("crm listening on "), journal)
    finally:
        process.stop()
