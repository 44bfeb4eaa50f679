"""Real processes for the tests: Palisade itself and the sample MCP server, on free ports, in scratch directories.
Never waits by sleeping: a process says when it is ready.
"""

import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from stubs import pb, rpc

REPO = Path(__file__).resolve().parents[2]
# The environment may name another binary.
TARGET = REPO / (os.environ.get("CARGO_TARGET_DIR") or "target")
BINARY = Path(os.environ.get("PALISADE_BIN", TARGET / "debug" / "palisade"))
EVERYTHING = REPO / "tools" / "capture" / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
CRM_SERVER = Path(__file__).resolve().parent / "crm_server.py"
START_S = 60
STOP_S = 20
ANSWER_S = 10
# The sample server is a caller of its own: it may ask for its own tools, name who calls them, and report outcomes.
CRM_TOKEN = "the-sample-servers-own-token"
CONFIGURATION = f"""
local_caller: {{ enabled: false }}
callers:
  - name: crm
    token_sha256: {hashlib.sha256(CRM_TOKEN.encode()).hexdigest()}
    roles: [authorize, assert, outcome]
    servers: [crm]
"""


class Process:
    """A child process whose standard output is read line by line, and whose standard error goes to a file."""

    def __init__(self, name: str, command: list[str], scratch: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        # Every line that it printed so far.
        self.printed: list[str] = []
        self.killed = False
        self.errors = scratch / f"{name}.err"
        with self.errors.open("ab") as errors:
            self._child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | (environment or {})
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            line = line.rstrip("\n")
            self.printed.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def line(self) -> str:
        """The next line that the process prints; fails if it ends or is silent for too long."""
        try:
            line = self._lines.get(timeout=START_S)
        except queue.Empty:
            raise AssertionError(f"{self.name} is silent for {START_S} s: {self.said()}") from None
        if line is None:
            raise AssertionError(f"{self.name} ended with exit code {self._child.wait(STOP_S)}: {self.said()}")
        return line

    def said(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        """Sends it a signal: SIGSTOP makes it slow beyond measure, SIGCONT ends that."""
        self._child.send_signal(number)

    def kill(self) -> None:
        """Ends it without a warning, and waits until it is gone."""
        self.killed = True
        self._child.kill()
        self._child.wait(STOP_S)

    def stop(self) -> int:
        self._child.terminate()
        try:
            return self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise AssertionError(f"{self.name} does not stop: {self.said()}") from None


@dataclass
class Palisade:
    """A running PDP."""

    process: Process
    bundle: Path
    data: Path
    grpc: str
    http: str
    admin: str
    authorization: rpc.AuthorizationStub

    def operator(self) -> str:
        """The token that Palisade wrote for its operator."""
        return (self.data / "admin.token").read_text(encoding="utf-8").strip()

    def authorize(self, request: pb.AuthorizeRequest, token: str | None = None) -> pb.AuthorizeResponse:
        """Asks directly; as the operator unless another token is given."""
        metadata = [("authorization", f"Bearer {token or self.operator()}")]
        return self.authorization.Authorize(request, timeout=ANSWER_S, metadata=metadata)

    def get(self, path: str, *, token: bool = True) -> tuple[int, str]:
        """Status and body of a GET at the admin port."""
        request = urllib.request.Request(f"http://{self.admin}{path}")
        if token:
            request.add_header("authorization", f"Bearer {self.operator()}")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def audit(self) -> list[dict[str, Any]]:
        """The records of the audit log."""
        text = (self.data / "audit" / "audit.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def replace(self, path: str, old: str, new: str) -> None:
        """Edits a file of the bundle as editors do: written beside it, then renamed over it."""
        file = self.bundle / path
        before = file.read_text(encoding="utf-8")
        assert before.count(old) == 1, f"`{old}` should stand in {path} once"
        beside = file.with_name(f".{file.name}.swp")
        beside.write_text(before.replace(old, new), encoding="utf-8")
        beside.replace(file)


def copy_bundle(to: Path) -> Path:
    """A copy of the bundle that this repository ships."""
    for folder in ("schemas", "policies", "entities"):
        shutil.copytree(REPO / folder, to / folder)
    (to / "tools").mkdir()
    for file in [*(REPO / "tools").glob("*.json"), *(REPO / "tools").glob("*.facts.yaml")]:
        shutil.copy(file, to / "tools")
    return to


@contextmanager
def palisade(
    scratch: Path, *also: str, configured: str = CONFIGURATION, environment: dict[str, str] | None = None
) -> Iterator[Palisade]:
    """Palisade on a copy of the shipped bundle, or on the bundle that `scratch` has already, listening on a free port and on the
    addresses `also`; stopped, and expected to stop cleanly unless it was killed, at the end."""
    if not BINARY.exists():
        raise AssertionError(f"`{BINARY}` is missing: run `cargo build`, or set PALISADE_BIN")
    bundle, data = scratch / "bundle", scratch / "data"
    if not bundle.exists():
        copy_bundle(bundle)
    configuration = scratch / "palisade.yaml"
    configuration.write_text(configured, encoding="utf-8")
    places = ["--config", str(configuration), "--bundle", str(bundle), "--data", str(data)]
    ports = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    for address in also:
        ports += ["--grpc", address]
    process = Process("palisade", [str(BINARY), "serve", *places, *ports], scratch, environment)
    try:
        bound: dict[str, str] = {}
        while (line := process.line()) != "ready":
            face, separator, address = line.partition(" listening on ")
            if separator:
                bound.setdefault(face, address)
        with grpc.insecure_channel(bound["grpc"]) as channel:
            yield Palisade(process, bundle, data, bound["grpc"], bound["http"], bound["admin"], rpc.AuthorizationStub(channel))
    finally:
        code = process.stop()
    assert code == 0 or process.killed, f"palisade stopped with exit code {code}: {process.said()}"


@dataclass
class Server:
    """A running MCP server that writes down what it did."""

    process: Process
    url: str
    journal: Path

    def did(self) -> list[dict[str, Any]]:
        """What its tools did, in order."""
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").split("\n") if line]


# The sample server.
Crm = Server


@contextmanager
def crm(scratch: Path, palisade_address: str | None) -> Iterator[Crm]:
    """The sample MCP server, asking the Palisade at `palisade_address`; or nobody, for a gateway to stand before it."""
    journal, token_file = scratch / "journal.jsonl", scratch / "crm.token"
    token_file.write_text(CRM_TOKEN, encoding="utf-8")
    asks = ["--palisade", palisade_address, "--token-file", str(token_file)] if palisade_address else ["--unguarded"]
    command = [sys.executable, str(CRM_SERVER), "--port", "0", "--journal", str(journal), *asks]
    process = Process("crm", command, scratch)
    try:
        yield Crm(process, process.line().removeprefix("crm listening on "), journal)
    finally:
        process.stop()


@contextmanager
def everything(scratch: Path) -> Iterator[Server]:
    """@modelcontextprotocol/server-everything over streamable HTTP, as it is published; what runs in it is written down."""
    journal = scratch / "everything.jsonl"
    recorder = Path(__file__).resolve().parent / "everything_recorder.mjs"
    command = [shutil.which("node") or "node", "--import", str(recorder), str(EVERYTHING), "streamableHttp"]
    # Its environment is what one of its tools tells.
    process = Process("everything", command, scratch, {"JOURNAL": str(journal), "PORT": "0"})
    try:
        while not (line := process.line()).startswith("everything listening on "):
            pass
        yield Server(process, line.removeprefix("everything listening on "), journal)
    finally:
        process.stop()
