#!/usr/bin/env python3
"""What Palisade adds behind Envoy: the same call with and without the filter `ext_authz`, in turn, one at a time.
Never measures a server of MCP: what stands behind Envoy answers at once.
"""

import argparse
import socket
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "tests" / "e2e"))

import gateways  # noqa: E402  found in the line above, like what follows
import running  # noqa: E402
import yaml  # noqa: E402
from malformed import message  # noqa: E402

CALL = message(1, "tools/call", name="issue_refund", arguments={"order": "o-1", "amount": 30})
FILTER = "envoy.filters.http.ext_authz"
ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
ANSWER_S = 10.0
NO_FILTER = "no filter"


@dataclass
class Side:
    """A way through Envoy, over one connection that stays open."""

    name: str
    connection: socket.socket
    request: bytes

    def took_us(self) -> float:
        """Sends the call, and says how long its answer took."""
        start = time.perf_counter_ns()
        self.connection.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self._more()
        took = time.perf_counter_ns() - start
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"{self.name}: {head.decode()}: {body.decode()}")
        return took / 1000

    def _more(self) -> bytes:
        more = self.connection.recv(65536)
        if not more:
            raise SystemExit(f"{self.name}: Envoy ended the connection")
        return more


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what Palisade adds to a call behind Envoy.")
    parser.add_argument("--rounds", type=int, default=15, help="how often each side has its turn (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=2000, help="calls of a turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a file to write the table to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        table = measured(Path(scratch), given.rounds, given.calls)
    print(table)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(table + "\n", encoding="utf-8")


def measured(scratch: Path, rounds: int, calls: int) -> str:
    """The table."""
    issuer, unix = gateways.Issuer(scratch), scratch / "grpc.sock"
    configured = gateways.configuration(issuer, "crm")
    with ExitStack() as stack:
        palisade = stack.enter_context(running.palisade(scratch, f"unix:{unix}", configured=configured))
        # The page's server is nobody: Envoy answers in its place.
        nobody = running.Server(palisade.process, "http://127.0.0.1:1/mcp", scratch / "none")
        sides = []
        for name, asks, at in [(NO_FILTER, False, None), ("Palisade over TCP", True, None), ("Palisade over a unix socket", True, unix)]:
            (folder := scratch / str(len(sides))).mkdir()
            bootstrap = answering(gateways.before(nobody, palisade, "crm", at), asks, folder / "answers.sock")
            envoy = stack.enter_context(gateways.envoy(folder, bootstrap))
            sides.append(side(name, envoy.url, issuer.token("ana", "support-bot")))
        rows = in_turn(sides, rounds, calls)
        decided = [record for record in palisade.audit() if record["type"] == "decided"]
        if [record["outcome"] for record in decided] != ["permit"] * (2 * (rounds + 1) * calls):
            raise SystemExit(f"{len(decided)} records of {2 * (rounds + 1) * calls} calls")
    own = statistics.median(record["duration_us"] for record in decided)
    taken = f"{rounds} rounds of {calls} calls a side, in turn; {running.BINARY.parent.name} build."
    return f"{rendered(rows)}\n\n{taken} From a question's arrival in Palisade to its decision: {own:.0f} µs (p50 of the records)."


def answering(bootstrap: str, asks: bool, at: Path) -> str:
    """The page's configuration, with a listener that answers in place of the server; and without the filter, unless it `asks`."""
    settings, other = yaml.safe_load(bootstrap)["static_resources"], yaml.safe_load(bootstrap)
    manager = settings["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    if not asks:
        manager["http_filters"] = [each for each in manager["http_filters"] if each["name"] != FILTER]
        for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
            del route["typed_per_filter_config"]
    answers = other["static_resources"]["listeners"][0]
    answers["address"] = {"pipe": {"path": str(at)}}
    replies = answers["filter_chains"][0]["filters"][0]["typed_config"]
    replies["http_filters"] = [each for each in replies["http_filters"] if each["name"] != FILTER]
    said = {"status": 200, "body": {"inline_string": ANSWER}}
    replies["route_config"]["virtual_hosts"][0]["routes"] = [{"match": {"prefix": "/"}, "direct_response": said}]
    settings["listeners"].append(answers)
    server = next(cluster for cluster in settings["clusters"] if cluster["name"] == "crm")
    server["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = answers["address"]
    return str(yaml.safe_dump({"static_resources": settings, "admin": other["admin"]}))


def side(name: str, url: str, token: str) -> Side:
    """A connection to an Envoy."""
    at = urlsplit(url)
    connection = socket.create_connection((at.hostname, at.port), timeout=ANSWER_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = [
        f"POST {at.path} HTTP/1.1",
        f"host: {at.netloc}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "mcp-protocol-version: 2025-11-25",
        f"authorization: Bearer {token}",
        f"content-length: {len(CALL)}",
    ]
    return Side(name, connection, "\r\n".join([*headers, "", ""]).encode() + CALL)


def in_turn(sides: list[Side], rounds: int, calls: int) -> dict[str, list[tuple[float, float]]]:
    """p50 and p99 of each side in each round, in microseconds; one more round comes first, and does not count."""
    rows: dict[str, list[tuple[float, float]]] = {each.name: [] for each in sides}
    for number in range(rounds + 1):
        for each in sides:
            took = sorted(each.took_us() for _ in range(calls))
            if number > 0:
                rows[each.name].append((took[calls // 2], took[calls * 99 // 100]))
    return rows


def rendered(rows: dict[str, list[tuple[float, float]]]) -> str:
    """Medians of the rounds; what is added is the median of the differences by round, least and most in brackets."""
    lines = ["| a call through Envoy, one at a time | p50 | p99 | added at p50 | added at p99 |", "|---|--:|--:|--:|--:|"]
    for name, taken in rows.items():
        cells = [f"{statistics.median(at[which] for at in taken):.0f} µs" for which in (0, 1)]
        for which in (0, 1):
            added = [at[which] - bare[which] for at, bare in zip(taken, rows[NO_FILTER], strict=True)]
            spread = f"{statistics.median(added):.0f} µs ({min(added):.0f} to {max(added):.0f})"
            cells.append("" if name == NO_FILTER else spread)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
